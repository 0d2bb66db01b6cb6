import { crc32c } from '@node-rs/crc32'
import Decoder from 'kafkajs/src/protocol/decoder.js'
import { CODECS } from './compression.ts'
import { corrupt, safeInteger } from './errors.ts'
import { SharedMemory } from './memory.ts'
import { BATCH_HEADER_BYTES, BATCH_LENGTH_FROM, MAGIC, TRANSACTIONAL } from './record-batch.ts'
import { createRange, type RecordRange } from './record-range.ts'

/** One partition of a Fetch answer, its records not looked at yet. */
export type FetchedPartition = ReturnType<typeof readPartition>

/**
 * Reads a Fetch answer of versions 4 to 11, as kafkajs's protocol/requests/fetch describes them, down to the RecordBatches.
 * Errors of single partitions stay values: kafkajs would throw the first of them and drop what the others brought.
 */
export function decodeFetch(payload: Buffer, version: number): { throttleMs: number; partitions: FetchedPartition[] } {
  const decoder = new Decoder(payload)
  const memory = new SharedMemory(payload)
  const throttleMs = decoder.readInt32()
  if (version >= 7) decoder.readBytes(6) // error code and id of a fetch session: none is used
  const topics = decoder.readArray(() => {
    const topic = decoder.readString() ?? ''
    return decoder.readArray(() => readPartition(decoder, topic, version, memory))
  })
  return { throttleMs, partitions: topics.flat() }
}

function readPartition(decoder: Decoder, topic: string, version: number, memory: SharedMemory) {
  const partition = decoder.readInt32()
  const errorCode = decoder.readInt16()
  const highWatermark = safeInteger(decoder.readInt64())
  const lastStable = safeInteger(decoder.readInt64())
  if (version >= 5) decoder.readInt64() // log start
  const aborted = decoder.readArray(() => ({
    producerId: decoder.readInt64(),
    firstOffset: safeInteger(decoder.readInt64()),
  }))
  if (version >= 11) decoder.readInt32() // preferred replica: leaders are read
  const records = decoder.readBytes() ?? Buffer.alloc(0)
  /** How far a read_committed consumer can read. */
  const lastStableOffset = lastStable < 0 ? highWatermark : lastStable
  return { topic, partition, errorCode, lastStableOffset, aborted, records, memory }
}

const CODEC_MASK = 0x07
const APPEND_TIME = 0x08
const CONTROL = 0x20
const ABORT = 0
/** Where the bytes under a batch's checksum begin. */
const CRC_FROM = 21

/**
 * The ranges of offsets from `fetchOffset` on: checked, without aborted records and markers (whose offsets remain as
 * ranges without records). A batch that the broker cut off at the end is left for the next fetch. Throws KafkaError `corrupt`.
 */
export function readRanges(fetched: FetchedPartition, fetchOffset: number): RecordRange[] {
  const { records } = fetched
  const isHidden = hiddenFilter(fetched)
  const ranges: RecordRange[] = []
  for (let at = 0; at + BATCH_HEADER_BYTES <= records.length; ) {
    const size = BATCH_LENGTH_FROM + records.readInt32BE(at + 8)
    if (size < BATCH_HEADER_BYTES) throw corrupt(`a batch of ${size} bytes`)
    if (at + size > records.length) break
    const batch = records.subarray(at, at + size)
    verify(batch)
    at += size
    // Every batch passes the filter, those before the fetch offset too: their markers count.
    const range = readRange(fetched, batch, fetchOffset, isHidden(batch))
    if (range.lastOffset < fetchOffset) continue
    const before = ranges.at(-1)
    if (range.records === 0 && before?.records === 0) before.lastOffset = range.lastOffset
    else {
      ranges.push(range)
      if (range.records > 0) fetched.memory.hold() // until it is released
    }
  }
  return ranges
}

function verify(batch: Buffer): void {
  if (batch[16] !== MAGIC) throw corrupt(`a batch of format ${batch[16]}: only format 2 is read (Kafka 0.11 and later)`)
  const found = crc32c(batch.subarray(CRC_FROM))
  if (found !== batch.readUInt32BE(17)) throw corrupt('a batch fails its checksum')
}

function readRange(fetched: FetchedPartition, batch: Buffer, fetchOffset: number, hidden: boolean): RecordRange {
  const attributes = batch.readInt16BE(21)
  const compression = CODECS[attributes & CODEC_MASK]
  if (!compression) throw corrupt(`unknown compression ${attributes & CODEC_MASK}`)
  const baseOffset = safeInteger(batch.readBigInt64BE(0))
  const records = hidden ? 0 : batch.readInt32BE(57)
  const head = {
    topic: fetched.topic,
    partition: fetched.partition,
    baseOffset,
    firstOffset: Math.max(baseOffset, fetchOffset),
    lastOffset: lastOffsetOf(batch),
    records,
    compression: records > 0 ? compression : 'none',
    // Producers write what they like, nanoseconds too: no reason to give up their records.
    baseTimestampMs: Number(batch.readBigInt64BE(27)),
    appendTimestampMs: attributes & APPEND_TIME ? Number(batch.readBigInt64BE(35)) : undefined,
    endOffset: fetched.lastStableOffset,
  }
  if (records === 0) return createRange(head, Buffer.alloc(0))
  return createRange(head, batch.subarray(BATCH_HEADER_BYTES), fetched.memory)
}

function lastOffsetOf(batch: Buffer): number {
  return safeInteger(batch.readBigInt64BE(0)) + batch.readInt32BE(23)
}

/**
 * Decides batch by batch, in order, whether its records are to be left out: control batches, and those of transactions that were
 * aborted. The broker lists every aborted transaction that overlaps the fetched range, also one that began before it;
 * several can be open at once. One is open from its first offset to its producer's next abort marker.
 */
function hiddenFilter(fetched: FetchedPartition): (batch: Buffer) => boolean {
  const coming = fetched.aborted.toSorted((a, b) => a.firstOffset - b.firstOffset)
  const open = new Set<bigint>()
  return (batch) => {
    const lastOffset = lastOffsetOf(batch)
    while (coming[0] && coming[0].firstOffset <= lastOffset) {
      open.add(coming[0].producerId)
      coming.shift()
    }
    const attributes = batch.readInt16BE(21)
    const producerId = batch.readBigInt64BE(43)
    if (!(attributes & CONTROL)) return (attributes & TRANSACTIONAL) !== 0 && open.has(producerId)
    if (markerType(readRange(fetched, batch, 0, false)) === ABORT) open.delete(producerId)
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
