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

function writeDigits(memory: Buffer, start: number, value: number): number {
  let digits = 1
  for (let limit = 10; value >= limit && digits < NUMBER_DIGITS_MAX; limit *= 10) digits++
  let rest = value
  for (let at = start + digits - 1; at >= start; at--) {
    const tenth = Math.floor(rest / 10)
    memory[at] = ZERO + (rest - tenth * 10)
    rest = tenth
  }
  return start + digits
}
