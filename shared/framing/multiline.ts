import { afterNuls, ExtentCutter, type FramingOptions, PROBE_BYTES } from './cutter.ts'
import { type Events, TOO_LONG } from './events.ts'
import { afterByteOrderMark, CR, isBlank, LF } from './lines.ts'

/** So much of a line is compared with the start pattern, in bytes; only a shorter one can be blank. */
const START_BYTES = PROBE_BYTES
/** More blank bytes than that end an event: what follows a hole does not continue what was before it. */
const BLANK_BYTES_MAX = PROBE_BYTES

/**
 * Events of several lines: each begins with a line that matches the start pattern, or where reading began or paused, and
 * holds the lines behind it that do not. Only the bytes and those places decide where it ends: at the next start, or
 * where too many blank bytes follow (docs/protocols/framing.md, "Multi-line").
 */
export class MultilineCutter extends ExtentCutter {
  readonly #start: RegExp
  /** Inside an event that is already too long: its bytes are passed until it ends. */
  #passing = false
  /** Of that event: inside a line, and blank bytes since its last line. */
  #midLine = false
  #blank = 0

  constructor(framing: FramingOptions, position: number) {
    super(framing, position)
    this.#start = new RegExp(framing.start ?? '')
  }

  protected scan(buffer: Buffer, start: number, end: number, final: boolean, into: Events, pause: boolean): number {
    let at = this.positionOf(start) === 0 ? afterByteOrderMark(buffer, start, end, final) : start
    if (at < 0) return start
    let first = this.#passing ? at : -1 // where the open event begins
    let last = at // where its last whole line ends
    while (into.count < into.capacity && at < end) {
      const lf = buffer.indexOf(LF, at)
      const isWhole = lf >= 0 || final
      const lineEnd = lf < 0 ? end : lf
      const next = lf < 0 ? end : lf + 1
      if (this.#midLine) {
        this.#midLine = lf < 0
        at = next
        continue
      }
      const text = afterNuls(buffer, at, lineEnd)
      if (first >= 0 && this.#blank + text - at > BLANK_BYTES_MAX) {
        first = this.#close(first, last, text, into)
        at = text
        continue
      }
      if (first < 0) {
        this.absorb(text, into)
        at = text
      }
      const isLong = lineEnd - text >= START_BYTES
      if (!isLong && isBlank(buffer, text, lineEnd)) {
        const blankEnd = isWhole ? next : text
        this.#blank += blankEnd - at
        if (first < 0) this.absorb(blankEnd, into)
        else if (this.#blank > BLANK_BYTES_MAX) first = this.#close(first, last, blankEnd, into)
        at = blankEnd
        if (isWhole) continue
        break
      }
      if (!isWhole && !isLong) break
      const lineLast = buffer[lineEnd - 1] === CR ? lineEnd - 1 : lineEnd
      if (first >= 0 && this.#isStart(buffer, text, lineLast)) {
        first = this.#close(first, last, text, into)
        if (into.count === into.capacity) return text
      }
      if (first < 0) {
        first = text
        last = text
      }
      this.#blank = 0
      if (!isWhole) {
        if (this.#passing || end - first > this.maxEventBytes + 1) {
          this.#passing = true
          this.#midLine = true
          at = end
        }
        break
      }
      last = lineLast
      at = next
      if (last - first > this.maxEventBytes) this.#passing = true
    }
    const isOver = final || (pause && !this.#midLine && (this.#passing || last > first))
    if (first >= 0 && isOver && into.count < into.capacity) first = this.#close(first, last, at, into)
    if (this.#passing || first < 0) return at
    this.#blank = 0
    return first
  }

  /** Ends the open event, with the blank bytes behind it. */
  #close(first: number, last: number, next: number, into: Events): -1 {
    const dead = this.#passing || last - first > this.maxEventBytes
    this.emit(first, last, next, dead ? TOO_LONG : 0, into)
    this.#passing = false
    this.#midLine = false
    this.#blank = 0
    return -1
  }

  #isStart(buffer: Buffer, from: number, to: number): boolean {
    return this.#start.test(buffer.toString('utf8', from, Math.min(to, from + START_BYTES)))
  }
}
