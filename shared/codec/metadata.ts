import type { RowBuffer } from './row-buffer.ts'

/** Where an event came from. Reused: the caller fills it anew for each event. */
export interface Origin {
  /** null: source, position and size are NULL. */
  source: string | null
  position: number
  size: number
  /** null: topic, partition and offset are NULL. */
  kafkaTopic: string | null
  kafkaPartition: number
  kafkaOffset: number
  ingestedAtMicros: number
}

/** Fields of the metadata record, by their place in shared/schema's withMetadata. */
const SOURCE_TAG = (1 << 3) | 2
const POSITION_TAG = 2 << 3
const SIZE_TAG = 3 << 3
const TOPIC_TAG = (4 << 3) | 2
const PARTITION_TAG = 5 << 3
const OFFSET_TAG = 6 << 3
const INGESTED_TAG = 7 << 3
/** Five integers of at most ten bytes with their tags, and the lengths around. */
const NUMBERS_MAX = 80

/** Writes the metadata column; the bytes of source and topic are made once for each change. */
export class MetadataWriter {
  private readonly tag: number
  private width = 1
  private source: string | null = null
  private sourceField: Buffer = Buffer.alloc(0)
  private topic: string | null = null
  private topicField: Buffer = Buffer.alloc(0)

  /** @param number field number of the metadata column */
  constructor(number: number) {
    this.tag = number * 8 + 2
  }

  write(origin: Origin, out: RowBuffer): void {
    if (origin.source !== this.source) this.rememberSource(origin.source)
    if (origin.kafkaTopic !== this.topic) this.rememberTopic(origin.kafkaTopic)
    out.reserve(this.sourceField.length + this.topicField.length + NUMBERS_MAX)
    out.varint(this.tag)
    const mark = out.length
    out.length += this.width
    if (origin.source !== null) {
      out.copy(this.sourceField, 0, this.sourceField.length)
      integerField(out, POSITION_TAG, origin.position)
      integerField(out, SIZE_TAG, origin.size)
    }
    if (origin.kafkaTopic !== null) {
      out.copy(this.topicField, 0, this.topicField.length)
      integerField(out, PARTITION_TAG, origin.kafkaPartition)
      integerField(out, OFFSET_TAG, origin.kafkaOffset)
    }
    integerField(out, INGESTED_TAG, origin.ingestedAtMicros)
    this.width = out.patchLength(mark, this.width)
  }

  private rememberSource(source: string | null): void {
    this.source = source
    this.sourceField = source === null ? Buffer.alloc(0) : stringField(SOURCE_TAG, source)
  }

  private rememberTopic(topic: string | null): void {
    this.topic = topic
    this.topicField = topic === null ? Buffer.alloc(0) : stringField(TOPIC_TAG, topic)
  }
}

function integerField(out: RowBuffer, tag: number, value: number): void {
  out.bytes[out.length++] = tag
  out.integer(value)
}

function stringField(tag: number, text: string): Buffer {
  const bytes = Buffer.from(text)
  const size = bytes.length
  const length =
    size < 128
      ? [size]
      : size < 16_384
        ? [(size & 127) | 128, size >> 7]
        : [(size & 127) | 128, ((size >> 7) & 127) | 128, size >> 14]
  return Buffer.concat([Buffer.from([tag, ...length]), bytes])
}
