import { jsonNumberEnd } from './numbers.ts'
import { JSON_SYNTAX, TOO_DEEP, TRUNCATED, UTF8 } from './reasons.ts'
import { isUtf8, QUOTE, quoteEnd, seen, unescape } from './strings.ts'
import { ByteWalker, NESTING_MAX } from './walker.ts'

const COMMA = 0x2c
const COLON = 0x3a
export const OPEN_ARRAY = 0x5b
export const CLOSE_ARRAY = 0x5d
export const OPEN = 0x7b
export const CLOSE = 0x7d
export const LETTER_N = 0x6e

const NUMBER = Buffer.from('0123456789+-.eE')

const LITERALS: readonly Buffer[] = ['true', 'false', 'null'].map((word) => Buffer.from(word))

/** Reads JSON's tokens from bytes[.., end). Every position that it answers is at most `end`; negative ones are reasons. */
export abstract class JsonScanner extends ByteWalker {
  protected end = 0
  /** Where the content of the last string is, without escapes: source[from, to). */
  protected source: Buffer = this.bytes
  protected from = 0
  protected to = 0
  private scratch = Buffer.allocUnsafeSlow(256)

  /** Skips white space. */
  protected blank(start: number): number {
    const { bytes, end } = this
    let p = start
    while (p < end) {
      const c = bytes[p] as number
      if (c > 0x20 || (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09)) return p
      p++
    }
    return p
  }

  /** true, false or null at p; answers the position behind it. */
  protected literal(p: number): number {
    const { bytes, end } = this
    const word = LITERALS.find((literal) => literal[0] === bytes[p])
    if (word === undefined) return JSON_SYNTAX
    const q = p + word.length
    if (q > end) return TRUNCATED
    return word.every((c, index) => c === bytes[p + index]) ? q : JSON_SYNTAX
  }

  /** The content of the string that begins behind a quote, checked; answers the position behind the closing one. */
  protected text(start: number): number {
    const { bytes } = this
    const q = quoteEnd(bytes, this.view, start, this.end)
    if (seen.controls) return JSON_SYNTAX
    if (q >= this.end) return TRUNCATED
    if (seen.wide && !isUtf8(bytes, start, q)) return UTF8
    this.source = bytes
    this.from = start
    this.to = q
    if (!seen.escapes) return q + 1
    if (this.scratch.length < q - start) this.scratch = Buffer.allocUnsafeSlow((q - start) * 2)
    this.source = this.scratch
    this.from = 0
    this.to = unescape(bytes, start, q, this.scratch)
    return this.to < 0 ? this.to : q + 1
  }

  /** The end of any JSON value at p, checked in all its depth. */
  protected valueEnd(p: number, depth: number): number {
    if (p >= this.end) return TRUNCATED
    if (depth > NESTING_MAX) return TOO_DEEP
    const c = this.bytes[p]
    if (c === QUOTE) return this.text(p + 1)
    if (c === OPEN) return this.containerEnd(p + 1, depth + 1, CLOSE)
    if (c === OPEN_ARRAY) return this.containerEnd(p + 1, depth + 1, CLOSE_ARRAY)
    if (c === 0x74 || c === 0x66 || c === LETTER_N) return this.literal(p)
    const q = jsonNumberEnd(this.bytes, p, this.end)
    return q < 0 ? this.numberProblem(p) : q
  }

  /** What is wrong with the number at p: that it is cut off, or that it is none. */
  protected numberProblem(p: number): number {
    let q = p
    while (q < this.end && NUMBER.includes(this.bytes[q] as number)) q++
    return q === this.end ? TRUNCATED : JSON_SYNTAX
  }

  /** The end of an object or array whose bracket is before `start`. */
  private containerEnd(start: number, depth: number, close: number): number {
    let p = this.opening(start, close)
    while (p >= 0 && !this.closed) {
      if (close === CLOSE) p = this.colon(this.name(p))
      if (p >= 0) p = this.valueEnd(p, depth)
      if (p >= 0) p = this.following(p, close)
    }
    return p
  }

  /** Set by opening and following: the bracket is closed. */
  protected closed = false

  /** What is behind an opening bracket: the position of the first value, or that behind the closing bracket. */
  protected opening(start: number, close: number): number {
    const p = this.blank(start)
    this.closed = p < this.end && this.bytes[p] === close
    return this.closed ? p + 1 : p
  }

  /** What is behind a value: the position of the next one, or, when it was the last, that behind the closing bracket. */
  protected following(start: number, close: number): number {
    const p = this.blank(start)
    if (p >= this.end) return TRUNCATED
    this.closed = this.bytes[p] === close
    if (this.closed) return p + 1
    return this.bytes[p] === COMMA ? this.blank(p + 1) : JSON_SYNTAX
  }

  /** The name of a member, which must be at p; answers the position behind it. */
  protected name(p: number): number {
    if (p >= this.end) return TRUNCATED
    return this.bytes[p] === QUOTE ? this.text(p + 1) : JSON_SYNTAX
  }

  /** Position of the value behind a colon at or after p. */
  protected colon(p: number): number {
    if (p < 0) return p
    const at = this.blank(p)
    if (at >= this.end) return TRUNCATED
    if (this.bytes[at] !== COLON) return JSON_SYNTAX
    const value = this.blank(at + 1)
    return value < this.end ? value : TRUNCATED
  }
}
