import fc from 'fast-check'
import protobuf from 'protobufjs'
import protojson from 'protobufjs/ext/protojson.js'

/** A made-up schema and some of its messages on the wire. */
export interface Sample {
  readonly source: string
  readonly type: protobuf.Type
  readonly messages: readonly Buffer[]
}

const SCALARS = [
  'double',
  'float',
  'int32',
  'int64',
  'uint32',
  'uint64',
  'sint32',
  'sint64',
  'fixed32',
  'fixed64',
  'sfixed32',
  'sfixed64',
  'bool',
  'string',
  'bytes',
]
const KEYS = [
  'int32',
  'int64',
  'uint32',
  'uint64',
  'sint32',
  'sint64',
  'fixed32',
  'fixed64',
  'sfixed32',
  'sfixed64',
  'bool',
  'string',
]
const WRAPPERS = [
  'DoubleValue',
  'FloatValue',
  'Int64Value',
  'UInt64Value',
  'Int32Value',
  'UInt32Value',
  'BoolValue',
  'StringValue',
  'BytesValue',
]
const WELL_KNOWN = ['Timestamp', 'Duration', ...WRAPPERS]

interface FieldPlan {
  readonly type: string
  readonly label: 'singular' | 'optional' | 'repeated' | 'unpacked' | 'map' | 'oneof' | 'required'
  readonly key: string
  readonly gap: number
}

const typeName = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...SCALARS) },
  { weight: 1, arbitrary: fc.constant('E') },
  { weight: 2, arbitrary: fc.constantFrom('M1', 'M2') },
  { weight: 2, arbitrary: fc.constantFrom(...WELL_KNOWN.map((name) => `google.protobuf.${name}`)) },
)

const field = fc.record({
  type: typeName,
  label: fc.constantFrom('singular', 'singular', 'optional', 'repeated', 'unpacked', 'map', 'oneof', 'required'),
  key: fc.constantFrom(...KEYS),
  gap: fc.constantFrom(1, 1, 1, 1, 2, 15, 200, 3000),
}) as fc.Arbitrary<FieldPlan>

function messageSource(name: string, fields: readonly FieldPlan[], below: readonly string[], proto3: boolean): string {
  let number = 0
  const lines = fields.map(({ type, label, key, gap }, index) => {
    number += gap
    const known = /^M\d$/.test(type) && !below.includes(type) ? 'string' : type
    const rest = `f_${index} = ${number}`
    const scalar = SCALARS.includes(known) || known === 'E'
    const numeric = scalar && known !== 'string' && known !== 'bytes'
    if (label === 'map') return `map<${key}, ${known}> ${rest};`
    if (label === 'oneof') return `oneof o_${index} { ${known} ${rest}; string g_${index} = ${++number}; }`
    if (label === 'repeated') return `repeated ${known} ${rest}${!proto3 && numeric ? ' [packed = true]' : ''};`
    if (label === 'unpacked') return `repeated ${known} ${rest}${numeric ? ' [packed = false]' : ''};`
    if (proto3) return `${label === 'optional' ? 'optional ' : ''}${known} ${rest};`
    return `${label === 'required' ? 'required' : 'optional'} ${known} ${rest};`
  })
  return `message ${name} { ${lines.join(' ')} }`
}

/** A root of sources that may use the well-known types. */
export function rootOf(...sources: readonly string[]): protobuf.Root {
  const root = new protobuf.Root()
  for (const source of sources) protobuf.parse(source, root, { keepCase: true })
  for (const name of ['timestamp', 'duration', 'wrappers', 'struct', 'any', 'empty', 'field_mask']) {
    root.addJSON(protobuf.common.get(`google/protobuf/${name}.proto`)?.nested ?? {})
  }
  root.resolveAll()
  return root
}

const word = fc.nat({ max: 0xffffffff })
const int32 = fc.oneof(fc.integer({ min: -200, max: 200 }), fc.integer())
const uint32 = fc.oneof(fc.nat({ max: 200 }), word)
const wide = fc.oneof(
  int32.map((n) => ({ low: n, high: n >> 31 })),
  fc.record({ low: word.map((n) => n | 0), high: word.map((n) => n | 0) }),
)
// Without -0, which JSON.stringify writes as 0.
const double = fc
  .oneof(
    fc.double(),
    fc.integer({ min: -1000, max: 1000 }).map((n) => n / 8),
  )
  .map((n) => (Object.is(Math.fround(n), -0) ? 0 : n))
const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 40 }), fc.string({ maxLength: 200 }))

const VALUES: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  double,
  float: double.map(Math.fround),
  int32,
  sint32: int32,
  sfixed32: int32,
  uint32,
  fixed32: uint32,
  int64: wide.map((bits) => ({ ...bits, unsigned: false })),
  sint64: wide.map((bits) => ({ ...bits, unsigned: false })),
  sfixed64: wide.map((bits) => ({ ...bits, unsigned: false })),
  uint64: wide.map((bits) => ({ ...bits, unsigned: true })),
  fixed64: wide.map((bits) => ({ ...bits, unsigned: true })),
  bool: fc.boolean(),
  string: text,
  bytes: fc.uint8Array({ maxLength: 40 }),
}

