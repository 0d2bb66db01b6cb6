import { RowBuffer } from './row-buffer.ts'

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
const SOURCE = 1
const POSITION = 2
const SIZE = 3
const TOPIC = 4
const PARTITION = 5
const OFFSET = 6
const INGESTED = 7
/** Three integers with their tags, the column's tag and length, and the last word of the fixed part. */
const CHANGING_MAX = 48

/** Writes the metadata column. What is the same for many events is encoded once and copied. */
export class MetadataWriter {
  private readonly tag: number
  private width = 1
  private source: string | null = null
  private topic: string | null = null
  private partition = -1
  private ingestedAt = -1
  private readonly fixed = new RowBuffer(512)

  /** @param number field number of the metadata column */
  constructor(number: number) {
    this.tag = number * 8 + 2
  }

  write(origin: Origin, out: RowBuffer): void {
    if (
      origin.ingestedAtMicros !== this.ingestedAt ||
      origin.kafkaPartition !== this.partition ||
      origin.source !== this.source ||
      origin.kafkaTopic !== this.topic
    )
      this.remember(origin)
    const { fixed } = this
    out.reserve(fixed.length + CHANGING_MAX)
    out.varint(this.tag)
    const mark = out.length
    out.length = mark + this.width
    out.copyWords(fixed.view, 0, fixed.length)
    if (origin.source !== null) {
      integer(out, POSITION, origin.position)
      integer(out, SIZE, origin.size)
    }
    if (origin.kafkaTopic !== null) integer(out, OFFSET, origin.kafkaOffset)
    this.width = out.patchLength(mark, this.width)
  }

  private remember(origin: Origin): void {
    const { source, kafkaTopic, kafkaPartition, ingestedAtMicros } = origin
    this.source = source
    this.topic = kafkaTopic
    this.partition = kafkaPartition
    this.ingestedAt = ingestedAtMicros
    const { fixed } = this
    fixed.clear()
    if (source !== null) text(fixed, SOURCE, source)
    if (kafkaTopic !== null) {
      text(fixed, TOPIC, kafkaTopic)
      fixed.reserve(CHANGING_MAX)
      integer(fixed, PARTITION, kafkaPartition)
    }
    fixed.reserve(CHANGING_MAX)
    integer(fixed, INGESTED, ingestedAtMicros)
  }
}

function integer(out: RowBuffer, field: number, value: number): void {
  out.varint(field * 8)
  out.integer(value)
}

function text(out: RowBuffer, field: number, value: string): void {
  const bytes = Buffer.from(value)
  out.tag(field * 8 + 2)
  out.lengthAndCopy(bytes, 0, bytes.length)
}
