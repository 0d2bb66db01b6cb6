import { putWhole } from './numbers.ts'
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

/** Tags of the metadata record's fields, by their place in shared/schema's withMetadata. */
const SOURCE = 1 * 8 + 2
const POSITION = 2 * 8
const SIZE = 3 * 8
const TOPIC = 4 * 8 + 2
const PARTITION = 5 * 8
const OFFSET = 6 * 8
const INGESTED = 7 * 8
/** Three integers with their tags, and what is written beyond them a word at a time. */
const CHANGING_MAX = 64

/** Writes the metadata column. What is the same for many events is encoded once and copied, eight bytes at a time. */
export class MetadataWriter {
  private readonly tag: number
  private source: string | null = null
  private topic: string | null = null
  private partition = -1
  private ingestedAt = -1
  /** The column's tag, room for its length, and what does not change. */
  private readonly fixed = new RowBuffer(512)
  private lengthAt = 0
  private lengthWidth = 1

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
    const { fixed, lengthWidth } = this
    const size = fixed.length
    const start = out.length
    if (start + size + CHANGING_MAX > out.bytes.length) out.reserve(size + CHANGING_MAX)
    const { view } = out
    const words = fixed.view
    for (let i = 0; i < size; i += 8) view.setBigInt64(start + i, words.getBigInt64(i, true), true)
    let at = start + size
    if (origin.source !== null) {
      view.setInt8(at, POSITION)
      at = putWhole(view, at + 1, origin.position)
      view.setInt8(at, SIZE)
      at = putWhole(view, at + 1, origin.size)
    }
    if (origin.kafkaTopic !== null) {
      view.setInt8(at, OFFSET)
      at = putWhole(view, at + 1, origin.kafkaOffset)
    }
    out.length = at
    const mark = start + this.lengthAt
    const length = at - mark - lengthWidth
    if (lengthWidth === 1 && length < 128) view.setInt8(mark, length)
    else this.widen(out.patchLength(mark, lengthWidth))
  }

  /** The length took so many bytes: the next ones get the room, as long as they come from the same place. */
  private widen(width: number): void {
    if (width <= this.lengthWidth) return
    this.lengthWidth = width
    this.ingestedAt = -1
  }

  private remember(origin: Origin): void {
    const { source, kafkaTopic, kafkaPartition, ingestedAtMicros } = origin
    this.source = source
    this.topic = kafkaTopic
    this.partition = kafkaPartition
    this.ingestedAt = ingestedAtMicros
    const { fixed } = this
    fixed.clear()
    fixed.tag(this.tag)
    this.lengthAt = fixed.length
    fixed.length += this.lengthWidth
    if (source !== null) text(fixed, SOURCE, source)
    fixed.reserve(CHANGING_MAX)
    if (kafkaTopic !== null) {
      text(fixed, TOPIC, kafkaTopic)
      fixed.reserve(CHANGING_MAX)
      integer(fixed, PARTITION, kafkaPartition)
    }
    integer(fixed, INGESTED, ingestedAtMicros)
  }
}

function integer(out: RowBuffer, tag: number, value: number): void {
  out.varint(tag)
  out.length = putWhole(out.view, out.length, value)
}

function text(out: RowBuffer, tag: number, value: string): void {
  const bytes = Buffer.from(value)
  out.tag(tag)
  out.lengthAndCopy(bytes, 0, bytes.length)
}
