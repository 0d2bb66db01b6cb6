import { decompress, decompressSync } from './compression.ts'
import { KafkaError } from './errors.ts'
import type { Compression, FetchedBatch, RecordView, RecordVisitor } from './types.ts'

/** What a RecordBatch's header says, and where it came from. */
export interface RangeHead {
  readonly topic: string
  readonly partition: number
  readonly baseOffset: number
  readonly firstOffset: number
  readonly lastOffset: number
  readonly records: number
  readonly compression: Compression
  readonly baseTimestampMs: number
  /** Set when the broker stamped the records itself: then all have this time. */
  readonly appendTimestampMs: number | undefined
  readonly endOffset: number
}

/** Attributes and five varints of one byte. */
const RECORD_BYTES_MIN = 6
const DECOMPRESSED: Compression = 'none'

/** A range of offsets with the records of one RecordBatch; without any, `body` is empty. */
export class RecordRange implements FetchedBatch {
  readonly topic: string
  readonly partition: number
  readonly firstOffset: number
  readonly records: number
  readonly compression: Compression
  readonly #head: RangeHead
  #lastOffset: number
  #endOffset: number
  #body: Buffer
  #codec: Compression
  /** Where a visit that begins at this offset goes on: record number and place in the body. */
  #next = { offset: -1, index: 0, at: 0 }

  constructor(head: RangeHead, body: Buffer) {
    this.topic = head.topic
    this.partition = head.partition
    this.firstOffset = head.firstOffset
    this.records = head.records
    this.compression = head.compression
    this.#head = head
    this.#lastOffset = head.lastOffset
    this.#endOffset = head.endOffset
    this.#body = body
    this.#codec = head.compression
  }

  get lastOffset(): number {
    return this.#lastOffset
  }

  get endOffset(): number {
    return this.#endOffset
  }

  get bytes(): number {
    return this.#body.length
  }

  /** Lets a range without records take in the one that follows it. */
  extend(lastOffset: number): void {
    this.#lastOffset = lastOffset
  }

  async ready(): Promise<void> {
    if (this.#codec !== DECOMPRESSED) this.#opened(await decompress(this.#codec, this.#body))
  }

  visit(fromOffset: number, visitor: RecordVisitor): number {
    if (this.#codec !== DECOMPRESSED) this.#opened(decompressSync(this.#codec, this.#body))
    const from = Math.max(fromOffset, this.firstOffset)
    const resumed = this.#next.offset === from
    return this.#walk(from, resumed ? this.#next.index : 0, resumed ? this.#next.at : 0, visitor)
  }

  #opened(body: Buffer): void {
    this.#body = body
    this.#codec = DECOMPRESSED
  }

  #walk(from: number, first: number, start: number, visitor: RecordVisitor): number {
    const body = this.#body
    const { baseOffset, baseTimestampMs, appendTimestampMs } = this.#head
    const view = new View(body)
    let at = start
    for (let index = first; index < this.records; index++) {
      const end = view.read(at, baseOffset, baseTimestampMs)
      if (view.offset >= from) {
        if (appendTimestampMs !== undefined) view.timestampMs = appendTimestampMs
        if (visitor(view) === false) {
          this.#next = { offset: view.offset, index, at }
          return view.offset
        }
      }
      at = end
    }
    if (this.records > 0 && at !== body.length) throw corrupt(`${body.length - at} bytes behind the last record`)
    return this.#lastOffset + 1
  }
}

/** One record at a time, read in place. https://kafka.apache.org/documentation/#record */
class View implements RecordView {
  readonly buffer: Buffer
  offset = 0
  timestampMs = 0
  keyStart = -1
  keyEnd = -1
  valueStart = -1
  valueEnd = -1
  headers = 0
  #headersAt = 0

  constructor(buffer: Buffer) {
    this.buffer = buffer
  }

  /** Reads the record at `start`, returns where the next one begins. */
  read(start: number, baseOffset: number, baseTimestampMs: number): number {
    const { buffer } = this
    cursor = start
    const length = readVarint(buffer)
    const end = cursor + length
    if (length < RECORD_BYTES_MIN || end > buffer.length) throw corrupt(`a record of ${length} bytes at ${start}`)
    cursor++ // attributes
    this.timestampMs = baseTimestampMs + readVarint(buffer)
    this.offset = baseOffset + readVarint(buffer)
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

export function corrupt(what: string): KafkaError {
  return new KafkaError('corrupt', 'CORRUPT_MESSAGE', what)
}
