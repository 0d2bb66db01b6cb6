import { setBig, setSafe, textOf } from './numbers.ts'
import { INVALID, RANGE } from './reasons.ts'
import { offsetOf } from './zone.ts'

/** 0001-01-01 and 9999-12-31 23:59:59 in seconds since 1970: the limits of TIMESTAMP, DATETIME and DATE. */
const SECONDS_MIN = -62_135_596_800
const SECONDS_MAX = 253_402_300_799
/** Seconds whose microseconds are safe integers: up to the year 2255. */
const SAFE_SECONDS = 9_007_199_254

/** Nanoseconds. */
const FRACTION_DIGITS_MAX = 9

const DASH = 0x2d
const COLON = 0x3a

/** What the functions below found; one for the process, read at once. */
const moment = { seconds: 0, micros: 0, end: 0 }

// The last day that was looked up, by its digits: log lines rarely change it.
let lastDate = 0
let lastDays = 0

/** Days since 1970-01-01 of a date of the Gregorian calendar, or NaN when there is no such date. */
export function daysOf(year: number, month: number, day: number): number {
  const isNear = year >= 1 && year <= 9999 && month >= 1 && month <= 12 && day >= 1 && day <= 31
  const date = (year * 100 + month) * 100 + day
  if (isNear && date === lastDate) return lastDays
  const days = dayNumber(year, month, day)
  if (!isNear || days >= dayNumber(year, month + 1, 1)) return Number.NaN
  lastDate = date
  lastDays = days
  return days
}

/** Date.UTC takes the years 0 to 99 for those of the last century; the calendar repeats itself every 400 years. */
function dayNumber(year: number, month: number, day: number): number {
  return Date.UTC(year + 400, month - 1, day) / 86_400_000 - 146_097
}

/** Sets int64 to the microseconds of a moment, exactly: doubles end in the year 2255. Answers 0 or RANGE. */
export function setMicros(seconds: number, micros: number): number {
  if (seconds < SECONDS_MIN || seconds > SECONDS_MAX) return RANGE
  if (seconds > -SAFE_SECONDS && seconds < SAFE_SECONDS) setSafe(seconds * 1e6 + micros)
  else setBig(BigInt(seconds) * 1_000_000n + BigInt(micros))
  return 0
}

/** Two digits at p, or -1 (also behind the end). */
function twoDigits(bytes: Uint8Array, p: number, end: number): number {
  if (p + 2 > end) return -1
  const tens = (bytes[p] as number) - 0x30
  const ones = (bytes[p + 1] as number) - 0x30
  return tens >>> 0 < 10 && ones >>> 0 < 10 ? tens * 10 + ones : -1
}

/** A date written YYYY-MM-DD at p as days since 1970, or NaN. */
function parseDate(bytes: Uint8Array, p: number, end: number): number {
  const century = twoDigits(bytes, p, end)
  const years = twoDigits(bytes, p + 2, end)
  const month = twoDigits(bytes, p + 5, end)
  const day = twoDigits(bytes, p + 8, end)
  if (century < 0 || years < 0 || bytes[p + 4] !== DASH || bytes[p + 7] !== DASH) return Number.NaN
  return daysOf(century * 100 + years, month, day)
}

/** A time of day HH:MM:SS[.fraction] at p into moment; seconds since midnight. Answers 0 or INVALID. */
function parseTimeOfDay(bytes: Uint8Array, p: number, end: number): number {
  const hours = twoDigits(bytes, p, end)
  const minutes = twoDigits(bytes, p + 3, end)
  const seconds = twoDigits(bytes, p + 6, end)
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59 || seconds < 0 || seconds > 59) return INVALID
  if (bytes[p + 2] !== COLON || bytes[p + 5] !== COLON) return INVALID
  moment.seconds = hours * 3600 + minutes * 60 + seconds
  moment.micros = 0
  moment.end = p + 8
  return p + 8 < end && bytes[p + 8] === 0x2e ? parseFraction(bytes, p + 9, end) : 0
}

/** Digits of a second into moment.micros; those behind the sixth are cut off. */
function parseFraction(bytes: Uint8Array, start: number, end: number): number {
  let micros = 0
  let p = start
  for (; p < end && ((bytes[p] as number) - 0x30) >>> 0 < 10; p++) {
    if (p - start < 6) micros = micros * 10 + (bytes[p] as number) - 0x30
  }
  const digits = p - start
  if (digits === 0 || digits > FRACTION_DIGITS_MAX) return INVALID
  for (let i = digits; i < 6; i++) micros *= 10
  moment.micros = micros
  moment.end = p
  return 0
}

