import { crc32 } from 'node:zlib'
import { corrupt } from './corrupt.ts'

/**
 * A segment: a head, then records. Numbers are little-endian.
 *
 * head:   'MLRBQSG1', u32 length, u32 crc of the body, body = JSON of SegmentHead
 * record: u32 kind, u32 body length, u32 rows, u32 crc of the body, f64 stream offset of the first row, f64 time (ms),
 *         u32 crc of the 32 bytes before it, body
 *
 * The header has a checksum of its own, so that a damaged length is not taken for a write that was cut short.
 */
const MAGIC = Buffer.from('MLRBQSG1')
const HEAD_FIXED = 16
/** The head is four short values. */
export const HEAD_BYTES_MAX = 1024
export const RECORD_HEADER = 36
const HEADER_CRC_AT = 32
/** A record that sets the writer schema for those after it: body = JSON of WriterState. */
export const WRITER = 0x31545257
/** Rows: body = `serialized_rows` entries, as the request had them. */
export const ROWS = 0x31574f52

export interface SegmentHead {
  table: string
  stream: string
  segment: number
  /** Rows of the stream before this segment. */
  startRow: number
  /** When it was begun, in milliseconds. */
  timeMs: number
}

/** What is needed to read rows: the writer's DescriptorProto (base64) and the defaults of absent columns. */
export interface WriterState {
  descriptor: string
  defaults: Record<string, string>
}

export interface RecordHeader {
  kind: number
  length: number
  rows: number
  crc: number
  offset: number
  timeMs: number
}

export function encodeHead(head: SegmentHead): Buffer {
  const body = Buffer.from(JSON.stringify(head))
  const fixed = Buffer.alloc(HEAD_FIXED)
  MAGIC.copy(fixed)
  fixed.writeUInt32LE(body.length, 8)
  fixed.writeUInt32LE(crc32(body), 12)
  return Buffer.concat([fixed, body])
}

/** Reads the head of a segment; undefined when the file ends within it. Throws a UserError when it is something else. */
export function decodeHead(bytes: Buffer, file: string): { head: SegmentHead; length: number } | undefined {
  if (bytes.length < HEAD_FIXED) return undefined
  if (!bytes.subarray(0, 8).equals(MAGIC)) throw corrupt(file, 'it does not begin as a segment of version 1')
  const length = HEAD_FIXED + bytes.readUInt32LE(8)
  if (length > HEAD_BYTES_MAX) throw corrupt(file, 'the length of its head is damaged')
  if (bytes.length < length) return undefined
  const body = bytes.subarray(HEAD_FIXED, length)
  if (crc32(body) !== bytes.readUInt32LE(12)) throw corrupt(file, 'its head does not match its checksum')
  return { head: JSON.parse(body.toString()) as SegmentHead, length }
}

export function encodeRecordHeader(kind: number, body: Buffer, rows: number, offset: number, timeMs: number): Buffer {
  const header = Buffer.allocUnsafe(RECORD_HEADER)
  header.writeUInt32LE(kind, 0)
  header.writeUInt32LE(body.length, 4)
  header.writeUInt32LE(rows, 8)
  header.writeUInt32LE(crc32(body), 12)
  header.writeDoubleLE(offset, 16)
  header.writeDoubleLE(timeMs, 24)
  header.writeUInt32LE(crc32(header.subarray(0, HEADER_CRC_AT)), HEADER_CRC_AT)
  return header
}

/** Reads a header that is intact. */
export function decodeRecordHeader(bytes: Buffer): RecordHeader {
  return {
    kind: bytes.readUInt32LE(0),
    length: bytes.readUInt32LE(4),
    rows: bytes.readUInt32LE(8),
    crc: bytes.readUInt32LE(12),
    offset: bytes.readDoubleLE(16),
    timeMs: bytes.readDoubleLE(24),
  }
}

/** Whether a record's header is what was written. */
export function isIntactHeader(bytes: Buffer): boolean {
  return crc32(bytes.subarray(0, HEADER_CRC_AT)) === bytes.readUInt32LE(HEADER_CRC_AT)
}

/** What a scan finds in a segment. */
export interface ScannedSegment {
  head: SegmentHead
  /** Bytes up to the end of the last whole record. */
  length: number
  /** Rows of the stream up to the end of this segment. */
  endRow: number
  /** Time of the last record; without one, that of the head. */
  lastMs: number
}

/**
 * Checks a whole segment. A record that the end of the file cuts short is left out of `length`; undefined when even the
 * head is cut short. Throws a UserError for a record that is damaged in any other way.
 */
export function scanSegment(bytes: Buffer, file: string): ScannedSegment | undefined {
  const start = decodeHead(bytes, file)
  if (start === undefined) return undefined
  const { head, length: first } = start
  const scanned = { head, length: first, endRow: head.startRow, lastMs: head.timeMs }
  while (bytes.length - scanned.length >= RECORD_HEADER) {
    const header = bytes.subarray(scanned.length, scanned.length + RECORD_HEADER)
    if (!isIntactHeader(header)) throw damaged(file, scanned.length)
    const { kind, length, rows, crc, offset, timeMs } = decodeRecordHeader(header)
    const end = scanned.length + RECORD_HEADER + length
    if ((kind !== ROWS && kind !== WRITER) || offset !== scanned.endRow) throw damaged(file, scanned.length)
    if (end > bytes.length) break
    if (crc32(bytes.subarray(scanned.length + RECORD_HEADER, end)) !== crc) throw damaged(file, scanned.length)
    scanned.length = end
    scanned.endRow += rows
    scanned.lastMs = timeMs
  }
  return scanned
}

export function damaged(file: string, at: number): Error {
  return corrupt(file, `the record at byte ${at} is damaged`)
}
