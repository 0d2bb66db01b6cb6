import { crc32c } from '@node-rs/crc32'
import { CODECS } from './compression.ts'
import { BATCH_HEADER_BYTES } from './record-batch.ts'
import { corrupt, createRange, type RecordRange } from './record-range.ts'

/** One partition of a Fetch answer, its records not looked at yet. */
export interface FetchedPartition {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  /** How far a read_committed consumer can read. */
  readonly lastStableOffset: number
  readonly aborted: readonly AbortedTransaction[]
  readonly records: Buffer
}

export interface AbortedTransaction {
  readonly producerId: bigint
  readonly firstOffset: number
}

/**
 * Reads a Fetch answer of versions 4 to 11, as kafkajs's protocol/requests/fetch describes them, down to the RecordBatches.
 * Errors of single partitions stay values: kafkajs would throw the first of them and drop what the others brought.
 */
export function decodeFetch(payload: Buffer, version: number): { throttleMs: number; partitions: FetchedPartition[] } {
  const reader = new Reader(payload)
  const throttleMs = reader.int32()
  if (version >= 7) reader.skip(6) // error code and id of a fetch session: none is used
  const partitions: FetchedPartition[] = []
  for (let topics = reader.int32(); topics > 0; topics--) {
    const topic = reader.string()
    for (let count = reader.int32(); count > 0; count--) partitions.push(readPartition(reader, topic, version))
  }
  return { throttleMs, partitions }
}

function readPartition(reader: Reader, topic: string, version: number): FetchedPartition {
  const partition = reader.int32()
  const errorCode = reader.int16()
  const highWatermark = reader.int64()
  const lastStableOffset = reader.int64()
  if (version >= 5) reader.skip(8) // log start
  const aborted: AbortedTransaction[] = []
  for (let count = reader.int32(); count > 0; count--) {
    aborted.push({ producerId: reader.bigint64(), firstOffset: reader.int64() })
  }
  if (version >= 11) reader.skip(4) // preferred replica: leaders are read
  const stable = lastStableOffset < 0 ? highWatermark : lastStableOffset
  return { topic, partition, errorCode, lastStableOffset: stable, aborted, records: reader.bytes() }
}

const MAGIC = 2
const CODEC_MASK = 0x07
const APPEND_TIME = 0x08
const TRANSACTIONAL = 0x10
const CONTROL = 0x20
const ABORT = 0
/** What a batch's length does not count, and where the bytes under its checksum begin. */
const LENGTH_FROM = 12
const CRC_FROM = 21

/**
 * The ranges of offsets from `fetchOffset` on: checked, without aborted records and markers (whose offsets remain as
 * ranges without records). A batch that the broker cut off at the end is left for the next fetch. Throws KafkaError `corrupt`.
 */
export function readRanges(fetched: FetchedPartition, fetchOffset: number): RecordRange[] {
  const { records } = fetched
  const isAborted = abortedFilter(fetched)
  const ranges: RecordRange[] = []
  for (let at = 0; at + BATCH_HEADER_BYTES <= records.length; ) {
    const size = LENGTH_FROM + records.readInt32BE(at + 8)
    if (size < BATCH_HEADER_BYTES) throw corrupt(`a batch of ${size} bytes`)
    if (at + size > records.length) break
    const batch = records.subarray(at, at + size)
    verify(batch)
    at += size
    const range = readRange(fetched, batch, fetchOffset)
    // Every batch passes the filter, those before the fetch offset too: their markers count.
    const visible = !isAborted(batch, range)
    if (range.lastOffset < fetchOffset) continue
    const before = ranges.at(-1)
    if (visible && range.records > 0) ranges.push(range)
    else if (before?.records === 0) before.lastOffset = range.lastOffset
    else ranges.push(withoutRecords(range))
  }
  return ranges
}

function verify(batch: Buffer): void {
  if (batch[16] !== MAGIC) throw corrupt(`a batch of format ${batch[16]}: only format 2 is read (Kafka 0.11 and later)`)
  const found = crc32c(batch.subarray(CRC_FROM))
  if (found !== batch.readUInt32BE(17)) throw corrupt('a batch fails its checksum')
}

