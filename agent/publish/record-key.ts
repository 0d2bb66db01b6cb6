const NUMBER_DIGITS_MAX = 16
const AT = 0x40
const PLUS = 0x2b
const ZERO = 0x30

/** Writes the keys `<source>@<position>+<size>` of one source after another into the same memory. */
export class KeyWriter {
  #memory = Buffer.alloc(0)
  /** The same memory by length, so that a key costs no object. */
  #views: Uint8Array[] = []
  #prefix = 0
  #source = ''

  /** Valid until the next call. */
  write(source: string, position: number, size: number): Uint8Array {
    if (source !== this.#source) this.#begin(source)
    let at = writeDigits(this.#memory, this.#prefix, position)
    this.#memory[at++] = PLUS
    at = writeDigits(this.#memory, at, size)
    return (this.#views[at] ??= this.#memory.subarray(0, at))
  }

  #begin(source: string): void {
    this.#source = source
    this.#memory = Buffer.alloc(source.length + 2 + 2 * NUMBER_DIGITS_MAX)
    this.#views = []
    this.#prefix = this.#memory.write(source, 'latin1')
    this.#memory[this.#prefix++] = AT
  }
}

/** Whole numbers below this are divided as integers, which is several times as fast. */
const INTEGER_BELOW = 1e9
const INTEGER_DIGITS = 9

function writeDigits(memory: Buffer, start: number, value: number): number {
  if (value < INTEGER_BELOW) return writeInteger(memory, start, value, 1)
  const high = Math.floor(value / INTEGER_BELOW)
  return writeInteger(memory, writeDigits(memory, start, high), value - high * INTEGER_BELOW, INTEGER_DIGITS)
}

function writeInteger(memory: Buffer, start: number, value: number, digitsMin: number): number {
  let digits = digitsMin
  for (let limit = 10 ** digits; value >= limit && digits < INTEGER_DIGITS; limit *= 10) digits++
  let rest = value | 0
  for (let at = start + digits - 1; at >= start; at--) {
    const tenth = (rest / 10) | 0
    memory[at] = ZERO + (rest - tenth * 10)
    rest = tenth
  }
  return start + digits
}
