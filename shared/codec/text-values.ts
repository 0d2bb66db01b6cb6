import type { ColumnType, RecordField } from '../schema/index.ts'
import { DIGITS_MAX, int64, jsonNumberEnd, parseInteger, putInt64, textOf } from './numbers.ts'
import type { Op } from './plan.ts'
import { INVALID, JSON_SYNTAX, RANGE, UTF8 } from './reasons.ts'
import { type RowBuffer, WORDS } from './row-buffer.ts'
import { isUtf8, writeBase64 } from './strings.ts'
import { daysOf, parseClf, parseRfc3339, parseTimestamp } from './time.ts'
import { writeDateJson, writeDuration, writeFieldMask, writeTimeJson } from './well-known.ts'

/** Writes the value that bytes[start, end) say behind its tag, where a number has room. Answers 0 or a reason. */
export type TextWriter = (bytes: Buffer, start: number, end: number, out: RowBuffer) => number

/** How a text becomes a value of each column type: the forms that BigQuery loads from JSON and CSV. */
const TEXT_WRITERS: Readonly<Record<ColumnType, TextWriter>> = {
  RECORD: writeString,
  STRING: writeString,
  GEOGRAPHY: writeString,
  BYTES: writeBase64,
  INT64: integerWriter(() => true),
  FLOAT64: floatWriter(/^(nan|[+-]?inf(inity)?)$/i),
  BOOL: writeBool,
  TIMESTAMP: momentWriter(parseTimestamp),
  DATE: writeDate,
  TIME: canonicalWriter(canonicalTime),
  DATETIME: canonicalWriter(canonicalDatetime),
  NUMERIC: decimalWriter(38, 9),
  BIGNUMERIC: decimalWriter(77, 38),
  JSON: writeJson,
  INTERVAL: writeInterval,
}

/** Of protobuf's kinds that JSON shows as strings or numbers: how the text becomes a value; of the last two, the JSON itself. */
const PROTO_WRITERS: Readonly<Partial<Record<Op, TextWriter>>> = {
  int64: integerWriter(() => true),
  int32: integerWriter(() => int64.high === int64.low >> 31),
  uint32: integerWriter(() => int64.high === 0),
  uint64: integerWriter(() => true, true),
  double: floatWriter(/^(NaN|-?Infinity)$/),
  float: floatWriter(/^(NaN|-?Infinity)$/, true),
  timestamp: momentWriter(parseRfc3339),
  duration: writeDuration,
  fieldmask: writeFieldMask,
  date: writeDateJson,
  timeofday: writeTimeJson,
}

/**
 * How a text becomes a value of a column, within the limits of a parameterized type: STRING(L) counts characters, BYTES(L)
 * bytes; NUMERIC(P, S) and BIGNUMERIC(P, S) round to S digits and have room for P.
 */
export function textWriterOf({ type, attributes, proto }: RecordField, op: Op): TextWriter {
  const { maxLength, precision, scale = '0', roundingMode } = attributes
  const own = proto && PROTO_WRITERS[op]
  if (own) return own
  if (maxLength !== undefined && type === 'STRING') return limited(writeString, Number(maxLength), charactersIn)
  if (maxLength !== undefined && type === 'BYTES') return limited(writeBase64, Number(maxLength), base64BytesIn)
  if (precision === undefined || (type !== 'NUMERIC' && type !== 'BIGNUMERIC')) return TEXT_WRITERS[type]
  return decimalWriter(Number(precision), Number(scale), roundingMode === 'ROUND_HALF_EVEN')
}

type Measure = (bytes: Buffer, start: number, end: number) => number

/** @param most of what `lengthOf` counts in the text */
function limited(write: TextWriter, most: number, lengthOf: Measure): TextWriter {
  return (bytes, start, end, out) => write(bytes, start, end, out) || (lengthOf(bytes, start, end) > most ? RANGE : 0)
}

function charactersIn(bytes: Buffer, start: number, end: number): number {
  return [...bytes.toString('utf8', start, end)].length
}

function base64BytesIn(bytes: Buffer, start: number, end: number): number {
  return Buffer.byteLength(textOf(bytes, start, end), 'base64')
}

let shown: Buffer = Buffer.alloc(0)
let view = new DataView(shown.buffer)

/** The view of a buffer, kept for the next value of it. */
function viewOf(bytes: Buffer): DataView {
  if (bytes !== shown) {
    shown = bytes
    view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  }
  return view
}

