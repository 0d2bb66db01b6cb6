import { WIRE } from './reasons.ts'
import { NESTING_MAX } from './walker.ts'

/** Protobuf's wire types. */
export const VARINT = 0
export const FIXED64 = 1
export const LENGTH = 2
export const GROUP = 3
export const GROUP_END = 4
export const FIXED32 = 5

const VARINTS = new Set(['int32', 'int64', 'uint32', 'uint64', 'sint32', 'sint64', 'bool', 'enum'])

/** The wire type of a value of a kind. */
export function scalarType(kind: string): number {
  if (kind === 'fixed64' || kind === 'sfixed64' || kind === 'double') return FIXED64
  if (kind === 'fixed32' || kind === 'sfixed32' || kind === 'float') return FIXED32
  return VARINTS.has(kind) ? VARINT : LENGTH
}

/** The number that readVarint and readLength found, in halves; one for the process, read at once. */
export const wire = { low: 0, high: 0 }

/** Reads up to 64 bits into `wire`. Answers the position behind it, or WIRE: behind the end, or longer than ten bytes. */
export function readVarint(bytes: Uint8Array, start: number, end: number): number {
  let p = start
  let low = 0
  let high = 0
  for (let shift = 0; shift < 70 && p < end; shift += 7) {
    const c = bytes[p++] as number
    if (shift < 32) low |= (c & 127) << shift
    if (shift >= 28) high |= shift === 28 ? (c & 127) >>> 4 : (c & 127) << (shift - 32)
    if (c < 128) {
      wire.low = low | 0
      wire.high = high | 0
      return p
    }
  }
  return WIRE
}

/** Reads a length or a tag, below 2^31 or 2^32, into wire.low. */
export function readLength(bytes: Uint8Array, start: number, end: number): number {
  if (start < end && (bytes[start] as number) < 128) {
    wire.low = bytes[start] as number
    return start + 1
  }
  const p = readVarint(bytes, start, end)
  if (p < 0 || wire.high !== 0) return WIRE
  return p
}

/** The position of what has a length before it, which comes into wire.low; WIRE when it ends behind the end. */
export function readSized(bytes: Uint8Array, start: number, end: number): number {
  const p = readLength(bytes, start, end)
  return p < 0 || wire.low < 0 || wire.low > end - p ? WIRE : p
}

/** The tag that nextField found, and where the value is; one for the process, read at once. */
export const field = { tag: 0, value: 0 }

/** Steps over one field of a message. Answers the position behind it, or WIRE; the value of a varint is in `wire`. */
export function nextField(bytes: Uint8Array, start: number, end: number): number {
  const p = readLength(bytes, start, end)
  if (p < 0 || wire.low >>> 3 === 0) return WIRE
  field.tag = wire.low
  field.value = p
  return skipValue(bytes, p, end, field.tag, 0)
}

/** The position behind the value of a field, or WIRE. @param tag of the field */
export function skipValue(bytes: Uint8Array, start: number, end: number, tag: number, depth: number): number {
  switch (tag & 7) {
    case VARINT:
      return readVarint(bytes, start, end)
    case FIXED64:
      return start + 8 <= end ? start + 8 : WIRE
    case FIXED32:
      return start + 4 <= end ? start + 4 : WIRE
    case LENGTH: {
      const p = readSized(bytes, start, end)
      return p < 0 ? p : p + wire.low
    }
    case GROUP:
      return skipGroup(bytes, start, end, tag >>> 3, depth)
    default:
      return WIRE
  }
}

function skipGroup(bytes: Uint8Array, start: number, end: number, number: number, depth: number): number {
  if (depth > NESTING_MAX) return WIRE
  let p = start
  while (p < end) {
    p = readLength(bytes, p, end)
    if (p < 0) return p
    const tag = wire.low
    if ((tag & 7) === GROUP_END) return tag >>> 3 === number ? p : WIRE
    if (tag >>> 3 === 0) return WIRE
    p = skipValue(bytes, p, end, tag, depth + 1)
    if (p < 0) return p
  }
  return WIRE
}
