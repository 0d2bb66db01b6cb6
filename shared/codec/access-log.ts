import type { ColumnType, RecordField, RecordType, RowType } from '../schema/index.ts'
import { int64, parseInteger } from './numbers.ts'
import { INVALID, LINE_TOO_LONG, NO_MATCH, RANGE, UTF8 } from './reasons.ts'
import { RowBuffer } from './row-buffer.ts'
import { hexDigit, isAscii, isUtf8, quoteEnd, seen } from './strings.ts'
import { parseClf } from './time.ts'
import { LINE_BYTES_MAX, type Walker } from './walker.ts'

const SPACE = 0x20
const QUOTE = 0x22
const DASH = 0x2d
const OPEN = 0x5b
const BACKSLASH = 0x5c
const CLOSE = 0x5d

const COLUMNS: readonly (readonly [string, ColumnType, RowType, string])[] = [
  ['remote_host', 'STRING', 'string', 'address or name of the client'],
  ['ident', 'STRING', 'string', 'identity by RFC 1413'],
  ['user', 'STRING', 'string', 'name that the client was authenticated as'],
  ['time', 'TIMESTAMP', 'int64', 'when the request was received'],
  ['method', 'STRING', 'string', ''],
  ['path', 'STRING', 'string', 'what was asked for, with its query'],
  ['protocol', 'STRING', 'string', ''],
  ['request', 'STRING', 'string', 'the request line when it is not of three parts'],
  ['status', 'INT64', 'int64', ''],
  ['bytes', 'INT64', 'int64', 'size of the body that was sent'],
  ['referer', 'STRING', 'string', ''],
  ['user_agent', 'STRING', 'string', ''],
]

const TAGS = COLUMNS.map(([, , rowType], index) => (index + 1) * 8 + (rowType === 'string' ? 2 : 0))
// Places in COLUMNS.
const [
  HOST = 0,
  IDENT = 0,
  USER = 0,
  TIME = 0,
  METHOD = 0,
  PATH = 0,
  PROTOCOL = 0,
  REQUEST = 0,
  STATUS = 0,
  BYTES = 0,
  REFERER = 0,
  AGENT = 0,
] = COLUMNS.keys()

function fieldOf(column: (typeof COLUMNS)[number], index: number): RecordField {
  const [name, type, rowType, description] = column
  const mode = name === 'time' ? 'REQUIRED' : 'NULLABLE'
  return { name, type, mode, number: index + 1, rowType, packed: false, attributes: description ? { description } : {} }
}

function recordOf(name: string, columns: number): RecordType {
  return { name, origin: 'bigquery', fields: COLUMNS.slice(0, columns).map(fieldOf), ignored: [] }
}

/** The schemas of the presets: Apache's common and combined log formats, which nginx writes, too. */
export const ACCESS_RECORDS = { common: recordOf('common', 10), combined: recordOf('combined', 12) } as const

/**
 * Lines of Apache and nginx: `host ident user [time] "request" status bytes "referer" "user agent"`. The parts are read
 * one after the other: each writes its column, steps over the space behind it and answers 0, or a reason.
 */
export class AccessLogWalker implements Walker {
  path = ''
  private readonly combined: boolean
  private bytes: Buffer = Buffer.alloc(0)
  private view = new DataView(this.bytes.buffer)
  private out = new RowBuffer(64)
  private at = 0
  private end = 0
  private readonly scratch = Buffer.allocUnsafeSlow(LINE_BYTES_MAX)

  constructor(combined: boolean) {
    this.combined = combined
  }

  walk(input: Buffer, start: number, end: number, out: RowBuffer): number {
    if (input !== this.bytes) {
      this.bytes = input
      this.view = new DataView(input.buffer, input.byteOffset, input.length)
    }
    this.path = ''
    if (end - start > LINE_BYTES_MAX) return LINE_TOO_LONG
    // Every column is a part of the line, and never longer than it but for its tag and length.
    out.reserve(end - start + COLUMNS.length * 16)
    this.out = out
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
    if (p === at || p >= end) return NO_MATCH
    this.at = p + 1
    return this.put(at, p, column)
  }

