import { crc32c } from '@node-rs/crc32'
import { CODECS } from './compression.ts'
import { BATCH_HEADER_BYTES } from './record-batch.ts'
import type { SealedBatch } from './types.ts'

/** What stands where kafkajs keeps the messages of one partition; it adds `length` to its sequence number. */
export class EncodedPartition {
  readonly batch: SealedBatch

  constructor(batch: SealedBatch) {
    this.batch = batch
  }

  get length(): number {
    return this.batch.records
  }
}

/**
 * What stands where kafkajs expects the array of a topic's messages. Of it kafkajs calls `find` (is there a message without
 * value?) and `reduce` (group by partition), and nothing else: producer/messageProducer.js, groupMessagesPerPartition.js.
 */
export class EncodedTopic {
  readonly #byPartition: Record<number, EncodedPartition> = {}

  /** One batch for a partition: the broker refuses a request with two. */
  add(partition: number, batch: SealedBatch): boolean {
    if (this.#byPartition[partition]) return false
    this.#byPartition[partition] = new EncodedPartition(batch)
    return true
  }

  find(): undefined {
    return undefined
  }

  reduce(): Record<number, EncodedPartition> {
    return this.#byPartition
  }
}

/** The options of kafkajs's produce request, with encoded partitions. */
export interface ProduceOptions {
  readonly acks: number
  readonly timeout: number
  readonly transactionalId?: string
  readonly producerId: string | number
  readonly producerEpoch: number
  readonly topicData: readonly {
    readonly topic: string
    readonly partitions: readonly { partition: number; firstSequence: number; messages: EncodedPartition }[]
  }[]
}

/** Whether a request of kafkajs carries our batches (all of them do, or none: one call of `sendBatch` makes one request). */
export function isEncoded(options: Readonly<Record<string, unknown>>): boolean {
  const topics = options['topicData'] as readonly { partitions: readonly { messages: unknown }[] }[]
  return topics[0]?.partitions[0]?.messages instanceof EncodedPartition
}

/** The body of a Produce request, versions 3 to 7, which have one form: in parts, so that it is copied once. */
export class ProduceBody {
  readonly length: number
  readonly #parts: readonly Buffer[]

  constructor(options: ProduceOptions) {
    const parts: Buffer[] = [requestHead(options)]
    for (const { topic, partitions } of options.topicData) {
      parts.push(topicHead(topic, partitions.length))
      for (const { partition, firstSequence, messages } of partitions) {
        parts.push(batchHead(options, partition, firstSequence, messages.batch), messages.batch.body)
      }
    }
    this.#parts = parts
    this.length = parts.reduce((sum, part) => sum + part.length, 0)
  }

  copyTo(target: Buffer, start: number): void {
    let at = start
    for (const part of this.#parts) at += part.copy(target, at)
  }
}

function requestHead({ transactionalId, acks, timeout, topicData }: ProduceOptions): Buffer {
  const id = transactionalId === undefined ? undefined : Buffer.from(transactionalId)
  const head = Buffer.alloc(2 + (id?.length ?? 0) + 2 + 4 + 4)
  let at = head.writeInt16BE(id?.length ?? -1, 0)
  if (id) at += id.copy(head, at)
  at = head.writeInt16BE(acks, at)
  at = head.writeInt32BE(timeout, at)
  head.writeInt32BE(topicData.length, at)
  return head
}

function topicHead(topic: string, partitions: number): Buffer {
  const name = Buffer.from(topic)
  const head = Buffer.alloc(2 + name.length + 4)
  head.writeInt16BE(name.length, 0)
  name.copy(head, 2)
  head.writeInt32BE(partitions, 2 + name.length)
  return head
}

/** Partition, size of its records, and the header of the one RecordBatch in them. */
const PARTITION_HEAD_BYTES = 8
const TRANSACTIONAL = 0x10
const MAGIC = 2
/** What a batch's length counts, and what its checksum covers, begin here. */
const LENGTH_FROM = 12
const CRC_FROM = 21

/** The header is made when the request is, because producer id, epoch and sequence are under its checksum. */
function batchHead(options: ProduceOptions, partition: number, sequence: number, batch: SealedBatch): Buffer {
  const head = Buffer.alloc(PARTITION_HEAD_BYTES + BATCH_HEADER_BYTES)
  head.writeInt32BE(partition, 0)
  head.writeInt32BE(batch.bytes, 4)
  const header = head.subarray(PARTITION_HEAD_BYTES)
  header.writeInt32BE(batch.bytes - LENGTH_FROM, 8)
  header.writeInt32BE(-1, 12) // leader epoch: the broker's
  header[16] = MAGIC
  const attributes = CODECS.indexOf(batch.compression) | (options.transactionalId === undefined ? 0 : TRANSACTIONAL)
  header.writeInt16BE(attributes, 21)
  header.writeInt32BE(batch.records - 1, 23)
  header.writeBigInt64BE(BigInt(batch.baseTimestampMs), 27)
  header.writeBigInt64BE(BigInt(batch.maxTimestampMs), 35)
  header.writeBigInt64BE(BigInt(options.producerId), 43)
  header.writeInt16BE(options.producerEpoch, 51)
  header.writeInt32BE(sequence, 53)
  header.writeInt32BE(batch.records, 57)
  header.writeUInt32BE(crc32c(batch.body, crc32c(header.subarray(CRC_FROM))), 17)
  return head
}
