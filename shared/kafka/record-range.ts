import { decompress } from './compression.ts'
import { corrupt } from './errors.ts'
import { free, type SharedMemory } from './memory.ts'
import type { Codec, TopicPartition } from './types.ts'

/** What a RecordBatch's header says, and where it came from. */
export interface RangeHead extends TopicPartition {
  readonly baseOffset: number
  /** The first offset to visit: a fetch may begin inside a RecordBatch. */
  readonly firstOffset: number
  /** Grows while what follows a range without records has none either. */
  lastOffset: number
  /** Records of the RecordBatch, those before `firstOffset` included; 0: nothing to visit. */
  readonly records: number
  /** The end of the partition as of this fetch: records beyond `lastOffset` wait for another fetch. */
  readonly endOffset: number
  readonly compression: Codec
  readonly baseTimestampMs: number
  /** Set when the broker stamped the records itself: then all have this time. */
  readonly appendTimestampMs: number | undefined
}

export type RecordRange = ReturnType<typeof createRange>

/**
 * A range of a partition's offsets: the records of one RecordBatch, or none (`records` 0) where control records, aborted
 * transactions or compaction left only offsets to pass. Ranges of a partition come in order, without overlap.
 */
export type FetchedBatch = Readonly<
  Omit<RecordRange, 'baseOffset' | 'compression' | 'baseTimestampMs' | 'appendTimestampMs'>
>

/** Returning false stops the walk before this record: it counts as not taken. */
type RecordVisitor = (record: RecordView) => boolean | void

/** A range of offsets with the records of one RecordBatch; without any, `packed` is empty. `memory`: what `packed` is a part of. */
export function createRange(head: RangeHead, packed: Buffer, memory?: SharedMemory) {
  let body = packed
  let codec: Codec = head.compression
  let unpacking: Promise<void> | undefined
  let released = false
  let drop = () => memory?.release()
  const unpacked = (bytes: Buffer) => {
    drop()
    body = bytes
    codec = 'none'
    drop = () => free(bytes)
    if (released) drop()
  }
  /** Where a visit that begins at this offset goes on: record number and place in the body. */
  let stop = { offset: -1, index: 0, at: 0 }
  return {
    ...head,
    /** Memory that the batch holds now: compressed, and decompressed once `ready()` has resolved. */
    get bytes(): number {
      return body.length
    },
    /** Decompresses in the thread pool, before any visit; at once when there is nothing to do. Rejects with a KafkaError `corrupt`. */
    async ready(): Promise<void> {
      if (codec === 'none') return
      unpacking ??= decompress(codec, body).then(unpacked)
      await unpacking
    },
    /**
     * Calls the visitor for each record from `fromOffset` (or `firstOffset`, if that is later) on. Returns where the next visit must go
     * on: `lastOffset + 1` when all were taken. Going on at the offset that the last visit returned costs nothing. Throws a KafkaError `corrupt`.
     */
    visit(fromOffset: number, visitor: RecordVisitor): number {
      if (released || codec !== 'none') throw new RangeError('the batch was released, or is not ready')
      const from = Math.max(fromOffset, this.firstOffset)
      stop = walk(head, body, from, stop.offset === from ? stop : { offset: from, index: 0, at: 0 }, visitor)
      return stop.index === head.records ? this.lastOffset + 1 : stop.offset
    },
    /**
     * Gives its memory back: what a visitor was shown has length 0 from then on, and there are no visits any more. A batch that
     * is dropped without it costs no more than the collector's time.
     */
    release(): void {
      if (released) return
      released = true
      // The thread pool reads the packed bytes, and its answer is dropped as soon as it comes.
      if (codec === 'none' || !unpacking) drop()
    },
  }
}

interface Stop {
  readonly offset: number
  readonly index: number
  readonly at: number
}

/** Visits the records from a place on; gives back the one that was not taken, or the end. */
function walk(
  head: RangeHead,
  body: Buffer,
  from: number,
  { index: first, at: start }: Stop,
  visitor: RecordVisitor,
): Stop {
  const { records } = head
  const view = new View(body, head)
  let at = start
  for (let index = first; index < records; index++) {
    const end = view.read(at)
    if (view.offset >= from && visitor(view) === false) return { offset: view.offset, index, at }
    at = end
  }
  if (records > 0 && at !== body.length) throw corrupt(`${body.length - at} bytes behind the last record`)
  return { offset: -1, index: records, at }
}

/** Attributes and five varints of one byte. */
const RECORD_BYTES_MIN = 6

/**
 * One record of a batch: the object is reused, take what you need before the next one. Key and value are ranges of
 * `buffer`; a start of -1 stands for null.
 */
export type RecordView = Readonly<Omit<View, 'read'>>

/** One record at a time, read in place. https://kafka.apache.org/documentation/#record */
class View {
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