  /** A user's name may have spaces in it; it ends before ` [`. */
  private user(): number {
    const { bytes, at, end } = this
    let p = at
    while (p + 1 < end && !(bytes[p] === SPACE && bytes[p + 1] === OPEN)) p++
    if (p === at || p + 1 >= end) return NO_MATCH
    this.at = p + 1
    return this.put(at, p, USER)
  }

  private time(): number {
    const { bytes, at, out } = this
    if (bytes[at] !== OPEN || at + 29 > this.end || bytes[at + 27] !== CLOSE || bytes[at + 28] !== SPACE)
      return NO_MATCH
    if (parseClf(bytes, at + 1, this.end) < 0) return this.fail(INVALID, TIME)
    out.varint(TAGS[TIME] as number)
    out.varint64(int64.low, int64.high)
    this.at = at + 29
    return 0
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
    const http =
      parts && bytes[last] === 0x48 && bytes[last + 1] === 0x54 && bytes[last + 2] === 0x54 && bytes[last + 3] === 0x50
    if (!http) return this.unquoted(from, stop, REQUEST)
    this.put(from, first, METHOD)
    return this.unquoted(first + 1, last - 1, PATH) || this.put(last, stop, PROTOCOL)
  }

  private number(column: number): number {
    const { bytes, at, end } = this
    let p = at
    let value = 0
    while (p < end && bytes[p] !== SPACE) {
      const digit = (bytes[p++] as number) - 0x30
      value = digit >>> 0 < 10 && value >= 0 && p - at < 10 ? value * 10 + digit : -1
    }
    this.at = p + 1
    if (p === at) return NO_MATCH
    if (value < 0) return bytes[at] === DASH && p === at + 1 ? 0 : this.long(at, p, column)
    this.out.varint(TAGS[column] as number)
    this.out.varint(value)
    return 0
  }

  private long(start: number, end: number, column: number): number {
    const failed = parseInteger(this.bytes, start, end, false)
    if (failed < 0) return failed === RANGE ? this.fail(failed, column) : NO_MATCH
    this.out.varint(TAGS[column] as number)
    this.out.varint64(int64.low, int64.high)
    return 0
  }

  private quoted(column: number): number {
    const { at } = this
    const stop = this.closing()
    this.at = stop + 2
    return stop < 0 ? stop : this.unquoted(at + 1, stop, column)
  }

  /** The closing quote of what begins with a quote here and is followed by a space or the end. */
  private closing(): number {
    const { bytes, at, end } = this
    if (at >= end || bytes[at] !== QUOTE) return NO_MATCH
    const p = quoteEnd(bytes, at + 1, end)
    return p < end && (p + 1 === end || bytes[p + 1] === SPACE) ? p : NO_MATCH
  }

  /** Writes what stood between quotes, without the escapes of Apache and nginx where that gives UTF-8. */
  private unquoted(start: number, stop: number, column: number): number {
    const length = seen.escapes ? unescapeLog(this.bytes, start, stop, this.scratch) : 0
    if (!seen.escapes || !isUtf8(this.scratch, 0, length)) return this.put(start, stop, column)
    this.out.varint(TAGS[column] as number)
    this.out.varint(length)
    this.out.copy(this.scratch, 0, length)
    return 0
  }

  /** A text column; a dash, or nothing, is NULL. */
  private put(start: number, end: number, column: number): number {
    const { bytes, out, view } = this
    if (start === end || (end - start === 1 && bytes[start] === DASH)) return 0
    out.varint(TAGS[column] as number)
    out.varint(end - start)
    out.copyWords(view, start, end)
    return isAscii(bytes, view, start, end) || isUtf8(bytes, start, end) ? 0 : this.fail(UTF8, column)
  }

  private fail(reason: number, column: number): number {
    this.path = COLUMNS[column]?.[0] ?? ''
    return reason
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