const seconds = fc.oneof(
  fc.integer({ min: -62_135_596_800, max: 253_402_300_799 }),
  fc.integer({ min: 1_600_000_000, max: 1_800_000_000 }),
)
const nanos = fc.oneof(
  fc.constant(0),
  fc.nat({ max: 999_999_999 }),
  fc.nat({ max: 999 }).map((n) => n * 1_000_000),
)

function longOf(value: number): { low: number; high: number; unsigned: boolean } {
  return { low: value | 0, high: Math.floor(value / 4_294_967_296) | 0, unsigned: false }
}

function valueOf(type: string, resolved: protobuf.Type | protobuf.Enum | null, open: boolean): fc.Arbitrary<unknown> {
  if (resolved instanceof protobuf.Enum) return fc.constantFrom(0, 1, 2, open ? 77 : 0)
  const name = resolved?.fullName
  if (name === '.google.protobuf.Timestamp') return fc.record({ seconds: seconds.map(longOf), nanos })
  if (name === '.google.protobuf.Duration') {
    const size = fc.oneof(fc.nat({ max: 100_000 }), fc.nat({ max: 315_575_999_999 }))
    return fc
      .tuple(size, nanos, fc.boolean())
      .map(([s, n, minus]) => ({ seconds: longOf(minus ? -s : s), nanos: minus ? -n : n }))
  }
  return resolved ? messageOf(resolved, open) : (VALUES[type] ?? fc.constant(null))
}

/** Keys as protobufjs wants them: 64 bits as eight characters, which JSON has in another order: one is enough. */
function keyOf(type: string): fc.Arbitrary<string> {
  if (type === 'string') return fc.string({ maxLength: 6 }).filter((key) => key !== '__proto__')
  if (type === 'bool') return fc.constantFrom('true', 'false')
  if (type.includes('64'))
    return int32.map((n) =>
      protobuf.util.longToHash(longOf(type.startsWith('u') || type === 'fixed64' ? Math.abs(n) : n)),
    )
  return (type === 'uint32' || type === 'fixed32' ? uint32 : int32).map(String)
}

function messageOf(type: protobuf.Type, open: boolean): fc.Arbitrary<Record<string, unknown>> {
  const model: Record<string, fc.Arbitrary<unknown>> = {}
  for (const field of type.fieldsArray) {
    field.resolve()
    const value = valueOf(field.type, field.resolvedType, open)
    const whole =
      field instanceof protobuf.MapField
        ? fc
            .array(fc.tuple(keyOf(field.keyType), value), { maxLength: field.keyType.includes('64') ? 1 : 3 })
            .map((entries) => Object.fromEntries(entries))
        : field.repeated
          ? fc.array(value, { maxLength: 4 })
          : value
    model[field.name] = field instanceof protobuf.Field && field.required ? whole : fc.option(whole, { nil: undefined })
  }
  return fc.record(model).map((values) => withOneMember(type, values))
}

function withOneMember(type: protobuf.Type, values: Record<string, unknown>): Record<string, unknown> {
  const taken = new Set<string>()
  const kept = Object.entries(values).filter(([name, value]) => {
    const oneof = type.fields[name]?.partOf?.name
    if (value === undefined || (oneof !== undefined && taken.has(oneof))) return false
    if (oneof !== undefined) taken.add(oneof)
    return true
  })
  return Object.fromEntries(kept)
}

/** Schemas of all kinds, with messages. */
export const samples: fc.Arbitrary<Sample> = fc
  .record({
    proto3: fc.boolean(),
    m0: fc.array(field, { minLength: 1, maxLength: 9 }),
    m1: fc.array(field, { minLength: 1, maxLength: 4 }),
    m2: fc.array(field, { minLength: 1, maxLength: 3 }),
  })
  .map(({ proto3, m0, m1, m2 }) => {
    const syntax = `syntax = "${proto3 ? 'proto3' : 'proto2'}"; enum E { ZERO = 0; ONE = 1; TWO = 2; }`
    return [
      syntax,
      messageSource('M2', m2, [], proto3),
      messageSource('M1', m1, ['M2'], proto3),
      messageSource('M0', m0, ['M1', 'M2'], proto3),
    ].join('\n')
  })
  .chain((source) => {
    const type = rootOf(source).lookupType('M0')
    const wire = messageOf(type, source.includes('proto3')).map((message) => Buffer.from(type.encode(message).finish()))
    return fc.array(wire, { minLength: 1, maxLength: 4 }).map((messages) => ({ source, type, messages }))
  })

/** The canonical JSON form of a message, by another implementation. */
export function jsonOf(type: protobuf.Type, wire: Buffer): Buffer {
  return Buffer.from(protojson.toJsonString(type, type.decode(wire)))
}
