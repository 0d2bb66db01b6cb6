import { INVALID, RANGE } from './reasons.ts'
import { textOf } from './numbers.ts'
import type { RowBuffer } from './row-buffer.ts'
import { daysOf } from './time.ts'

/** google/protobuf/duration.proto: plus or minus 10,000 years. */
const DURATION_SECONDS_MAX = 315_576_000_000
const DURATION = /^(-?)(\d{1,12})(?:\.(\d{1,9}))?s$/

/** The JSON form "1.5s" as an INTERVAL. Answers 0 or a reason, as all of these. */
export function writeDuration(bytes: Buffer, start: number, end: number, out: RowBuffer): number {
  const [matched, sign = '', seconds = '', fraction = ''] = DURATION.exec(textOf(bytes, start, end)) ?? []
  if (matched === undefined) return INVALID
  const nanos = Number(fraction.padEnd(9, '0'))
  return writeInterval(sign === '-', Number(seconds), nanos, out)
}

/** Seconds and nanoseconds as BigQuery's canonical INTERVAL text, in microseconds. */
export function writeInterval(negative: boolean, seconds: number, nanos: number, out: RowBuffer): number {
  if (seconds > DURATION_SECONDS_MAX || (seconds === DURATION_SECONDS_MAX && nanos > 0)) return RANGE
  const micros = Math.floor(nanos / 1000)
  const sign = negative && (seconds > 0 || micros > 0) ? '-' : ''
  const time = `${Math.floor(seconds / 3600)}:${Math.floor(seconds / 60) % 60}:${seconds % 60}`
  return out.string(`0-0 0 ${sign}${time}${fractionOf(micros)}`)
}

function fractionOf(micros: number): string {
  return micros === 0 ? '' : `.${String(micros).padStart(6, '0').replace(/0+$/, '')}`
}

const MASK = /^[A-Za-z0-9.,]*$/

/** "fooBar,baz.qux": lowerCamelCase paths. */
export function writeFieldMask(bytes: Buffer, start: number, end: number, out: RowBuffer): number {
  const text = textOf(bytes, start, end)
  return MASK.test(text) ? out.string(text) : INVALID
}

/** JSON of google.type.Date: {"year": ..., "month": ..., "day": ...}, or its text YYYY-MM-DD. */
export function writeDateJson(bytes: Buffer, start: number, end: number, out: RowBuffer): number {
  const value: unknown = JSON.parse(textOf(bytes, start, end))
  const text = typeof value === 'string' ? /^(\d{4})-(\d\d)-(\d\d)$/.exec(value) : null
  const [year, month = 0, day = 0] = text?.slice(1).map(Number) ?? membersOf(value, ['year', 'month', 'day'])
  return year === undefined ? INVALID : writeDate(year, month, day, out)
}

/** Days since 1970 of a whole date; BigQuery has none without day or month. */
export function writeDate(year: number, month: number, day: number, out: RowBuffer): number {
  const days = daysOf(year, month, day)
  return days !== days ? RANGE : out.int32(days)
}

/** JSON of google.type.TimeOfDay: {"hours": ..., "minutes": ..., "seconds": ..., "nanos": ...}. */
export function writeTimeJson(bytes: Buffer, start: number, end: number, out: RowBuffer): number {
  const value: unknown = JSON.parse(textOf(bytes, start, end))
  const [hours, minutes = 0, seconds = 0, nanos = 0] = membersOf(value, ['hours', 'minutes', 'seconds', 'nanos'])
  return hours === undefined ? INVALID : writeTime(hours, minutes, seconds, nanos, out)
}

export function writeTime(hours: number, minutes: number, seconds: number, nanos: number, out: RowBuffer): number {
  const within = (value: number, limit: number) => value >= 0 && value < limit
  if (!within(hours, 24) || !within(minutes, 60) || !within(seconds, 60) || !within(nanos, 1e9)) return RANGE
  const whole = [hours, minutes, seconds].map((part) => String(part).padStart(2, '0')).join(':')
  return out.string(whole + fractionOf(Math.floor(nanos / 1000)))
}

/** The integers that are an object's members, absent ones 0; none at all: it is no such object. */
function membersOf(value: unknown, names: readonly string[]): number[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return []
  const numbers = names.map((name) => Number(Reflect.get(value, name) ?? 0))
  const known = Object.keys(value).every((key) => names.includes(key))
  return known && numbers.every(Number.isInteger) ? numbers : []
}
