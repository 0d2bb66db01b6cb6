import protobuf from 'protobufjs'

type Row = Record<string, unknown>
interface Bits {
  readonly low: number
  readonly high: number
  readonly unsigned: boolean
}

/**
 * The row that a message should become, the long way round: protobufjs decodes it, every field is mapped by the rules
 * that the documentation gives, through BigInt and Date. 64-bit numbers are texts, maps are sorted by their keys.
 */
export function slowRow(type: protobuf.Type, message: Row): Row {
  const row: Row = {}
  for (const field of type.fieldsArray) {
    const value = Object.hasOwn(message, field.name) ? message[field.name] : undefined
    const mapped = slowField(field, value)
    if (mapped !== undefined) row[field.name] = mapped
  }
  return row
}

function slowField(field: protobuf.Field, value: unknown): unknown {
  if (field instanceof protobuf.MapField) {
    const entries = Object.entries((value ?? {}) as Row).map(([key, item]) => ({
      key: slowKey(field.keyType, key),
      value: slowValue(field, item),
    }))
    return entries.length === 0 ? undefined : sortedMap(entries)
  }
  if (field.repeated)
    return (value as unknown[] | undefined)?.length
      ? (value as unknown[]).map((item) => slowValue(field, item))
      : undefined
  if (value !== undefined && value !== null) return slowValue(field, value)
  const message = field.resolvedType instanceof protobuf.Type
  const implicit = !message && !field.partOf && !field.required && !field.hasPresence
  return implicit ? slowDefault(field) : undefined
}

/** Entries of a map in an order of their own. */
export function sortedMap(entries: readonly { readonly key: unknown }[]): unknown[] {
  return [...entries].sort((a, b) => (String(a.key) < String(b.key) ? -1 : 1))
}

function slowKey(type: string, key: string): unknown {
  if (type === 'bool') return key === 'true'
  if (type === 'string') return key
  return type.includes('64')
    ? bits(protobuf.util.longFromHash(key, type === 'uint64' || type === 'fixed64') as unknown as Bits)
    : String(Number(key))
}

function slowDefault(field: protobuf.Field): unknown {
  if (field.resolvedType instanceof protobuf.Enum) return 'ZERO'
  if (field.type === 'string' || field.type === 'bytes') return ''
  if (field.type === 'bool') return false
  return field.type === 'double' || field.type === 'float' ? 0 : '0'
}

function slowValue(field: protobuf.Field, value: unknown): unknown {
  const { resolvedType } = field
  if (resolvedType instanceof protobuf.Enum) return resolvedType.valuesById[value as number] ?? String(value)
  if (resolvedType === null) return slowScalar(field.type, value)
  const message = value as Row
  const { fullName } = resolvedType
  if (fullName === '.google.protobuf.Timestamp') return String(floorDivide(total(message), 1000n))
  if (fullName === '.google.protobuf.Duration') return interval(total(message))
  const inner = resolvedType.fields['value']
  if (fullName.startsWith('.google.protobuf.') && inner)
    return message['value'] === undefined ? slowDefault(inner) : slowScalar(inner.type, message['value'])
  return slowRow(resolvedType, message)
}

function slowScalar(type: string, value: unknown): unknown {
  if (type === 'bytes') return Buffer.from(value as Uint8Array).toString('base64')
  if (type.includes('64')) return bits(value as Bits)
  return /int32|fixed32/.test(type) ? String(value) : value
}

function bits(value: Bits | number): string {
  if (typeof value === 'number') return String(value)
  const all = (BigInt(value.high >>> 0) << 32n) | BigInt(value.low >>> 0)
  return String(value.unsigned ? all : BigInt.asIntN(64, all))
}

function total(message: Row): bigint {
  return BigInt(bits((message['seconds'] ?? 0) as Bits)) * 1_000_000_000n + BigInt((message['nanos'] ?? 0) as number)
}

function floorDivide(a: bigint, b: bigint): bigint {
  return a < 0n && a % b !== 0n ? a / b - 1n : a / b
}

function interval(nanos: bigint): string {
  const micros = (nanos < 0n ? -nanos : nanos) / 1000n
  const seconds = micros / 1_000_000n
  const fraction = String(micros % 1_000_000n)
    .padStart(6, '0')
    .replace(/0+$/, '')
  const sign = nanos < 0n && micros > 0n ? '-' : ''
  return `0-0 0 ${sign}${seconds / 3600n}:${(seconds / 60n) % 60n}:${seconds % 60n}${fraction === '' ? '' : `.${fraction}`}`
}
