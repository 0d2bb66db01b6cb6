/** Wire types of protobuf: https://protobuf.dev/programming-guides/encoding/#structure */
export const VARINT = 0
export const FIXED64 = 1
export const LENGTH = 2
export const FIXED32 = 5

/**
 * Reads protobuf's wire form in place. It allocates nothing: a value is left in `lo`/`hi` (64 bits, unsigned halves)
 * or, for bytes, in `source`, `from` and `to`. Every method returns false when the bytes are no protobuf.
 */
export class Reader {
  buffer: Buffer = Buffer.alloc(0)
  pos = 0
  end = 0
  lo = 0
  hi = 0
  /** The bytes of the value last read: `source[from, to)`. Converters may put their own buffer here. */
  source: Buffer = this.buffer
  from = 0
  to = 0
  /** Why the last row was refused: field path and reason. */
  error = ''

  varint(): boolean {
    const { buffer, end } = this
    let pos = this.pos
    if (pos >= end) return false
    let byte = buffer[pos++] as number
    if (byte < 0x80) {
      this.lo = byte
      this.hi = 0
      this.pos = pos
      return true
    }
    let lo = byte & 0x7f
    let hi = 0
    for (let shift = 7; shift < 70; shift += 7) {
      if (pos >= end) return false
      byte = buffer[pos++] as number
      const bits = byte & 0x7f
      if (shift < 28) lo |= bits << shift
      else if (shift === 28) {
        lo |= bits << 28
        hi = bits >>> 4
      } else if (shift < 63) hi |= bits << (shift - 32)
      else hi |= (bits & 1) << 31
      if (byte < 0x80) {
        this.lo = lo >>> 0
        this.hi = hi >>> 0
        this.pos = pos
        return true
      }
    }
    return false
  }

  fixed64(): boolean {
    if (this.end - this.pos < 8) return false
    this.lo = this.buffer.readUInt32LE(this.pos)
    this.hi = this.buffer.readUInt32LE(this.pos + 4)
    this.pos += 8
    return true
  }

  fixed32(): boolean {
    if (this.end - this.pos < 4) return false
    this.lo = this.buffer.readUInt32LE(this.pos)
    this.hi = 0
    this.pos += 4
    return true
  }

  /** Length-delimited bytes into `source`, `from`, `to`. */
  bytes(): boolean {
    if (!this.varint() || this.hi !== 0 || this.lo > this.end - this.pos) return false
    this.source = this.buffer
    this.from = this.pos
    this.to = this.pos + this.lo
    this.pos = this.to
    return true
  }

  skip(wireType: number): boolean {
    if (wireType === VARINT) return this.varint()
    if (wireType === LENGTH) return this.bytes()
    const size = wireType === FIXED64 ? 8 : wireType === FIXED32 ? 4 : 0
    this.pos += size
    return size > 0 && this.pos <= this.end
  }

  /** Puts a number that fits into 53 bits, sign included, into `lo` and `hi`. */
  setNumber(value: number): void {
    this.lo = value >>> 0
    this.hi = Math.floor(value / 0x1_0000_0000) >>> 0
  }

  /** The 64 bits as a signed number; exact only within 53 bits. */
  signedNumber(): number {
    return (this.hi | 0) * 0x1_0000_0000 + this.lo
  }

  signedBigInt(): bigint {
    return (BigInt(this.hi | 0) << 32n) | BigInt(this.lo)
  }

  setBytes(source: Buffer): void {
    this.source = source
    this.from = 0
    this.to = source.length
  }
}
