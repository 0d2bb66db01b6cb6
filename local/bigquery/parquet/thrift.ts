import { GrowingBuffer } from './bytes.ts'

/** A value in Thrift's compact form. A list holds values of one kind; a struct pairs of field id and value. */
export type Thrift =
  | { kind: 'i32' | 'i64'; value: number }
  | { kind: 'string'; value: string }
  | { kind: 'list'; of: Thrift['kind']; items: readonly Thrift[] }
  | { kind: 'struct'; fields: readonly (readonly [id: number, value: Thrift | undefined])[] }

/** Type codes: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md */
const CODE: Readonly<Record<Thrift['kind'], number>> = { i32: 5, i64: 6, string: 8, list: 9, struct: 12 }

export const i32 = (value: number): Thrift => ({ kind: 'i32', value })
export const i64 = (value: number): Thrift => ({ kind: 'i64', value })
export const text = (value: string): Thrift => ({ kind: 'string', value })
export const list = (of: Thrift['kind'], items: readonly Thrift[]): Thrift => ({ kind: 'list', of, items })
/** Fields in the order of their ids; undefined ones are left out. */
export const struct = (...fields: (readonly [number, Thrift | undefined])[]): Thrift => ({ kind: 'struct', fields })

export function encodeThrift(value: Thrift): Buffer {
  const out = new GrowingBuffer(256)
  write(out, value)
  return out.content()
}

function write(out: GrowingBuffer, value: Thrift): void {
  if (value.kind === 'struct') return writeStruct(out, value.fields)
  if (value.kind === 'string') return writeText(out, value.value)
  if (value.kind !== 'list') return out.varint(value.value >= 0 ? value.value * 2 : -value.value * 2 - 1)
  const { items, of } = value
  out.byte(((items.length < 15 ? items.length : 15) << 4) | CODE[of])
  if (items.length >= 15) out.varint(items.length)
  for (const item of items) write(out, item)
}

function writeStruct(out: GrowingBuffer, fields: readonly (readonly [number, Thrift | undefined])[]): void {
  let last = 0
  for (const [id, value] of fields) {
    if (value === undefined) continue
    out.byte(((id - last) << 4) | CODE[value.kind])
    last = id
    write(out, value)
  }
  out.byte(0)
}

function writeText(out: GrowingBuffer, value: string): void {
  const bytes = Buffer.from(value)
  out.varint(bytes.length)
  out.copy(bytes, 0, bytes.length)
}