function readRange(fetched: FetchedPartition, batch: Buffer, fetchOffset: number): RecordRange {
  const attributes = batch.readInt16BE(21)
  const compression = CODECS[attributes & CODEC_MASK]
  if (!compression) throw corrupt(`unknown compression ${attributes & CODEC_MASK}`)
  const baseOffset = safe(batch.readBigInt64BE(0))
  const head = {
    topic: fetched.topic,
    partition: fetched.partition,
    baseOffset,
    firstOffset: Math.max(baseOffset, fetchOffset),
    lastOffset: baseOffset + batch.readInt32BE(23),
    records: batch.readInt32BE(57),
    compression,
    baseTimestampMs: safe(batch.readBigInt64BE(27)),
    appendTimestampMs: attributes & APPEND_TIME ? safe(batch.readBigInt64BE(35)) : undefined,
    endOffset: fetched.lastStableOffset,
  }
  return createRange(head, batch.subarray(BATCH_HEADER_BYTES))
}

function withoutRecords({ topic, partition, firstOffset, lastOffset, endOffset }: RecordRange): RecordRange {
  const none = { records: 0, compression: 'none', baseTimestampMs: 0, appendTimestampMs: undefined } as const
  return createRange(
    { topic, partition, baseOffset: firstOffset, firstOffset, lastOffset, endOffset, ...none },
    Buffer.alloc(0),
  )
}

/**
 * Decides batch by batch, in order, whether its records are to be left out: control batches, and those of transactions that were
 * aborted. The broker lists every aborted transaction that overlaps the fetched range, also one that began before it;
 * several can be open at once. One is open from its first offset to its producer's next abort marker.
 */
function abortedFilter(fetched: FetchedPartition): (batch: Buffer, range: RecordRange) => boolean {
  const coming = fetched.aborted.toSorted((a, b) => a.firstOffset - b.firstOffset)
  const open = new Set<bigint>()
  let next = 0
  return (batch, range) => {
    for (let txn = coming[next]; txn && txn.firstOffset <= range.lastOffset; txn = coming[++next])
      open.add(txn.producerId)
    const attributes = batch.readInt16BE(21)
    const producerId = batch.readBigInt64BE(43)
    if (!(attributes & CONTROL)) return (attributes & TRANSACTIONAL) !== 0 && open.has(producerId)
    if (markerType(readRange(fetched, batch, 0)) === ABORT) open.delete(producerId)
    return true
  }
}

/** The key of a control record: version, type. */
function markerType(range: RecordRange): number {
  let type = -1
  range.visit(0, ({ buffer, keyStart, keyEnd }) => {
    if (keyEnd - keyStart >= 4) type = buffer.readInt16BE(keyStart + 2)
  })
  return type
}

function safe(value: bigint): number {
  const number = Number(value)
  if (!Number.isSafeInteger(number)) throw corrupt(`${value} is no safe integer`)
  return number
}

class Reader {
  readonly #buffer: Buffer
  #at = 0

  constructor(buffer: Buffer) {
    this.#buffer = buffer
  }

  skip(bytes: number): void {
    this.#at += bytes
  }

  int16(): number {
    this.#at += 2
    return this.#buffer.readInt16BE(this.#at - 2)
  }

  int32(): number {
    this.#at += 4
    return this.#buffer.readInt32BE(this.#at - 4)
  }

  bigint64(): bigint {
    this.#at += 8
    return this.#buffer.readBigInt64BE(this.#at - 8)
  }

  int64(): number {
    return safe(this.bigint64())
  }

  string(): string {
    const length = this.int16()
    this.#at += length
    return this.#buffer.toString('utf8', this.#at - length, this.#at)
  }

  /** Nullable bytes; an answer that ends within them gives what is there. */
  bytes(): Buffer {
    const length = Math.max(0, this.int32())
    this.#at += length
    return this.#buffer.subarray(this.#at - length, this.#at)
  }
}