export function writeString(bytes: Buffer, start: number, end: number, out: RowBuffer): number {
  const size = end - start
  out.reserve(size + 5 + WORDS)
  out.varint(size)
  if (end + WORDS > bytes.length) {
    out.copy(bytes, start, end)
    return isUtf8(bytes, start, end) ? 0 : UTF8
  }
  const source = viewOf(bytes)
  const { view, length } = out
  let all = 0
  for (let p = start, o = length; p < end; p += 8, o += 8) {
    const low = source.getInt32(p, true)
    const high = source.getInt32(p + 4, true)
    view.setInt32(o, low, true)
    view.setInt32(o + 4, high, true)
    all |= low | high
  }
  out.length = length + size
  return (all & 0x80808080) === 0 || isUtf8(bytes, start, end) ? 0 : UTF8
}

/** @param isInRange of the number in int64 @param unsigned up to 2^64-1 instead of the signed range */
function integerWriter(isInRange: () => boolean, unsigned = false): TextWriter {
  return (bytes, start, end, out) =>
    parseInteger(bytes, start, end, unsigned) || (isInRange() ? out.varint64(int64.low, int64.high) : RANGE)
}

/** Numbers as JSON has them. @param words that stand for NaN and the infinities @param isSingle of 32 bits */
function floatWriter(words: RegExp, isSingle = false): TextWriter {
  return (bytes, start, end, out) => {
    const text = textOf(bytes, start, end)
    const isNumber = jsonNumberEnd(bytes, start, end) === end
    if (!isNumber && !words.test(text)) return INVALID
    const word = /nan/i.test(text) ? Number.NaN : text.startsWith('-') ? -Infinity : Infinity
    const value = isNumber ? Number(text) : word
    if (isNumber && !Number.isFinite(isSingle ? Math.fround(value) : value)) return RANGE
    return isSingle ? out.float(value) : out.double(value)
  }
}

const TRUE = new Set(['true', 't', 'yes', 'y', '1'])
const FALSE = new Set(['false', 'f', 'no', 'n', '0'])

function writeBool(bytes: Buffer, start: number, end: number, out: RowBuffer): number {
  const text = textOf(bytes, start, end).toLowerCase()
  if (!TRUE.has(text) && !FALSE.has(text)) return INVALID
  return out.varint(TRUE.has(text) ? 1 : 0)
}

/** @param parse finds microseconds, into int64 */
function momentWriter(parse: (bytes: Buffer, start: number, end: number) => number): TextWriter {
  return (bytes, start, end, out) => putInt64(parse(bytes, start, end), out)
}

/** The time of Apache and nginx. */
export function writeClf(bytes: Buffer, start: number, end: number, out: RowBuffer): number {
  return putInt64(parseClf(bytes, start, end), out)
}

/** Days since 1970 of a text YYYY-MM-DD that may have single digits; NaN when it is no date. */
function daysIn(text: string): number {
  const [, year, month, day] = /^(\d{4})-(\d{1,2})-(\d{1,2})$/.exec(text) ?? []
  return daysOf(Number(year), Number(month), Number(day))
}

function writeDate(bytes: Buffer, start: number, end: number, out: RowBuffer): number {
  const days = daysIn(textOf(bytes, start, end))
  return days !== days ? INVALID : out.int32(days)
}

const TIME = /^(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,9}))?$/

/** HH:MM:SS[.ffffff] from a text that may have single digits; undefined when it is no time. */
function canonicalTime(text: string): string | undefined {
  const [matched, hours = '', minutes = '', seconds = '', fraction = ''] = TIME.exec(text) ?? []
  if (matched === undefined || Number(hours) > 23 || Number(minutes) > 59 || Number(seconds) > 59) return undefined
  const whole = [hours, minutes, seconds].map((part) => part.padStart(2, '0')).join(':')
  return fraction === '' ? whole : `${whole}.${fraction.slice(0, 6)}`
}

/** YYYY-MM-DDTHH:MM:SS[.ffffff] of a text in which the time, or its seconds, may be left out; undefined: it is none. */
function canonicalDatetime(text: string): string | undefined {
  const [, date = '', given = '0:0'] = /^([^Tt ]+)(?:[Tt ](.+))?$/.exec(text) ?? []
  const days = daysIn(date)
  const time = canonicalTime(/^\d+:\d+$/.test(given) ? `${given}:00` : given)
  if (days !== days || time === undefined) return undefined
  return `${new Date(days * 86_400_000).toISOString().slice(0, 10)}T${time}`
}

