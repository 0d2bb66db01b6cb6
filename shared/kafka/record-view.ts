import { corrupt } from './errors.ts'
import type { RangeHead } from './types.ts'

/** Attributes and five varints of one byte. */
const RECORD_BYTES_MIN = 6

/**
 * One record of a batch: the object is reused, take what you need before the next one. Key and value are ranges of
 * `buffer`; a start of -1 stands for null.
 */
export type RecordView = Readonly<Omit<View, 'read'>>

/** One record at a time, read in place. https://kafka.apache.org/documentation/#record */
export class View {
  readonly buffer: Buffer
  offset = 0
  keyStart = -1
  keyEnd = -1
  valueStart = -1
  valueEnd = -1
  /** How many it has. */
  headers = 0
  #headersAt = 0
  #timestampDelta = 0
  readonly #head: RangeHead

  constructor(buffer: Buffer, head: RangeHead) {
    this.buffer = buffer
    this.#head = head
  }

  get timestampMs(): number {
    return this.#head.appendTimestampMs ?? this.#head.baseTimestampMs + this.#timestampDelta
  }

  /** Reads the record at `start`, returns where the next one begins. */
  read(start: number): number {
    const { buffer } = this
    cursor = start
    const length = readVarint(buffer)
    const end = cursor + length
    if (length < RECORD_BYTES_MIN || end > buffer.length) throw corrupt(`a record of ${length} bytes at ${start}`)
    cursor++ // attributes
    this.#timestampDelta = readVarint(buffer)
    this.offset = this.#head.baseOffset + readVarint(buffer)
    const keyBytes = readVarint(buffer)
    this.keyStart = keyBytes < 0 ? -1 : cursor
    if (keyBytes > 0) cursor += keyBytes
    this.keyEnd = keyBytes < 0 ? -1 : cursor
    const valueBytes = readVarint(buffer)
    this.valueStart = valueBytes < 0 ? -1 : cursor
    if (valueBytes > 0) cursor += valueBytes
    this.valueEnd = valueBytes < 0 ? -1 : cursor
    this.headers = readVarint(buffer)
    this.#headersAt = cursor
    if (cursor > end || this.headers < 0 || (this.headers === 0 && cursor !== end))
      throw corrupt(`a record at ${start} overruns its length`)
    return end
  }

  /** The value of the last header of that name (a view), or undefined. */
  header(name: string): Buffer | undefined {
    let found: Buffer | undefined
    cursor = this.#headersAt
    for (let i = 0; i < this.headers; i++) {
      const key = readRange(this.buffer)
      const value = readRange(this.buffer)
      if (key?.toString() === name) found = value
    }
    return found
  }
}

/** Where the functions below read: walks do not interleave, and a module's variable is cheaper than an object. */
let cursor = 0

function readRange(buffer: Buffer): Buffer | undefined {
  const length = readVarint(buffer)
  if (length < 0) return undefined
  if (cursor + length > buffer.length) throw corrupt(`a header of ${length} bytes at ${cursor}`)
  cursor += length
  return buffer.subarray(cursor - length, cursor)
}

/** A zigzag varint: small ones without leaving 32-bit integers, others (rare: far timestamps) as doubles. */
function readVarint(buffer: Buffer): number {
  const first = buffer[cursor++] as number
  if (first < 0x80) return (first >>> 1) ^ -(first & 1)
  const second = buffer[cursor++] as number
  let value = (first & 0x7f) | ((second & 0x7f) << 7)
  if (second < 0x80) return (value >>> 1) ^ -(value & 1)
  const third = buffer[cursor++] as number
  value |= (third & 0x7f) << 14
  if (third < 0x80) return (value >>> 1) ^ -(value & 1)
  return readLongVarint(buffer, value)
}

const VARINT_BYTES_MAX = 10

function readLongVarint(buffer: Buffer, low: number): number {
  let value = low
  let scale = 2 ** 21
  for (let bytes = 4; bytes <= VARINT_BYTES_MAX; bytes++) {
    const byte = buffer[cursor++]
    if (byte === undefined) break
    value += (byte & 0x7f) * scale
    if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2
    scale *= 128
  }
  throw corrupt(`no varint before ${cursor}`)
}
