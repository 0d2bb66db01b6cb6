/** An agent's source: 26 lower-case base32 characters, and `~n` when several files share it. */
const SOURCE = /^[a-z2-7]{26}(?:~[1-9][0-9]{0,9})?$/
const AT = 0x40
const PLUS = 0x2b
const ZERO = 0x30
/** A safe integer has at most 16 digits; 15 always fit. */
const DIGITS_MAX = 15
/** Compared at once. */
const WORD = 4

/**
 * Reads keys of the form `<source>@<position>+<size>` without making a string for each: keys that follow each other mostly have the
 * same source. What it read stands in its fields.
 */
export class AgentKey {
  source = ''
  position = 0
  size = 0
  #known = viewOf(Buffer.alloc(0))
  #buffer: Buffer = Buffer.alloc(0)
  #view = viewOf(this.#buffer)

  /** False: not an agent's key; the fields mean nothing then. */
  read(buffer: Buffer, start: number, end: number): boolean {
    if (start < 0) return false
    const at = this.#isKnown(buffer, start, end) ? start + this.#known.byteLength : this.#learn(buffer, start, end)
    if (at < 0) return false
    const plus = readDigits(buffer, at + 1, end)
    if (plus < 0 || buffer[plus] !== PLUS) return false
    this.position = digits
    if (readDigits(buffer, plus + 1, end) !== end) return false
    this.size = digits
    return true
  }

  /** Whether the source of the last key stands there again. */
  #isKnown(buffer: Buffer, start: number, end: number): boolean {
    const known = this.#known
    const last = known.byteLength - WORD
    if (last < 0 || start + known.byteLength >= end || buffer[start + known.byteLength] !== AT) return false
    if (buffer !== this.#buffer) {
      this.#buffer = buffer
      this.#view = viewOf(buffer)
    }
    const view = this.#view
    for (let i = 0; i < last; i += WORD) if (view.getInt32(start + i) !== known.getInt32(i)) return false
    return view.getInt32(start + last) === known.getInt32(last)
  }

  /** Where the source of this key ends, or -1. */
  #learn(buffer: Buffer, start: number, end: number): number {
    const at = buffer.subarray(start, end).indexOf(AT)
    const source = buffer.toString('latin1', start, start + Math.max(at, 0))
    if (!SOURCE.test(source)) return -1
    this.#known = viewOf(Buffer.from(source, 'latin1'))
    this.source = source
    return start + at
  }
}

function viewOf({ buffer, byteOffset, length }: Buffer): DataView {
  return new DataView(buffer, byteOffset, length)
}

/** What readDigits read. */
let digits = 0

/** The offset behind one or more digits, or -1. */
function readDigits(buffer: Buffer, start: number, end: number): number {
  let value = 0
  let at = start
  for (; at < end; at++) {
    const digit = (buffer[at] as number) - ZERO
    if (digit < 0 || digit > 9) break
    value = value * 10 + digit
  }
  digits = value
  return at === start || at - start > DIGITS_MAX ? -1 : at
}
