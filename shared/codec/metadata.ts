import { compile } from './compile.ts'
import { int64, putWholeSource, setSafe } from './numbers.ts'
import { ROW_BYTES_MAX, RowBuffer } from './row-buffer.ts'

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

/** Of an event that Kafka has not carried; null: of no source either. */
export function originOutsideKafka(source: string | null): Origin {
  const none = { kafkaTopic: null, kafkaPartition: 0, kafkaOffset: 0 }
  return { source, position: 0, size: 0, ...none, ingestedAtMicros: Date.now() * 1000 }
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
export const CHANGING_MAX = 80

/** Writes the metadata column. What is the same for many events is encoded once and copied, eight bytes at a time. */
export class MetadataWriter {
  private readonly tag: number
  /** Where the event before came from. */
  private last: Origin = { ...originOutsideKafka(null), ingestedAtMicros: -1 }
  /** The column's tag, room for its length, and what does not change. */
  readonly fixed = new RowBuffer(512)
  lengthAt = 0

  /** @param number field number of the metadata column */
  constructor(number: number) {
    this.tag = number * 8 + 2
  }

  /** Writes the column and ends the row that began at the mark. Answers false when it is longer than ROW_BYTES_MAX. */
  finishRow(origin: Origin, out: RowBuffer, mark: number): boolean {
    this.look(origin)
    out.reserve(this.fixed.length + CHANGING_MAX)
    if (endCommonRow?.(out, mark, origin, this)) return true
    this.write(origin, out)
    if (out.length - mark > ROW_BYTES_MAX) return false
    out.commitRow(mark)
    return true
  }

  /** Turns to the place that an event comes from. */
  look(origin: Origin): void {
    const { last } = this
    if (
      origin.ingestedAtMicros !== last.ingestedAtMicros ||
      origin.kafkaPartition !== last.kafkaPartition ||
      origin.source !== last.source ||
      origin.kafkaTopic !== last.kafkaTopic
    )
      this.remember(origin)
  }

  private write(origin: Origin, out: RowBuffer): void {
    const { fixed } = this
    const mark = out.length + this.lengthAt
    out.copyWords(fixed.view, 0, fixed.length)
    if (origin.source !== null) {
      integer(out, POSITION, origin.position)
      integer(out, SIZE, origin.size)
    }
    if (origin.kafkaTopic !== null) integer(out, OFFSET, origin.kafkaOffset)
    out.patchLength(mark, 1)
  }

  private remember(origin: Origin): void {
    const { source, kafkaTopic, kafkaPartition, ingestedAtMicros } = origin
    const { fixed } = this
    this.last = { ...origin }
    fixed.clear()
    fixed.tag(this.tag)
    this.lengthAt = fixed.length
    fixed.length += 1
    if (source !== null) text(fixed, SOURCE, source)
    if (kafkaTopic !== null) {
      text(fixed, TOPIC, kafkaTopic)
      integer(fixed, PARTITION, kafkaPartition)
    }
    integer(fixed, INGESTED, ingestedAtMicros)
    fixed.reserve(CHANGING_MAX)
  }
}

/** A tag and a number, in line. */
const whole = (tag: number, name: keyof Origin) => `value = origin.${name}
  into.setInt8(o, ${tag})
  o = o + 1 | 0
  n = value | 0
  ${putWholeSource('value', 'n', 'high')}`

/**
 * The same in source: the column from `o` on and the end of the row that began at `mark`, in `into`, out.view, where
 * CHANGING_MAX has room behind what does not change. For a column shorter than 128 bytes in a row shorter than 16 KiB;
 * for others it answers false and has done nothing. In line and without calls: what V8 makes of `write` takes twice as long.
 */
export const COMMON_END = `const fixed = metadata.fixed.view, size = metadata.fixed.length | 0, lengthAt = o + metadata.lengthAt | 0
  const wide = out.lengthWidth | 0
  let n = 0, high = 0, value = 0
  for (let i = 0; i < size; i = i + 32 | 0) {
    into.setBigInt64(o + i | 0, fixed.getBigInt64(i, true), true)
    into.setBigInt64(o + i + 8 | 0, fixed.getBigInt64(i + 8 | 0, true), true)
    into.setBigInt64(o + i + 16 | 0, fixed.getBigInt64(i + 16 | 0, true), true)
    into.setBigInt64(o + i + 24 | 0, fixed.getBigInt64(i + 24 | 0, true), true)
  }
  o = o + size | 0
  if (origin.source !== null) {
    ${whole(POSITION, 'position')}
    ${whole(SIZE, 'size')}
  }
  if (origin.kafkaTopic !== null) {
    ${whole(OFFSET, 'kafkaOffset')}
  }
  n = o - lengthAt - 1 | 0
  const width = o - mark - 1 - wide | 0
  if (n > 127 || width > 0x3fff || wide !== (width < 128 ? 1 : 2)) return false
  into.setInt8(lengthAt, n)
  if (wide === 1) into.setInt8(mark + 1 | 0, width)
  else into.setInt16(mark + 1 | 0, (width & 127) | 128 | width >> 7 << 8, true)
  out.rows = out.rows + 1 | 0
  out.length = o
  return true`

const endCommonRow = compile<(out: RowBuffer, mark: number, origin: Origin, metadata: MetadataWriter) => boolean>(
  `function endCommonRow(out, mark, origin, metadata) {
  const into = out.view
  let o = out.length | 0
  ${COMMON_END}
}`,
  {},
)

function integer(out: RowBuffer, tag: number, value: number): void {
  out.tag(tag)
  setSafe(value)
  out.varint64(int64.low, int64.high)
}

function text(out: RowBuffer, tag: number, value: string): void {
  out.tag(tag)
  out.string(value)
}
