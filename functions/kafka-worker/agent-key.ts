/** An agent's source: 26 lower-case base32 characters, and `~n` when several files share it. */
const SOURCE_BYTES = 26
const AT = 0x40
const PLUS = 0x2b
const TILDE = 0x7e
const ZERO = 0x30
/** A safe integer has at most 16 digits; 15 always fit. */
const DIGITS_MAX = 15

/**
 * Reads keys of the form `<source>@<position>+<size>` without making a string for each: keys that follow each other mostly have the
 * same source. What it read stands in its fields.
 */
export class AgentKey {
  source = ''
  position = 0
  size = 0
  #sourceBytes = Buffer.alloc(0)

  /** False: not an agent's key; the fields mean nothing then. */
  read(buffer: Buffer, start: number, end: number): boolean {
    let at = start + SOURCE_BYTES
    if (start < 0 || at >= end) return false
    if (buffer[at] === TILDE) {
      at++
      while (at < end && isDigit(buffer[at])) at++
    }
    if (buffer[at] !== AT) return false
    const plus = this.#digits(buffer, at + 1, end)
    if (plus < 0 || buffer[plus] !== PLUS) return false
    this.position = this.#number
    if (this.#digits(buffer, plus + 1, end) !== end) return false
    this.size = this.#number
    return this.#readSource(buffer, start, at)
  }

  #number = 0

  /** The offset behind one or more digits, or -1. */
  #digits(buffer: Buffer, start: number, end: number): number {
    let value = 0
    let at = start
    for (; at < end && isDigit(buffer[at]); at++) value = value * 10 + (buffer[at] as number) - ZERO
    this.#number = value
    return at === start || at - start > DIGITS_MAX ? -1 : at
  }

  #readSource(buffer: Buffer, start: number, end: number): boolean {
    const known = this.#sourceBytes
    let same = known.length === end - start
    for (let at = 0; same && at < known.length; at++) same = known[at] === buffer[start + at]
    if (same) return true
    const source = buffer.toString('latin1', start, end)
    if (!SOURCE.test(source)) return false
    this.#sourceBytes = Buffer.from(source, 'latin1')
    this.source = source
    return true
  }
}

const SOURCE = /^[a-z2-7]{26}(?:~[1-9][0-9]*)?$/

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= ZERO + 9
}
