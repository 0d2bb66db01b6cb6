import type { ColumnType, RecordField, RecordType, RowType } from '../schema/index.ts'
import { int64, parseInteger } from './numbers.ts'
import { LINE_TOO_LONG, NO_MATCH, RANGE, UTF8 } from './reasons.ts'
import type { RowBuffer } from './row-buffer.ts'
import { hexDigit, isAscii, isUtf8 } from './strings.ts'
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
const [HOST, IDENT, USER, TIME, METHOD, PATH, PROTOCOL, REQUEST, STATUS, BYTES, REFERER, AGENT] = TAGS as [
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
]

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

/** Lines of Apache and nginx: `host ident user [time] "request" status bytes "referer" "user agent"`. */
export class AccessLogWalker implements Walker {
  path = ''
  private readonly combined: boolean
  private bytes: Buffer = Buffer.alloc(0)
  private view = new DataView(this.bytes.buffer)
  private scratch: Buffer = Buffer.allocUnsafeSlow(LINE_BYTES_MAX)

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
    let p = this.word(start, end, HOST, out)
    p = p < 0 ? p : this.word(p, end, IDENT, out)
    p = p < 0 ? p : this.user(p, end, out)
    p = p < 0 ? p : this.time(p, end, out)
    p = p < 0 ? p : this.request(p, end, out)
    p = p < 0 ? p : this.number(p, end, STATUS, 'status', out)
    p = p < 0 ? p : this.number(p, end, BYTES, 'bytes', out)
    if (this.combined) {
      p = p < 0 ? p : this.quoted(p, end, REFERER, 'referer', out)
      p = p < 0 ? p : this.quoted(p, end, AGENT, 'user_agent', out)
    }
    // Every part steps over the space behind it, the last one over the end.
    return p < 0 ? p : p === end + 1 ? end : NO_MATCH
  }

  private word(start: number, end: number, tag: number, out: RowBuffer): number {
    const { bytes } = this
    let p = start
    while (p < end && bytes[p] !== SPACE) p++
    if (p === start || p >= end) return NO_MATCH
    const failed = this.put(start, p, tag, out)
    return failed < 0 ? failed : p + 1
  }

  /** A user's name may have spaces in it; it ends before ` [`. */
  private user(start: number, end: number, out: RowBuffer): number {
    const { bytes } = this
    let p = start
    while (p + 1 < end && !(bytes[p] === SPACE && bytes[p + 1] === OPEN)) p++
    if (p === start || p + 1 >= end) return NO_MATCH
    const failed = this.put(start, p, USER, out)
    return failed < 0 ? failed : p + 1
  }

  private time(start: number, end: number, out: RowBuffer): number {
    const { bytes } = this
    if (bytes[start] !== OPEN || start + 29 > end || bytes[start + 27] !== CLOSE || bytes[start + 28] !== SPACE)
      return NO_MATCH
    const failed = parseClf(bytes, start + 1, end)
    if (failed < 0) return this.fail(failed, 'time')
    out.varint(TIME)
    out.varint64(int64.low, int64.high)
    return start + 29
  }

  private request(start: number, end: number, out: RowBuffer): number {
    const { bytes } = this
    const stop = this.quoteEnd(start, end)
    if (stop < 0) return stop
    const from = start + 1
    let first = from
    while (first < stop && (bytes[first] as number) >= 0x41 && (bytes[first] as number) <= 0x5a) first++
    let last = stop
    while (last > first && bytes[last - 1] !== SPACE) last--
    const parts = first > from && bytes[first] === SPACE && last > first + 2 && stop - last >= 5
    const http =
      parts && bytes[last] === 0x48 && bytes[last + 1] === 0x54 && bytes[last + 2] === 0x54 && bytes[last + 3] === 0x50
    if (!http) return this.unquoted(from, stop, end, REQUEST, 'request', out)
    this.put(from, first, METHOD, out)
    const failed = this.unquoted(first + 1, last - 1, end, PATH, 'path', out)
    if (failed < 0) return failed
    const wrong = this.put(last, stop, PROTOCOL, out)
    return wrong < 0 ? this.fail(wrong, 'protocol') : stop + 2
  }

  private number(start: number, end: number, tag: number, name: string, out: RowBuffer): number {
    const { bytes } = this
    let p = start
    let value = 0
    while (p < end && bytes[p] !== SPACE) {
      const digit = (bytes[p++] as number) - 0x30
      value = digit >>> 0 < 10 && value >= 0 && p - start < 10 ? value * 10 + digit : -1
    }
    if (p === start) return NO_MATCH
    if (value < 0) return bytes[start] === DASH && p === start + 1 ? p + 1 : this.long(start, p, tag, name, out)
    out.varint(tag)
    out.varint(value)
    return p + 1
  }

  private long(start: number, end: number, tag: number, name: string, out: RowBuffer): number {
    const failed = parseInteger(this.bytes, start, end, false)
    if (failed < 0) return failed === RANGE ? this.fail(failed, name) : NO_MATCH
    out.varint(tag)
    out.varint64(int64.low, int64.high)
    return end + 1
  }

  private quoted(start: number, end: number, tag: number, name: string, out: RowBuffer): number {
    const stop = this.quoteEnd(start, end)
    return stop < 0 ? stop : this.unquoted(start + 1, stop, end, tag, name, out)
  }

  private escaped = false

  /** The closing quote of what begins with a quote at p and is followed by a space or the end. */
  private quoteEnd(start: number, end: number): number {
    const { bytes } = this
    if (start >= end || bytes[start] !== QUOTE) return NO_MATCH
    this.escaped = false
    let p = start + 1
    while (p < end && bytes[p] !== QUOTE) {
      if (bytes[p] === BACKSLASH) {
        this.escaped = true
        p++
      }
      p++
    }
    return p < end && (p + 1 === end || bytes[p + 1] === SPACE) ? p : NO_MATCH
  }

  /** Writes what stood between quotes and steps over the rest. */
  private unquoted(start: number, stop: number, end: number, tag: number, name: string, out: RowBuffer): number {
    const failed = this.escaped ? this.putUnescaped(start, stop, tag, out) : this.put(start, stop, tag, out)
    if (failed < 0) return this.fail(failed, name)
    const p = tag === PATH ? stop : stop + 2
    return p > end + 1 ? NO_MATCH : p
  }

  /** A text column; a dash, or nothing, is NULL. */
  private put(start: number, end: number, tag: number, out: RowBuffer): number {
    const { bytes } = this
    if (start === end || (end - start === 1 && bytes[start] === DASH)) return 0
    out.varint(tag)
    out.varint(end - start)
    out.copyWords(this.view, start, end)
    return isAscii(bytes, this.view, start, end) || isUtf8(bytes, start, end) ? 0 : UTF8
  }

  /** Undoes the escapes of Apache and nginx; where that gives no UTF-8, the text stays as it is. */
  private putUnescaped(start: number, end: number, tag: number, out: RowBuffer): number {
    const length = unescapeLog(this.bytes, start, end, this.scratch)
    if (!isUtf8(this.scratch, 0, length)) return this.put(start, end, tag, out)
    out.varint(tag)
    out.varint(length)
    out.copy(this.scratch, 0, length)
    return 0
  }

  private fail(reason: number, name: string): number {
    this.path = name
    return reason
  }
}

const LETTERS: Readonly<Record<number, number>> = {
  0x62: 8,
  0x6e: 10,
  0x72: 13,
  0x74: 9,
  0x76: 11,
  0x66: 12,
  0x22: 0x22,
  0x5c: 0x5c,
}

/** \xhh, \n, \t, \" and their like; an unknown escape stays. Answers the number of bytes in `into`. */
function unescapeLog(bytes: Uint8Array, start: number, end: number, into: Uint8Array): number {
  let o = 0
  let p = start
  while (p < end) {
    const c = bytes[p++] as number
    const letter = c === BACKSLASH && p < end ? (bytes[p] as number) : 0
    const meaning = LETTERS[letter]
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
