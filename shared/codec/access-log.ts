import { recordFromTableSchema, type TableField } from '../schema/index.ts'
import type { Plan, Slot } from './plan.ts'
import { INVALID, NO_MATCH } from './reasons.ts'
import { hexDigit, isUtf8, quoteEnd, seen } from './strings.ts'
import { TextColumns } from './text-columns.ts'
import { writeClf } from './text-values.ts'
import { LINE_BYTES_MAX } from './walker.ts'

const SPACE = 0x20
const QUOTE = 0x22
const DASH = 0x2d
const OPEN = 0x5b
const BACKSLASH = 0x5c
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
  private readonly combined: boolean
  private bytes: Buffer = Buffer.alloc(0)
  private at = 0
  private end = 0
  private readonly scratch = Buffer.allocUnsafeSlow(LINE_BYTES_MAX)

  constructor(plan: Plan, combined: boolean) {
    super(plan)
    this.combined = combined
  }

  protected line(input: Buffer, start: number, end: number): number {
    this.bytes = input
    this.at = start
    this.end = end
    const failed =
      this.word(HOST) ||
      this.word(IDENT) ||
      this.user() ||
      this.time() ||
      this.request() ||
      this.number(STATUS) ||
      this.number(BYTES) ||
      (this.combined ? this.quoted(REFERER) || this.quoted(AGENT) : 0)
    // Every part steps over the space behind it, the last one over the end.
    return failed || (this.at === end + 1 ? 0 : NO_MATCH)
  }

  private word(column: number): number {
    const { bytes, at, end } = this
    let p = at
    while (p < end && bytes[p] !== SPACE) p++
    if (p === at) return NO_MATCH
    this.at = p + 1
    return this.put(column, at, p)
  }

  /** No number of its column is a line of another form. */
  private number(column: number): number {
    const failed = this.word(column)
    return failed === INVALID ? this.fail(NO_MATCH, '') : failed
  }

  /** A user's name may have spaces in it; it ends before ` [`. */
  private user(): number {
    const { bytes, at, end } = this
    let p = at
    while (p + 1 < end && !(bytes[p] === SPACE && bytes[p + 1] === OPEN)) p++
    if (p === at || p + 1 >= end) return NO_MATCH
    this.at = p + 1
    return this.put(USER, at, p)
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
    const p = quoteEnd(bytes, at + 1, end)
    return p < end && (p + 1 === end || bytes[p + 1] === SPACE) ? p : NO_MATCH
  }

  /** What stood between quotes, without the escapes of Apache and nginx where that gives UTF-8. */
  private unquoted(column: number, start: number, stop: number): number {
    const length = seen.escapes ? unescapeLog(this.bytes, start, stop, this.scratch) : 0
    const isText = seen.escapes && isUtf8(this.scratch, 0, length)
    return isText ? this.column(this.slot(column), this.scratch, 0, length) : this.put(column, start, stop)
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

const LETTERS = Buffer.from('bnrtvf"\\')
const MEANINGS = Buffer.from('\b\n\r\t\v\f"\\')

/** \xhh, \n, \t, \" and their like; an unknown escape stays. Answers the number of bytes in `into`. */
function unescapeLog(bytes: Uint8Array, start: number, end: number, into: Uint8Array): number {
  let o = 0
  let p = start
  while (p < end) {
    const c = bytes[p++] as number
    const letter = c === BACKSLASH && p < end ? (bytes[p] as number) : 0
    const meaning = MEANINGS[LETTERS.indexOf(letter)]
    const high = letter === 0x78 && p + 2 < end ? hexDigit(bytes[p + 1] as number) : -1
    const low = high >= 0 ? hexDigit(bytes[p + 2] as number) : -1
    if (low >= 0) {
      into[o++] = high * 16 + low
      p += 3
    } else if (meaning !== undefined) {
      into[o++] = meaning
      p++
    } else into[o++] = c
  }
  return o
}
