import type { Type } from 'protobufjs'
import protojson from 'protobufjs/ext/protojson.js'
import { putInt64, textOf } from './numbers.ts'
import { is64, type Slot } from './plan.ts'
import { INVALID, RANGE, WIRE } from './reasons.ts'
import type { RowBuffer } from './row-buffer.ts'
import { writeString } from './text-values.ts'
import { setMicros } from './time.ts'
import { writeDate, writeInterval, writeTime } from './well-known.ts'
import { field, FIXED32, LENGTH, nextField, readLength, readSized, readVarint, VARINT, wire } from './wire.ts'

/** The numbers of a small message's fields 1 to 4 (Timestamp, Duration, Date, TimeOfDay). */
const parts = new Float64Array(5)

/**
 * Writes the value at p in the form of its column, without a tag: everything that is not copied as it stands. Answers
 * the position behind it, or a reason.
 */
export function convertValue(slot: Slot, bytes: Buffer, p: number, end: number, out: RowBuffer): number {
  out.reserve(10)
  return slot.proto?.wrapper ? convertWrapped(slot, bytes, p, end, out) : convertScalar(slot, bytes, p, end, out)
}

function convertScalar(slot: Slot, bytes: Buffer, p: number, end: number, out: RowBuffer): number {
  const kind = slot.proto?.kind ?? 'bytes'
  if (slot.scalarType === VARINT) return convertVarint(slot, kind, bytes, p, end, out)
  if (slot.scalarType === LENGTH) return convertLength(slot, kind, bytes, p, end, out)
  return convertFixed(kind, slot.scalarType === FIXED32 ? 4 : 8, bytes, p, end, out)
}

function convertVarint(slot: Slot, kind: string, bytes: Buffer, p: number, end: number, out: RowBuffer): number {
  const q = readVarint(bytes, p, end)
  if (q < 0) return q
  const { low, high } = wire
  if (kind === 'bool') out.varint(low !== 0 || high !== 0 ? 1 : 0)
  // Overlong forms stay, as in the runs that are copied.
  else if (slot.verbatim && (is64(slot) || q - p <= 4)) out.copy(bytes, p, q)
  else if (kind === 'int32') out.int32(low)
  else if (kind === 'uint32') out.varint(low >>> 0)
  else if (kind === 'sint32') out.int32((low >>> 1) ^ -(low & 1))
  else if (kind === 'sint64') {
    const sign = -(low & 1)
    out.varint64(((low >>> 1) | (high << 31)) ^ sign, (high >>> 1) ^ sign)
  } else if (kind === 'enum') slot.enum?.write(low, out)
  else out.varint64(low, high)
  return q
}

function convertFixed(kind: string, size: number, bytes: Buffer, p: number, end: number, out: RowBuffer): number {
  if (p + size > end) return WIRE
  if (kind === 'fixed32') out.varint(bytes.readUInt32LE(p))
  else if (kind === 'sfixed32') out.int32(bytes.readInt32LE(p))
  else if (kind === 'fixed64' || kind === 'sfixed64') out.varint64(bytes.readInt32LE(p), bytes.readInt32LE(p + 4))
  else out.copy(bytes, p, p + size)
  return p + size
}

function convertLength(slot: Slot, kind: string, bytes: Buffer, start: number, end: number, out: RowBuffer): number {
  const p = readSized(bytes, start, end)
  if (p < 0) return p
  const q = p + wire.low
  if (kind === 'bytes') return out.lengthAndCopy(bytes, p, q) || q
  if (kind === 'string') return slot.text(bytes, p, q, out) || q
  if (kind === 'fieldmask') return convertFieldMask(bytes, p, q, out) || q
  if (slot.proto?.message) return convertToJson(slot.proto.message, bytes.subarray(p, q), out) || q
  const failed = readParts(bytes, p, q)
  return failed < 0 ? failed : convertParts(kind, out) || q
}

function convertParts(kind: string, out: RowBuffer): number {
  const [, a = 0, b = 0, c = 0, d = 0] = parts
  if (kind === 'date') return writeDate(a, b, c, out)
  if (kind === 'timeofday') return writeTime(a, b, c, d, out)
  if (kind === 'duration') {
    if (Math.abs(b) > 999_999_999 || (a < 0 && b > 0) || (a > 0 && b < 0)) return RANGE
    return writeInterval(a < 0 || b < 0, Math.abs(a), Math.abs(b), out)
  }
  return b < 0 || b > 999_999_999 ? RANGE : putInt64(setMicros(a, Math.floor(b / 1000)), out)
}

/** Fields 1 to 4, all varints, the last of each; everything else is skipped. */
function readParts(bytes: Buffer, start: number, end: number): number {
  parts.fill(0)
  let p = start
  while (p >= 0 && p < end) {
    p = nextField(bytes, p, end)
    const number = field.tag >>> 3
    if (p >= 0 && (field.tag & 7) === VARINT && number < parts.length)
      parts[number] = wire.high * 4294967296 + (wire.low >>> 0)
  }
  return p
}

/** A google.protobuf wrapper: its field 1, or the default. */
function convertWrapped(slot: Slot, bytes: Buffer, start: number, end: number, out: RowBuffer): number {
  let p = readSized(bytes, start, end)
  if (p < 0) return p
  const stop = p + wire.low
  let value = -1
  while (p < stop) {
    p = nextField(bytes, p, stop)
    if (p < 0) return p
    if (field.tag === 8 + slot.scalarType) ({ value } = field)
  }
  const q = value < 0 ? convertScalar(slot, ZEROS, 0, ZEROS.length, out) : convertScalar(slot, bytes, value, stop, out)
  return q < 0 ? q : stop
}

const ZEROS = Buffer.alloc(8)

function convertFieldMask(bytes: Buffer, start: number, end: number, out: RowBuffer): number {
  const paths: string[] = []
  for (let p = start; p < end; ) {
    p = nextField(bytes, p, end)
    if (p < 0) return p
    if (field.tag === 8 + LENGTH) paths.push(textOf(bytes, readLength(bytes, field.value, p), p))
  }
  const mask = paths.join(',').replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
  const text = Buffer.from(mask, 'latin1')
  return writeString(text, 0, text.length, out)
}

/** A message whose column is JSON: its canonical JSON form. The one place where an event becomes objects. */
function convertToJson(type: Type, bytes: Buffer, out: RowBuffer): number {
  let reason = WIRE
  try {
    const message = type.decode(bytes)
    reason = INVALID
    return out.string(protojson.toJsonString(type, message))
  } catch {
    return reason
  }
}
