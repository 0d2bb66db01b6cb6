import type { ColumnType } from '../schema/index.ts'
import { jsonNumberEnd, parseInteger, putInt64, textOf } from './numbers.ts'
import { INVALID, JSON_SYNTAX, RANGE, UTF8 } from './reasons.ts'
import type { RowBuffer } from './row-buffer.ts'
import { isUtf8, writeBase64 } from './strings.ts'
import { daysOf, parseDate, parseRfc3339, parseTimestampText } from './time.ts'

/** Writes the value that bytes[start, end) say, without its tag. Answers 0 or a reason. */
export type TextWriter = (bytes: Buffer, start: number, end: number, out: RowBuffer) => number

/** How a text becomes a value of each column type: the forms that BigQuery loads from JSON and CSV. */
export const TEXT_WRITERS: Readonly<Record<Exclude<ColumnType, 'RECORD'>, TextWriter>> = {
  STRING: writeString,
  GEOGRAPHY: writeString,
  BYTES: writeBase64,
  INT64: writeInteger,
  FLOAT64: writeFloat,
  BOOL: writeBool,
  TIMESTAMP: writeTimestamp,
  DATE: writeDate,
  TIME: writeTime,
  DATETIME: writeDatetime,
  NUMERIC: (bytes, start, end, out) => writeDecimal(bytes, start, end, out, 29, 9),
  BIGNUMERIC: (bytes, start, end, out) => writeDecimal(bytes, start, end, out, 38, 38),
  JSON: writeJson,
  INTERVAL: writeInterval,
}

export function writeString(bytes: Buffer, start: number, end: number, out: RowBuffer): number {
  if (!isUtf8(bytes, start, end)) return UTF8
  out.lengthAndCopy(bytes, start, end)
  return 0
}

function writeInteger(bytes: Buffer, start: number, end: number, out: RowBuffer): number {
  return putInt64(parseInteger(bytes, start, end, false), out)
}

const INFINITY = /^([+-]?)inf(?:inity)?$/i

function writeFloat(bytes: Buffer, start: number, end: number, out: RowBuffer): number {
  const text = textOf(bytes, start, end)
  const plain = jsonNumberEnd(bytes, start, end) === end
  const infinite = INFINITY.exec(text)
  if (!plain && !infinite && text.toLowerCase() !== 'nan') return INVALID
  const value = infinite ? Number(`${infinite[1]}Infinity`) : Number(text)
  if (plain && !Number.isFinite(value)) return RANGE
  out.reserve(8)
  out.double(value)
  return 0
}

const TRUE = new Set(['true', 't', 'yes', 'y', '1'])
const FALSE = new Set(['false', 'f', 'no', 'n', '0'])

function writeBool(bytes: Buffer, start: number, end: number, out: RowBuffer): number {
  const text = textOf(bytes, start, end).toLowerCase()
  if (!TRUE.has(text) && !FALSE.has(text)) return INVALID
  out.reserve(1)
  out.varint(TRUE.has(text) ? 1 : 0)
  return 0
}

function writeTimestamp(bytes: Buffer, start: number, end: number, out: RowBuffer): number {
  const failed = parseRfc3339(bytes, start, end)
  return putInt64(failed === INVALID ? parseTimestampText(textOf(bytes, start, end)) : failed, out)
}

/** RFC 3339 alone. */
export function writeRfc3339(bytes: Buffer, start: number, end: number, out: RowBuffer): number {
  return putInt64(parseRfc3339(bytes, start, end), out)
}

function writeDate(bytes: Buffer, start: number, end: number, out: RowBuffer): number {
  let days = end - start === 10 ? parseDate(bytes, start, end) : Number.NaN
  if (days !== days) {
    const match = /^(\d{4})-(\d{1,2})-(\d{1,2})$/.exec(textOf(bytes, start, end))
    days = match ? daysOf(Number(match[1]), Number(match[2]), Number(match[3])) : Number.NaN
  }
  if (days !== days) return INVALID
  out.reserve(10)
  out.int32(days)
  return 0
}

const TIME = /^(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,9}))?$/

/** HH:MM:SS[.ffffff] from a text that may have single digits; undefined when it is no time. */
function canonicalTime(text: string): string | undefined {
  const [matched, hours = '', minutes = '', seconds = '', fraction = ''] = TIME.exec(text) ?? []
  if (matched === undefined || Number(hours) > 23 || Number(minutes) > 59 || Number(seconds) > 59) return undefined
  const whole = [hours, minutes, seconds].map((part) => part.padStart(2, '0')).join(':')
  return fraction === '' ? whole : `${whole}.${fraction.slice(0, 6)}`
}

function writeTime(bytes: Buffer, start: number, end: number, out: RowBuffer): number {
  return writeText(canonicalTime(textOf(bytes, start, end)), out)
}

