import { recordFromTableSchema, type TableField } from '../schema/index.ts'
import type { Slot } from './plan.ts'
import { INVALID, NO_MATCH } from './reasons.ts'
import { isUtf8, QUOTE, quoteEnd, seen } from './strings.ts'
import { TextColumns } from './text-columns.ts'
import { writeClf } from './text-values.ts'

const SPACE = 0x20
const DASH = 0x2d
const OPEN = 0x5b
const CLOSE = 0x5d

/** `HTTP`. */
const HTTP = 0x48545450

const COMMON: readonly TableField[] = [
  { name: 'remote_host', type: 'STRING', description: 'address or name of the client' },
  { name: 'ident', type: 'STRING', description: 'identity by RFC 1413' },
  { name: 'user', type: 'STRING', description: 'name that the client was authenticated as' },
  { name: 'time', type: 'TIMESTAMP', mode: 'REQUIRED', description: 'when the request was received' },
  { name: 'method', type: 'STRING' },
  { name: 'path', type: 'STRING', description: 'what was asked for, with its query' },
  { name: 'protocol', type: 'STRING' },
  { name: 'request', type: 'STRING', description: 'the request line when it is not of three parts' },
  { name: 'status', type: 'INT64' },
  { name: 'bytes', type: 'INT64', description: 'size of the body that was sent' },
]
const COMBINED: readonly TableField[] = [
  ...COMMON,
  { name: 'referer', type: 'STRING' },
  { name: 'user_agent', type: 'STRING' },
]
// Places in COMBINED.
const [HOST, IDENT, USER, TIME, METHOD, PATH, PROTOCOL, REQUEST, STATUS, BYTES, REFERER, AGENT] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
] as const

/** The schemas of the presets: Apache's common and combined log formats, which nginx writes, too. */
export const ACCESS_RECORDS = {
  common: recordFromTableSchema(COMMON, 'common', 'preset'),
  combined: recordFromTableSchema(COMBINED, 'combined', 'preset'),
} as const

/**
 * Lines of Apache and nginx: `host ident user [time] "request" status bytes "referer" "user agent"`. The parts are read
 * one after the other: each writes its column, steps over the space behind it and answers 0, or a reason.
 */
export class AccessLogWalker extends TextColumns {
  /** Two columns more, behind the others. */
  private readonly isCombined = this.plan.slots.length === COMBINED.length
  private at = 0
  private end = 0

  protected line(start: number, end: number): number {
    this.at = start
    this.end = end
    const failed =
      this.word(HOST) ||
      this.word(IDENT) ||
      this.word(USER, OPEN) ||
      this.time() ||
      this.request() ||
      this.number(STATUS) ||
      this.number(BYTES) ||
      (this.isCombined ? this.quoted(REFERER) || this.quoted(AGENT) : 0)
    // Every part steps over the space behind it, the last one over the end.
    return failed || (this.at === end + 1 ? 0 : NO_MATCH)
  }

  /** Up to a space, behind which a user's name, which may have spaces in it, has a bracket. */
  private word(column: number, bracket?: number): number {
    const { bytes, at, end } = this
    let p = at
    while (p < end && (bytes[p] !== SPACE || (bracket !== undefined && bytes[p + 1] !== bracket))) p++
    if (p === at || (bracket !== undefined && p + 1 >= end)) return NO_MATCH
    this.at = p + 1
    return this.put(column, at, p)
  }

  /** No number of its column is a line of another form. */
  private number(column: number): number {
    const failed = this.word(column)
    if (failed !== INVALID) return failed
    this.path = ''
    return NO_MATCH
  }

  private time(): number {
    const { bytes, at } = this
    if (bytes[at] !== OPEN || at + 29 > this.end || bytes[at + 27] !== CLOSE || bytes[at + 28] !== SPACE)
      return NO_MATCH
    this.at = at + 29
    return this.column(this.slot(TIME), bytes, at + 1, at + 27, writeClf)
  }

  private request(): number {
    const { bytes } = this
    const stop = this.closing()
    if (stop < 0) return stop
    const from = this.at + 1
    this.at = stop + 2
    let first = from
    while (first < stop && (bytes[first] as number) >= 0x41 && (bytes[first] as number) <= 0x5a) first++
    let last = stop
    while (last > first && bytes[last - 1] !== SPACE) last--
    const parts = first > from && bytes[first] === SPACE && last > first + 2 && stop - last >= 5
    if (!parts || bytes.readUInt32BE(last) !== HTTP) return this.unquoted(REQUEST, from, stop)
    return this.put(METHOD, from, first) || this.unquoted(PATH, first + 1, last - 1) || this.put(PROTOCOL, last, stop)
  }

  private quoted(column: number): number {
    const { at } = this
    const stop = this.closing()
    this.at = stop + 2
    return stop < 0 ? stop : this.unquoted(column, at + 1, stop)
  }

  /** The closing quote of what begins with a quote here and is followed by a space or the end. */
  private closing(): number {
    const { bytes, at, end } = this
    if (at >= end || bytes[at] !== QUOTE) return NO_MATCH
    const p = quoteEnd(bytes, this.view, at + 1, end)
    return p < end && (p + 1 === end || bytes[p + 1] === SPACE) ? p : NO_MATCH
  }

  /** What stood between quotes, without the escapes of Apache and nginx where that gives UTF-8. */
  private unquoted(column: number, start: number, stop: number): number {
    if (seen.escapes) {
      const text = this.bytes.toString('latin1', start, stop).replace(ESCAPE, meaningOf)
      const plain = Buffer.from(text, 'latin1')
      if (isUtf8(plain, 0, plain.length)) return this.column(this.slot(column), plain, 0, plain.length)
    }
    return this.put(column, start, stop)
  }

  /** A dash, or nothing, is NULL. */
  private put(column: number, start: number, end: number): number {
    const isNothing = start === end || (end - start === 1 && this.bytes[start] === DASH)
    return isNothing ? 0 : this.column(this.slot(column), this.bytes, start, end)
  }

  private slot(column: number): Slot {
    return this.plan.slots[column] as Slot
  }
}

const ESCAPE = /\\(?:x([0-9a-fA-F]{2})|([bnrtvf"\\]))/g
const MEANINGS: Readonly<Record<string, string>> = { b: '\b', n: '\n', r: '\r', t: '\t', v: '\v', f: '\f' }

function meaningOf(_: string, hex: string | undefined, letter: string): string {
  return hex === undefined ? (MEANINGS[letter] ?? letter) : String.fromCharCode(Number.parseInt(hex, 16))
}
