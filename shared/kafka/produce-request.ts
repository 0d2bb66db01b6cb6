import { crc32c } from '@node-rs/crc32'
import Encoder from 'kafkajs/src/protocol/encoder.js'
import { CODECS } from './compression.ts'
import { KafkaError } from './errors.ts'
import { BATCH_LENGTH_FROM, MAGIC, TRANSACTIONAL } from './record-batch.ts'
import type { PartitionBatch, SealedBatch } from './types.ts'

/** What stands where kafkajs keeps the messages of one partition; it adds `length` to its sequence number. */
export class EncodedPartition {
  readonly batch: SealedBatch
  #sequence: number | undefined

  constructor(batch: SealedBatch) {
    this.batch = batch
  }

  get length(): number {
    return this.batch.records
  }

  /**
   * With several leaders kafkajs begins a send anew when one of them fails, though another one has its part, or is about to. Under the
   * same sequence number the broker stores a batch once; under a second one, twice. Throws KafkaError then: the transaction is over.
   */
  sentAs(sequence: number): void {
    this.#sequence ??= sequence
    if (this.#sequence !== sequence) throw new KafkaError('refused', 'STORED_ALREADY', 'a leader moved amid a send')
  }
}

/**
 * What stands where kafkajs expects the array of a topic's messages. Of it kafkajs calls `find` (is there a message without
 * value?) and `reduce` (group by partition), and nothing else: producer/messageProducer.js, groupMessagesPerPartition.js.
 */
export class EncodedTopic {
  readonly #partitions: Record<number, EncodedPartition>

  /** At most one batch for a partition: the broker refuses a request with two. */
  constructor(batches: readonly PartitionBatch[]) {
    this.#partitions = Object.fromEntries(
      batches.map(({ partition, batch }) => [partition, new EncodedPartition(batch)]),
    )
    if (Object.keys(this.#partitions).length < batches.length) throw new RangeError('two batches for a partition')
  }

  find(): undefined {
    return undefined
  }

  reduce(): Record<number, EncodedPartition> {
    return this.#partitions
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

/** The body of a Produce request, versions 3 to 7, which have one form: in parts, so that records are never copied. */
export class ProduceBody {
  readonly length: number
  readonly parts: readonly Buffer[]

  constructor(options: ProduceOptions) {
    const { transactionalId = null, acks, timeout, topicData } = options
    const head = new Encoder().writeString(transactionalId).writeInt16(acks).writeInt32(timeout)
    const parts: Buffer[] = [head.writeInt32(topicData.length).buffer]
    for (const { topic, partitions } of topicData) {
      parts.push(new Encoder().writeString(topic).writeInt32(partitions.length).buffer)
      for (const { partition, firstSequence, messages } of partitions) {
        messages.sentAs(firstSequence)
        parts.push(batchHead(options, partition, firstSequence, messages.batch), messages.batch.body)
      }
    }
    this.parts = parts
    this.length = parts.reduce((sum, part) => sum + part.length, 0)
  }
}

/**
 * Partition, size of its records, and the header of the one RecordBatch in them. Made when the request is, because producer id,
 * epoch and sequence are under its checksum. https://kafka.apache.org/documentation/#recordbatch
 */
function batchHead(options: ProduceOptions, partition: number, sequence: number, batch: SealedBatch): Buffer {
  const { transactionalId, producerId, producerEpoch } = options
  const checked = new Encoder()
    .writeInt16(CODECS.indexOf(batch.compression) | (transactionalId === undefined ? 0 : TRANSACTIONAL))
    .writeInt32(batch.records - 1)
    .writeInt64(batch.baseTimestampMs)
    .writeInt64(batch.maxTimestampMs)
    .writeInt64(producerId)
    .writeInt16(producerEpoch)
    .writeInt32(sequence)
    .writeInt32(batch.records)
  return new Encoder()
    .writeInt32(partition)
    .writeInt32(batch.bytes)
    .writeInt64(0) // base offset: the broker's, like the leader epoch below
    .writeInt32(batch.bytes - BATCH_LENGTH_FROM)
    .writeInt32(-1)
    .writeInt8(MAGIC)
    .writeUInt32(crc32c(batch.body, crc32c(checked.buffer)))
    .writeEncoder(checked).buffer
}