/** RFC 3339 as proto3 JSON has it (upper-case T and Z, a zone, up to nine digits): micros into int64; 0 or a reason. */
export function parseRfc3339(bytes: Uint8Array, start: number, end: number): number {
  const days = parseDate(bytes, start, end)
  if (end - start < 20 || bytes[start + 10] !== 0x54 || days !== days) return INVALID
  const failed = parseTimeOfDay(bytes, start + 11, end)
  if (failed < 0) return failed
  const { seconds, micros } = moment
  const offset = parseOffset(bytes, moment.end, end)
  if (offset !== offset) return INVALID
  return setMicros(days * 86_400 + seconds - offset, micros)
}

/** `Z` or +HH:MM, up to the end, as seconds; NaN when it is neither. */
function parseOffset(bytes: Uint8Array, p: number, end: number): number {
  if (p + 1 === end && bytes[p] === 0x5a) return 0
  return p + 6 === end && bytes[p + 3] === COLON ? signedOffset(bytes, p, p + 4, end) : Number.NaN
}

/** A sign and hours at p, minutes at another place. */
function signedOffset(bytes: Uint8Array, p: number, minutesAt: number, end: number): number {
  const sign = bytes[p] === 0x2b ? 1 : bytes[p] === DASH ? -1 : 0
  const hours = twoDigits(bytes, p + 1, end)
  const minutes = twoDigits(bytes, minutesAt, end)
  const wrong = sign === 0 || hours < 0 || hours > 23 || minutes < 0 || minutes > 59
  return wrong ? Number.NaN : sign * (hours * 3600 + minutes * 60)
}

// The text forms of BigQuery's own loading: one digit is enough, T or space, seconds may be left out, UTC or an offset.
const TIMESTAMP =
  /^(\d{4})-(\d{1,2})-(\d{1,2})(?:[Tt ](\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,9}))?)?)? ?([Zz]|UTC|GMT|[+-]\d{1,2}(?::?\d{2})?)?$/
const EPOCH = /^[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?$/

/** A timestamp in any form that BigQuery loads, most often RFC 3339: micros into int64; 0 or a reason. */
export function parseTimestamp(bytes: Buffer, start: number, end: number): number {
  const common = parseRfc3339(bytes, start, end)
  if (common !== INVALID) return common
  const text = textOf(bytes, start, end)
  const match = TIMESTAMP.exec(text)
  if (!match) return EPOCH.test(text) ? setEpoch(text) : INVALID
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match
    .slice(1, 7)
    .map((text) => Number(text ?? 0))
  const [fraction = '', zone = 'Z'] = match.slice(7)
  const days = daysOf(year, month, day)
  const offset = offsetOf(zone.toUpperCase())
  if (days !== days || offset !== offset || hour > 23 || minute > 59 || second > 59) return INVALID
  return setMicros(days * 86_400 + hour * 3600 + minute * 60 + second - offset, microsOf(fraction))
}

/** Digits behind a point as microseconds; those behind the sixth are cut off. */
export function microsOf(fraction: string): number {
  return Number(fraction.slice(0, 6).padEnd(6, '0'))
}

/**
 * A number since 1970: seconds up to the year 9999; a larger one can only be milliseconds, a yet larger one
 * microseconds.
 */
function setEpoch(text: string): number {
  const value = Number(text)
  const size = Math.abs(value)
  const unit = size <= SECONDS_MAX ? 1 : size <= SECONDS_MAX * 1e3 ? 1e3 : 1e6
  const seconds = Math.floor(value / unit)
  const micros = Math.round((value - seconds * unit) * (1e6 / unit))
  return micros >= 1e6 ? setMicros(seconds + 1, 0) : setMicros(seconds, micros)
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
// Three letters in any case, in one number.
const MONTH_WORDS = new Map(MONTHS.map((name, index) => [Buffer.from(name).readUIntBE(0, 3) | 0x202020, index + 1]))

/** The number of an English month's first three letters at p, or 0. */
export function monthOf(bytes: Uint8Array, p: number): number {
  const word = ((bytes[p] as number) << 16) | ((bytes[p + 1] as number) << 8) | (bytes[p + 2] as number)
  return MONTH_WORDS.get(word | 0x202020) ?? 0
}

/** The 26 bytes `17/May/2015:10:05:03 +0000` at p, the time of Apache and nginx: micros into int64. Answers 0 or INVALID. */
export function parseClf(bytes: Uint8Array, p: number, end: number): number {
  if (p + 26 > end) return INVALID
  const day = twoDigits(bytes, p, end)
  const century = twoDigits(bytes, p + 7, end)
  const years = twoDigits(bytes, p + 9, end)
  if (day < 0 || century < 0 || years < 0 || bytes[p + 2] !== 0x2f || bytes[p + 6] !== 0x2f) return INVALID
  const days = daysOf(century * 100 + years, monthOf(bytes, p + 3), day)
  if (days !== days || bytes[p + 11] !== COLON || parseTimeOfDay(bytes, p + 12, p + 20) < 0) return INVALID
  const offset = signedOffset(bytes, p + 21, p + 24, end)
  if (bytes[p + 20] !== 0x20 || offset !== offset) return INVALID
  return setMicros(days * 86_400 + moment.seconds - offset, 0)
}