/** A column whose values are texts in the row. */
function canonicalWriter(canonical: (text: string) => string | undefined): TextWriter {
  return (bytes, start, end, out) => {
    const text = canonical(textOf(bytes, start, end))
    return text === undefined ? INVALID : out.string(text)
  }
}

const DECIMAL = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?$/

/**
 * NUMERIC and BIGNUMERIC as text; digits behind the scale are rounded half away from zero, as BigQuery does.
 * @param precision digits in all; 77: BIGNUMERIC's own range, whose last digit is a part of one
 * @param even rounds half to even instead
 */
function decimalWriter(precision: number, scale: number, even = false): TextWriter {
  const max = precision > 76 ? 2n ** 255n - 1n : 10n ** BigInt(precision) - 1n
  const min = precision > 76 ? -max - 1n : -max
  return (bytes, start, end, out) => {
    const units = unitsOf(textOf(bytes, start, end), scale, even)
    if (units === undefined) return INVALID
    return units === null || units > max || units < min ? RANGE : out.string(decimalText(units, scale))
  }
}

/** A number in units of 10^-scale; undefined: the text is none; null: it is beyond every range. */
function unitsOf(text: string, scale: number, even: boolean): bigint | null | undefined {
  const [matched, sign = '', whole = '', fraction = '', exponent = '0'] = DECIMAL.exec(text) ?? []
  const length = whole.length + fraction.length
  if (matched === undefined || length === 0 || length > DIGITS_MAX) return undefined
  const digits = BigInt(whole + fraction)
  const shift = scale - fraction.length + Number(exponent)
  if (digits === 0n || -shift > length) return 0n
  if (whole.length + Number(exponent) > DIGITS_MAX) return null
  const units = shift >= 0 ? digits * 10n ** BigInt(shift) : rounded(digits, 10n ** BigInt(-shift), even)
  return sign === '-' ? -units : units
}

function rounded(value: bigint, unit: bigint, even: boolean): bigint {
  const up = (value + unit / 2n) / unit
  return even && up % 2n === 1n && value % unit === unit / 2n ? up - 1n : up
}

function decimalText(units: bigint, scale: number): string {
  const text = String(units < 0n ? -units : units).padStart(scale + 1, '0')
  const point = text.length - scale
  const fraction = text.slice(point).replace(/0+$/, '')
  return `${units < 0n ? '-' : ''}${text.slice(0, point)}${fraction === '' ? '' : `.${fraction}`}`
}

function writeJson(bytes: Buffer, start: number, end: number, out: RowBuffer): number {
  if (!isUtf8(bytes, start, end)) return UTF8
  try {
    JSON.parse(bytes.toString('utf8', start, end))
  } catch {
    return JSON_SYNTAX
  }
  return out.lengthAndCopy(bytes, start, end)
}

/** BigQuery's own form `Y-M D H:M:S.F`, and ISO 8601's durations. */
const INTERVAL =
  /^[+-]?(?<years>\d+)-(?<months>\d+) [+-]?(?<days>\d+) [+-]?(?<hours>\d+):(?<minutes>\d+):(?<seconds>\d+(?:\.\d{1,9})?)$|^P(?!$|.*T$)(?:(?<years>-?\d+)Y)?(?:(?<months>-?\d+)M)?(?:(?<weeks>-?\d+)W)?(?:(?<days>-?\d+)D)?(?:T(?:(?<hours>-?\d+)H)?(?:(?<minutes>-?\d+)M)?(?:(?<seconds>-?\d+(?:\.\d{1,9})?)S)?)?$/
/** 10,000 years, as days and as hours of 366 days a year ("INTERVAL type": range). */
const INTERVAL_MAX = { months: 120_000, days: 3_660_000, seconds: 87_840_000 * 3600 }

function writeInterval(bytes: Buffer, start: number, end: number, out: RowBuffer): number {
  const text = textOf(bytes, start, end)
  const parts = INTERVAL.exec(text)?.groups
  if (!parts) return INVALID
  const sum = (...terms: [name: string, unit: number][]) =>
    Math.abs(terms.reduce((all, [name, unit]) => all + Number(parts[name] ?? 0) * unit, 0))
  const beyond =
    sum(['years', 12], ['months', 1]) > INTERVAL_MAX.months ||
    sum(['weeks', 7], ['days', 1]) > INTERVAL_MAX.days ||
    sum(['hours', 3600], ['minutes', 60], ['seconds', 1]) > INTERVAL_MAX.seconds
  return beyond ? RANGE : out.string(text)
}
