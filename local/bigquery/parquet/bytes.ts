/** A buffer that grows by doubling. Its content is `buffer[0, length)`; `clear` keeps the memory for the next batch. */
export class GrowingBuffer {
  buffer: Buffer
  length = 0

  constructor(capacity = 1024) {
    this.buffer = Buffer.allocUnsafe(capacity)
  }

  /** Makes room for `size` more bytes. */
  reserve(size: number): void {
    const needed = this.length + size
    if (needed <= this.buffer.length) return
    const grown = Buffer.allocUnsafe(Math.max(needed, this.buffer.length * 2))
    this.buffer.copy(grown, 0, 0, this.length)
    this.buffer = grown
  }

  byte(value: number): void {
    this.reserve(1)
    this.buffer[this.length++] = value
  }

  uint32(value: number): void {
    this.reserve(4)
    this.buffer.writeUInt32LE(value, this.length)
    this.length += 4
  }

  /** An unsigned number below 2^53 in base 128. */
  varint(value: number): void {
    let rest = value
    this.reserve(8)
    while (rest >= 0x80) {
      this.buffer[this.length++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.buffer[this.length++] = rest
  }

  copy(source: Buffer, from: number, to: number): void {
    const size = to - from
    this.reserve(size)
    source.copy(this.buffer, this.length, from, to)
    this.length += size
  }

  content(): Buffer {
    return this.buffer.subarray(0, this.length)
  }

  clear(): void {
    this.length = 0
  }
}
