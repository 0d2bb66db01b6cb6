/** An append is less than 10 MB with everything around the rows (Storage Write API: requests). */
export const ROW_BYTES_MAX = 9 * 1024 * 1024
/** Room that a row's own length takes at first; most rows are longer than 127 bytes and shorter than 16 KiB. */
const ROW_LENGTH_WIDTH = 2
/** A tag and the longest number behind it. */
export const SCALAR_MAX = 16
/** Bytes that copyWords copies at a time. */
export const WORDS = 16
export const ENTRY_TAG = 0x0a
/** Below this a loop copies faster than a call into the runtime. */
const LOOP_COPY_MAX = 32

/**
 * Rows back to back as `serialized_rows` entries (tag 0x0a, length, row): the body of AppendRows' ProtoRows. One is
 * filled, sent and cleared again and again; it grows for an outlier and keeps the size.
 */
export class RowBuffer {
  bytes: Buffer
  view: DataView
  /** Bytes used; while a row is written, where its next byte goes. */
  length = 0
  rows = 0
  /** Bytes that are left for a row's length. */
  lengthWidth = ROW_LENGTH_WIDTH

  /** @param capacity bytes to begin with */
  constructor(capacity: number) {
    this.bytes = Buffer.allocUnsafeSlow(Math.max(capacity, 64))
    this.view = new DataView(this.bytes.buffer)
  }

  clear(): void {
    this.length = 0
    this.rows = 0
  }

  /** The entries of all rows, without copying. */
  slice(): Buffer {
    return this.bytes.subarray(0, this.length)
  }

  /** Leaves room for a row's tag and length. Answers the mark for commitRow: as length, it forgets the row. */
  beginRow(): number {
    const mark = this.length
    if (mark + SCALAR_MAX > this.bytes.length) this.grow(SCALAR_MAX)
    this.bytes[mark] = ENTRY_TAG
    this.length = mark + 1 + this.lengthWidth
    return mark
  }

  commitRow(mark: number): void {
    this.lengthWidth = this.patchLength(mark + 1, this.lengthWidth)
    this.rows++
  }

  /** Makes sure that so many bytes can follow. */
  reserve(count: number): void {
    if (this.length + count > this.bytes.length) this.grow(count)
  }

  /** An unsigned number below 2^32; needs 5 bytes. Answers 0, as all that writes values and cannot fail. */
  varint(value: number): 0 {
    const { bytes } = this
    let at = this.length
    let rest = value
    while (rest > 127) {
      bytes[at++] = (rest & 127) | 128
      rest >>>= 7
    }
    bytes[at++] = rest
    this.length = at
    return 0
  }

  /** A field's tag, and room for the longest number behind it. */
  tag(value: number): void {
    if (this.length + SCALAR_MAX > this.bytes.length) this.grow(SCALAR_MAX)
    if (value < 128) this.bytes[this.length++] = value
    else this.varint(value)
  }

  /** 64 bits in two halves; needs 10 bytes. */
  varint64(low: number, high: number): 0 {
    const { bytes } = this
    let at = this.length
    let lo = low
    let hi = high
    while (hi !== 0) {
      bytes[at++] = (lo & 127) | 128
      lo = (lo >>> 7) | (hi << 25)
      hi >>>= 7
    }
    while (lo >>> 0 > 127) {
      bytes[at++] = (lo & 127) | 128
      lo >>>= 7
    }
    bytes[at++] = lo
    this.length = at
    return 0
  }

  /** An int32 as protobuf has it: negative ones take ten bytes. */
  int32(value: number): 0 {
    return value >= 0 ? this.varint(value) : this.varint64(value, -1)
  }

  double(value: number): 0 {
    this.view.setFloat64(this.length, value, true)
    this.length += 8
    return 0
  }

  float(value: number): 0 {
    this.view.setFloat32(this.length, value, true)
    this.length += 4
    return 0
  }

  /** Copies source[start, end); the room must be there. */
  copy(source: Buffer, start: number, end: number): void {
    const { bytes, length } = this
    if (end - start > LOOP_COPY_MAX) source.copy(bytes, length, start, end)
    else for (let i = start, at = length; i < end; i++) bytes[at++] = source[i] as number
    this.length = length + end - start
  }

  /** Copies view[start, end), sixteen bytes at a time: reads, and needs room for, up to fifteen more. */
  copyWords(source: DataView, start: number, end: number): void {
    const { view } = this
    let o = this.length
    for (let p = start; p < end; p += WORDS, o += WORDS) {
      view.setBigInt64(o, source.getBigInt64(p, true), true)
      view.setBigInt64(o + 8, source.getBigInt64(p + 8, true), true)
    }
    this.length += end - start
  }

  /** A text without its length, with the room that it needs. */
  text(value: string): void {
    this.reserve(value.length * 3)
    this.length += this.bytes.write(value, this.length)
  }

  /** A text with its length, and the room that they need. */
  string(value: string): 0 {
    const bytes = Buffer.from(value)
    return this.lengthAndCopy(bytes, 0, bytes.length)
  }

  /** A length and source[start, end), with the room that they need. */
  lengthAndCopy(source: Buffer, start: number, end: number): 0 {
    this.reserve(end - start + 5)
    this.varint(end - start)
    this.copy(source, start, end)
    return 0
  }

  /**
   * Writes the length of what follows the `width` bytes reserved at `at`, and moves it when the length needs another
   * width. Answers the width, the best guess for the next time.
   */
  patchLength(at: number, width: number): number {
    const size = this.length - at - width
    const needed = size < 0x80 ? 1 : size < 0x4000 ? 2 : size < 0x200000 ? 3 : size < 0x10000000 ? 4 : 5
    if (needed !== width) {
      this.reserve(needed)
      this.bytes.copyWithin(at + needed, at + width, this.length)
    }
    const end = at + needed + size
    this.length = at
    this.varint(size)
    this.length = end
    return needed
  }

  private grow(count: number): void {
    const bytes = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, this.length + count))
    this.bytes.copy(bytes, 0, 0, this.length)
    this.bytes = bytes
    this.view = new DataView(bytes.buffer)
  }
}
