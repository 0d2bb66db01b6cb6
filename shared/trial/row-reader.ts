import protobuf from 'protobufjs'
import 'protobufjs/ext/descriptor.js'
import type { RowCodec } from '../codec/index.ts'
import type { DescriptorProto, TableField } from '../schema/index.ts'
import { timestampOf } from '../timestamp.ts'

type Row = Record<string, unknown>

const DAY_MS = 86_400_000

/**
 * Reads rows back from the bytes that an append carries, by the codec's own descriptor, into the form in which
 * `millrace query` prints them: INT64 and NUMERIC as text, TIMESTAMP as RFC 3339 in UTC with micros, BYTES as base64,
 * NULL and empty arrays left out.
 */
export function createRowReader({ descriptor, fields }: RowCodec): (row: Uint8Array) => Row {
  const file = { name: 'row.proto', syntax: 'proto2', messageType: [descriptor] }
  const type = protobuf.Root.fromDescriptor({ file: [file] }).lookupType(descriptor.name)
  return (row) => {
    const message = type.toObject(type.decode(row), { longs: String, bytes: String, json: true }) as Row
    return recordOf(message, descriptor, fields)
  }
}

/** A descriptor has a field for each column, in the order of the columns. */
function recordOf(message: Row, { field, nestedType = [] }: DescriptorProto, columns: readonly TableField[]): Row {
  const row: Row = {}
  field.forEach(({ name, typeName }, index) => {
    const column = columns[index]
    const value = message[name]
    if (column === undefined || value === undefined) return
    const nested = nestedType.find((type) => type.name === typeName)
    const read = (item: unknown) =>
      nested ? recordOf(item as Row, nested, column.fields ?? []) : scalarOf(column.type, item)
    row[column.name] = Array.isArray(value) ? value.map(read) : read(value)
  })
  return row
}

function scalarOf(type: string, value: unknown): unknown {
  switch (type) {
    case 'BOOLEAN':
    case 'FLOAT':
      return value
    case 'TIMESTAMP':
      return timestampOf(String(value))
    case 'DATE':
      return new Date(Number(value) * DAY_MS).toISOString().slice(0, 10)
    case 'TIME':
    case 'DATETIME':
      return /^-?\d+$/.test(String(value)) ? civilOf(type, BigInt(String(value))) : value
    default:
      return String(value)
  }
}

/** BigQuery's packed civil time: micros 20 bits, second 6, minute 6, hour 5, day 5, month 4, year. */
function civilOf(type: 'TIME' | 'DATETIME', packed: bigint): string {
  let rest = packed
  const take = (bits: bigint, digits: number): string => {
    const part = rest & ((1n << bits) - 1n)
    rest >>= bits
    return String(part).padStart(digits, '0')
  }
  const [micros, second, minute, hour] = [take(20n, 6), take(6n, 2), take(6n, 2), take(5n, 2)]
  const time = `${hour}:${minute}:${second}${micros === '000000' ? '' : `.${micros}`}`
  if (type === 'TIME') return time
  const [day, month, year] = [take(5n, 2), take(4n, 2), take(14n, 4)]
  return `${year}-${month}-${day}T${time}`
}
