import { UserError } from '../errors.ts'
import { afterNuls, ExtentCutter } from './cutter.ts'
import { TOO_LONG, type Events } from './events.ts'

const NUL = 0
const TAB = 9
export const LF = 10
export const CR = 13
const SPACE = 32

/** Lines ended by LF or CRLF. Blank are: lines of nothing but spaces, NULs at the head of a line, a UTF-8 BOM. */
export class LineCutter extends ExtentCutter {
  /** Inside a line that is already too long: its bytes are passed until it ends. */
  #passing = false
  /** All that was passed of it is blank: it may still be a blank line, however long. */
  #blank = true

  protected scan(buffer: Buffer, start: number, end: number, final: boolean, into: Events): number {
    let at = start
    if (this.positionOf(at) === 0) {
      at = afterByteOrderMark(buffer, start, end, final)
      if (at < 0) return start
    }
    while (at < end && into.count < into.capacity) {
      if (!this.#passing && buffer[at] === NUL) {
        at = afterNuls(buffer, at, end)
        this.absorb(at, into)
        continue
      }
      const lf = buffer.indexOf(LF, at)
      if (lf < 0) return this.#unterminated(buffer, at, end, final, into)
      this.#line(buffer, at, lf, lf + 1, into)
      at = lf + 1
    }
    if (at === end && final && this.#passing) this.#line(buffer, at, at, at, into)
    return at
  }

  #line(buffer: Buffer, start: number, end: number, next: number, into: Events): void {
    if (this.#passing) {
      this.#passing = false
      if (this.#blank && isBlank(buffer, start, end)) this.absorb(next, into)
      else this.emit(0, 0, next, TOO_LONG, into)
      return
    }
    if (isBlank(buffer, start, end)) return this.absorb(next, into)
    const valueEnd = buffer[end - 1] === CR ? end - 1 : end
    this.emit(start, valueEnd, next, valueEnd - start > this.maxEventBytes ? TOO_LONG : 0, into)
  }

  #unterminated(buffer: Buffer, start: number, end: number, final: boolean, into: Events): number {
    if (final) {
      this.#line(buffer, start, end, end, into)
      return end
    }
    // One byte more than the limit may still be the CR of a line that fits.
    if (!this.#passing && end - start <= this.maxEventBytes + 1) return start
    this.#blank = (this.#blank || !this.#passing) && isBlank(buffer, start, end)
    this.#passing = true
    return end
  }
}

/** The index behind a UTF-8 byte order mark at the head of a source; -1: too early to tell. */
export function afterByteOrderMark(buffer: Buffer, start: number, end: number, final: boolean): number {
  const length = end - start
  if (isUtf16(buffer, start, length)) {
    throw new UserError(
      'The text is in UTF-16.',
      'Let the application write UTF-8, or convert the file: iconv -f UTF-16 -t UTF-8.',
    )
  }
  const mark =
    buffer[start] === 0xef && (length < 2 || buffer[start + 1] === 0xbb) && (length < 3 || buffer[start + 2] === 0xbf)
  if (mark && length >= 3) return start + 3
  const mayBe = mark || (length < 2 && (buffer[start] === 0xff || buffer[start] === 0xfe))
  return mayBe && !final ? -1 : start
}

/** By its byte order mark, or by two ASCII characters that both have a NUL beside them on the same side. */
function isUtf16(buffer: Buffer, start: number, length: number): boolean {
  if (length < 2) return false
  const [a, b, c, d] = [buffer[start]!, buffer[start + 1]!, buffer[start + 2], buffer[start + 3]]
  if ((a === 0xff && b === 0xfe) || (a === 0xfe && b === 0xff)) return true
  if (length < 4) return false
  return (a !== 0 && b === 0 && c !== 0 && d === 0) || (a === 0 && b !== 0 && c === 0 && d !== 0)
}

/** Nothing but spaces, tabs, CR and NULs. */
export function isBlank(buffer: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    const byte = buffer[i]!
    if (byte !== SPACE && byte !== TAB && byte !== CR && byte !== NUL) return false
  }
  return true
}
