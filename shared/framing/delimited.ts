import { ExtentCutter } from './cutter.ts'
import { BAD_LENGTH, type Events, TOO_LONG, TRUNCATED } from './events.ts'

/** A length of more bytes, or beyond 2^31 - 1, is no length: protobuf's own limit for a message. */
const LENGTH_BYTES_MAX = 5
const MESSAGE_BYTES_MAX = 2 ** 31 - 1

/** Needs more bytes. */
const INCOMPLETE = -1
/** Can be no length: whatever follows cannot be cut any more. */
const MALFORMED = -2

/**
 * Messages led by their length as a varint. A length of zero is no event: a NUL hole looks the same. After a
 * malformed length the rest of the source is one dead extent, known when the source is finished.
 */
export class DelimitedCutter extends ExtentCutter {
  /** Bytes still to pass of a message that is too long. */
  #passing = 0
  #lost = false
  #length = 0

  protected scan(buffer: Buffer, start: number, end: number, final: boolean, into: Events): number {
    let at = start
    while (at < end && into.count < into.capacity && !this.#lost) {
      if (this.#passing > 0) {
        at = this.#pass(at, end, into)
        continue
      }
      const body = this.#readLength(buffer, at, end)
      if (body === INCOMPLETE) break
      if (body === MALFORMED) this.#lost = true
      else if (this.#length === 0) this.absorb((at = body), into)
      else if (this.#length > this.maxEventBytes) {
        this.#passing = this.#length
        at = body
      } else if (body + this.#length > end) break
      else {
        at = body + this.#length
        this.emit(body, at, at, 0, into)
      }
    }
    if (this.#lost) at = end
    return final && into.count < into.capacity ? this.#end(at, end, into) : at
  }

  #pass(at: number, end: number, into: Events): number {
    const passed = Math.min(this.#passing, end - at)
    this.#passing -= passed
    if (this.#passing === 0) this.emit(0, 0, at + passed, TOO_LONG, into)
    return at + passed
  }

  /** What is left when nothing follows: a message without its end, or bytes that could not be cut. */
  #end(at: number, end: number, into: Events): number {
    if (this.#lost) this.emit(0, 0, end, BAD_LENGTH, into)
    else if (at < end || this.#passing > 0) this.emit(0, 0, end, TRUNCATED, into)
    this.#lost = false
    this.#passing = 0
    return end
  }

  /** The index behind the length at `start`, which goes to `#length`. */
  #readLength(buffer: Buffer, start: number, end: number): number {
    let length = 0
    for (let i = 0; i < LENGTH_BYTES_MAX; i++) {
      if (start + i >= end) return INCOMPLETE
      const byte = buffer[start + i]!
      length += (byte & 0x7f) * 2 ** (7 * i)
      if (byte < 0x80) {
        this.#length = length
        return length > MESSAGE_BYTES_MAX ? MALFORMED : start + i + 1
      }
    }
    return MALFORMED
  }
}