function writeDatetime(bytes: Buffer, start: number, end: number, out: RowBuffer): number {
  const [matched, year, month, day, time] =
    /^(\d{4})-(\d{1,2})-(\d{1,2})(?:[Tt ](.+))?$/.exec(textOf(bytes, start, end)) ?? []
  if (matched === undefined || Number.isNaN(daysOf(Number(year), Number(month), Number(day)))) return INVALID
  const rest = time === undefined ? '00:00:00' : canonicalTime(time.length <= 5 ? `${time}:00` : time)
  return writeText(rest && `${year}-${month?.padStart(2, '0')}-${day?.padStart(2, '0')}T${rest}`, out)
}

/** Writes a text; undefined: the value was INVALID. */
export function writeText(text: string | undefined, out: RowBuffer): number {
  if (text === undefined) return INVALID
  const bytes = Buffer.from(text)
  out.lengthAndCopy(bytes, 0, bytes.length)
  return 0
}

/** Whether a number of JSON is written as the column shows it: no exponent, within its digits, no zero at the end. */
function isCanonical(bytes: Buffer, start: number, end: number, wholeMax: number, scaleMax: number): boolean {
  if (jsonNumberEnd(bytes, start, end) !== end) return false
  let point = -1
  for (let p = start; p < end; p++) {
    const c = bytes[p] as number
    if (c === 0x2e) point = p
    else if ((c | 0x20) === 0x65) return false
  }
  if (point < 0) return end - start <= wholeMax && bytes[start] !== 0x2d
  return bytes[start] !== 0x2d && point - start <= wholeMax && end - point - 1 <= scaleMax && bytes[end - 1] !== 0x30
}

const DECIMAL = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?$/

/** NUMERIC and BIGNUMERIC as text; digits behind the scale are rounded half away from zero, as BigQuery does. */
function writeDecimal(
  bytes: Buffer,
  start: number,
  end: number,
  out: RowBuffer,
  wholeMax: number,
  scaleMax: number,
): number {
  if (isCanonical(bytes, start, end, Math.min(wholeMax, 37), scaleMax)) {
    out.lengthAndCopy(bytes, start, end)
    return 0
  }
  const [matched, sign = '', whole = '', fraction = '', exponent = '0'] = DECIMAL.exec(textOf(bytes, start, end)) ?? []
  if (matched === undefined || whole + fraction === '') return INVALID
  const scale = fraction.length - Number(exponent)
  let digits = BigInt(whole + fraction)
  if (digits !== 0n && whole.length + Number(exponent) > 400) return RANGE
  if (scale > scaleMax) digits = scale - scaleMax > 400 ? 0n : rounded(digits, 10n ** BigInt(scale - scaleMax))
  else digits *= 10n ** BigInt(scaleMax - (digits === 0n ? scaleMax : scale))
  const text = digits.toString().padStart(scaleMax + 1, '0')
  const point = text.length - scaleMax
  if (beyond(text, point, wholeMax, scaleMax)) return RANGE
  const rest = text.slice(point).replace(/0+$/, '')
  const negative = sign === '-' && digits !== 0n ? '-' : ''
  return writeText(`${negative}${text.slice(0, point)}${rest === '' ? '' : `.${rest}`}`, out)
}

const rounded = (value: bigint, unit: bigint) => (value + unit / 2n) / unit

// BIGNUMERIC has 38 whole digits and a part of a 39th: its largest value begins with 5.
const BIGNUMERIC_MAX = 578960446186580977117854925043439539266n

function beyond(text: string, point: number, wholeMax: number, scaleMax: number): boolean {
  if (scaleMax < 38) return point > wholeMax
  return point > wholeMax + 1 || BigInt(text.slice(0, point)) > BIGNUMERIC_MAX
}

function writeJson(bytes: Buffer, start: number, end: number, out: RowBuffer): number {
  if (!isUtf8(bytes, start, end)) return UTF8
  try {
    JSON.parse(bytes.toString('utf8', start, end))
  } catch {
    return JSON_SYNTAX
  }
  out.lengthAndCopy(bytes, start, end)
  return 0
}

const INTERVAL =
  /^[+-]?\d+-\d+ [+-]?\d+ [+-]?\d+:\d+:\d+(\.\d{1,9})?$|^P(?!$)([+-]?\d+Y)?([+-]?\d+M)?([+-]?\d+W)?([+-]?\d+D)?(T([+-]?\d+H)?([+-]?\d+M)?([+-]?\d+(\.\d+)?S)?)?$/

function writeInterval(bytes: Buffer, start: number, end: number, out: RowBuffer): number {
  const text = textOf(bytes, start, end)
  return INTERVAL.test(text) ? writeText(text, out) : INVALID
}
