import { afterNuls, ExtentCutter } from './cutter.ts'
import { BAD_LENGTH, type Events, TOO_LONG, TRUNCATED } from './events.ts'

/** So many zero bytes in a row are a hole, at least a sector that was never written; fewer are empty messages. */
export const HOLE_BYTES = 512

/** A length of more bytes, or beyond 2^31 - 1, is no length: protobuf's own limit for a message. */
const LENGTH_BYTES_MAX = 5
const MESSAGE_BYTES_MAX = 2 ** 31 - 1

/** Needs more bytes. */
const INCOMPLETE = -1
/** Can be no length: whatever follows cannot be cut any more. */
const MALFORMED = -2

/**
 * Messages led by their length as a varint. An empty message is a zero byte, and so is a hole: where a run of them ends
 * decides. After a malformed length the rest of the source is one dead extent, known when the source is finished.
 */
export class DelimitedCutter extends ExtentCutter {
  /** Bytes still to pass of a message that is too long. */
  #passing = 0
  /** Inside a hole, of which the beginning is consumed. */
  #hole = false
  #lost = false
  #length = 0

  protected scan(buffer: Buffer, start: number, end: number, final: boolean, into: Events): number {
    let at = start
    while (at < end && into.count < into.capacity && !this.#lost) {
      if (this.#passing > 0) {
        at = this.#pass(at, end, into)
        continue
      }
      if (this.#hole || buffer[at] === 0) {
        const next = this.#zeros(buffer, at, end, final, into)
        if (next === INCOMPLETE) break
        at = next
        continue
      }
      const body = this.#readLength(buffer, at, end)
      if (body === INCOMPLETE) break
      if (body === MALFORMED) this.#lost = true
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

  /** Empty messages, or a hole, or the rest of one; too early to tell while a short run may go on. */
  #zeros(buffer: Buffer, start: number, end: number, final: boolean, into: Events): number {
    const stop = afterNuls(buffer, start, end)
    const ended = final || stop < end
    if (this.#hole || stop - start >= HOLE_BYTES) {
      // Not before its end is seen: a reader that began in its middle could take the rest for messages.
      this.#hole = !ended
      if (ended) this.absorb(stop, into)
      return stop
    }
    if (!ended) return INCOMPLETE
    let at = start
    for (; at < stop && into.count < into.capacity; at++) this.emit(at + 1, at + 1, at + 1, 0, into)
    return at
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
