import { isUtf8 } from 'node:buffer'
import type { BigQueryType } from '../types.ts'
import {
  DAYS_MAX,
  DAYS_MIN,
  MICROS_MAX,
  MICROS_MIN,
  parseDate,
  parseDatetime,
  parseTime,
  unpackDatetime,
  unpackTime,
} from './civil.ts'
import {
  BIGNUMERIC_MAX,
  BIGNUMERIC_MIN,
  BIGNUMERIC_SCALE,
  formatDecimal,
  NUMERIC_MAX,
  NUMERIC_SCALE,
  parseDecimal,
  readLittleEndian,
  writeBigEndian16,
} from './decimal.ts'
import { duckInterval, type Interval, intervalOfDuration, parseInterval } from './interval.ts'
import type { Reader } from './reader.ts'

/**
 * Turns the value that the reader holds into the form of its column, in place. Returns why it cannot be one, or ''.
 * Integers arrive as signed 64 bits in `lo` and `hi`, doubles as their bits, text and bytes as a range of `source`.
 */
export type Convert = (reader: Reader) => string

/** What a protobuf field gives, after its wire form has been read. */
export type Family =
  | 'int'
  | 'uint64'
  | 'fixed64'
  | 'bool'
  | 'double'
  | 'string'
  | 'bytes'
  | 'enum'
  | 'timestamp'
  | 'duration'

type Conversions = Readonly<Partial<Record<Family, Convert>>>

const scratch = new DataView(new ArrayBuffer(8))
const wide = Buffer.alloc(16)
const none: Convert = () => ''

export function doubleOf(reader: Reader): number {
  scratch.setUint32(0, reader.lo, true)
  scratch.setUint32(4, reader.hi, true)
  return scratch.getFloat64(0, true)
}

export function setDouble(reader: Reader, value: number): void {
  scratch.setFloat64(0, value, true)
  reader.lo = scratch.getUint32(0, true)
  reader.hi = scratch.getUint32(4, true)
}

function setBigInt(reader: Reader, value: bigint): void {
  scratch.setBigInt64(0, value, true)
  reader.lo = scratch.getUint32(0, true)
  reader.hi = scratch.getUint32(4, true)
}

const textOf = ({ source, from, to }: Reader): string => source.toString('utf8', from, to)
const setText = (reader: Reader, text: string): void => reader.setBytes(Buffer.from(text))

/** Plain ASCII is found in place, eight bytes at a time, which is cheaper than a call for the short texts of most columns. */
const utf8: Convert = ({ source, from, to }) => {
  let bits = 0
  let at = from
  for (const end = to - 7; at < end; at += 8) {
    bits |=
      (source[at] as number) |
      (source[at + 1] as number) |
      (source[at + 2] as number) |
      (source[at + 3] as number) |
      (source[at + 4] as number) |
      (source[at + 5] as number) |
      (source[at + 6] as number) |
      (source[at + 7] as number)
  }
  for (; at < to; at++) bits |= source[at] as number
  return bits < 0x80 || isUtf8(source.subarray(from, to)) ? '' : 'Invalid UTF-8'
}

const notNegative: Convert = (reader) => (reader.hi >>> 31 === 0 ? '' : 'Integer overflow')

const json: Convert = (reader) => {
  const bad = utf8(reader)
  if (bad !== '') return bad
  try {
    JSON.parse(textOf(reader))
    return ''
  } catch {
    return `Invalid JSON: ${textOf(reader).slice(0, 64)}`
  }
}

const WELL_KNOWN_TEXT =
  /^\s*(?:\{|(?:point|linestring|polygon|multipoint|multilinestring|multipolygon|geometrycollection|fullglobe)\b)/i
const geography: Convert = (reader) => {
  const bad = utf8(reader)
  return bad !== '' || WELL_KNOWN_TEXT.test(textOf(reader)) ? bad : 'Invalid GEOGRAPHY: neither WKT nor GeoJSON'
}

/** A date from a count of days. */
const days: Convert = (reader) => {
  const count = reader.signedNumber()
  return count >= DAYS_MIN && count <= DAYS_MAX ? '' : `DATE ${count} is out of range`
}

const dateText: Convert = (reader) => {
  const count = parseDate(textOf(reader))
  if (count === undefined) return `Invalid date: '${textOf(reader).slice(0, 40)}'`
  reader.setNumber(count)
  return ''
}

/** High halves strictly between these bounds are inside MICROS_MIN to MICROS_MAX whatever the low half is. */
const HI_INSIDE_MIN = Number(MICROS_MIN >> 32n)
const HI_INSIDE_MAX = Number(MICROS_MAX >> 32n)
const micros: Convert = (reader) => {
  const hi = reader.hi | 0
  if (hi > HI_INSIDE_MIN && hi < HI_INSIDE_MAX) return ''
  const value = reader.signedBigInt()
  return value >= MICROS_MIN && value <= MICROS_MAX ? '' : `TIMESTAMP ${value} is out of range`
}

function setMicros(reader: Reader, value: bigint | undefined, type: string): string {
  if (value === undefined) return `Invalid ${type} value`
  setBigInt(reader, value)
  return micros(reader)
}

const timestamp: Convert = (reader) => {
  const { seconds, nanos } = secondsAndNanos(reader)
  return setMicros(reader, seconds * 1_000_000n + BigInt(Math.floor(nanos / 1000)), 'TIMESTAMP')
}
const packedDatetime: Convert = (reader) => setMicros(reader, unpackDatetime(reader.lo, reader.hi), 'DATETIME')
const datetimeText: Convert = (reader) => setMicros(reader, parseDatetime(textOf(reader)), 'DATETIME')

function setTime(reader: Reader, value: number | undefined): string {
  if (value === undefined) return 'Invalid TIME value'
  reader.setNumber(value)
  return ''
}
const packedTime: Convert = (reader) => setTime(reader, unpackTime(reader.lo, reader.hi))
const timeText: Convert = (reader) => setTime(reader, parseTime(textOf(reader)))

function setInterval(reader: Reader, interval: Interval | undefined): string {
  if (interval === undefined) return 'Invalid INTERVAL value'
  setText(reader, duckInterval(interval))
  return ''
}
const intervalText: Convert = (reader) => setInterval(reader, parseInterval(textOf(reader)))
const duration: Convert = (reader) => {
  const { seconds, nanos } = secondsAndNanos(reader)
  return setInterval(reader, intervalOfDuration(seconds, nanos))
}

/** Timestamp and Duration share their fields: seconds = 1, nanos = 2. The reader holds the message's bytes. */
function secondsAndNanos(reader: Reader): { seconds: bigint; nanos: number } {
  const { pos, end, from, to } = reader
  let seconds = 0n
  let nanos = 0
  reader.pos = from
  reader.end = to
  while (reader.pos < to && reader.varint()) {
    const tag = reader.lo
    if (!reader.skip(tag & 7)) break
    if (tag === 8) seconds = reader.signedBigInt()
    else if (tag === 16) nanos = reader.lo | 0
  }
  reader.pos = pos
  reader.end = end
  return { seconds, nanos }
}

function setNumeric(reader: Reader, units: bigint | undefined): string {
  if (units === undefined) return 'Invalid NUMERIC value'
  if (units > NUMERIC_MAX || units < -NUMERIC_MAX) return 'NUMERIC out of range'
  writeBigEndian16(units, wide)
  reader.setBytes(wide)
  return ''
}

function setBigNumeric(reader: Reader, units: bigint | undefined): string {
  if (units === undefined) return 'Invalid BIGNUMERIC value'
  if (units > BIGNUMERIC_MAX || units < BIGNUMERIC_MIN) return 'BIGNUMERIC out of range'
  setText(reader, formatDecimal(units, BIGNUMERIC_SCALE))
  return ''
}

/** The five ways into a decimal; `bytes` is little-endian two's complement of value x 10^scale. */
function decimals(
  scale: number,
  bytesMax: number,
  set: (reader: Reader, units: bigint | undefined) => string,
): Conversions {
  const unit = 10n ** BigInt(scale)
  const unsigned = (reader: Reader) => (BigInt(reader.hi) << 32n) | BigInt(reader.lo)
  return {
    int: (reader) => set(reader, reader.signedBigInt() * unit),
    uint64: (reader) => set(reader, unsigned(reader) * unit),
    fixed64: (reader) => set(reader, unsigned(reader) * unit),
    double: (reader) => set(reader, parseDecimal(String(doubleOf(reader)), scale)),
    string: (reader) => set(reader, parseDecimal(textOf(reader), scale)),
    bytes: (reader) =>
      set(
        reader,
        reader.to - reader.from > bytesMax ? undefined : readLittleEndian(reader.source, reader.from, reader.to),
      ),
  }
}

/**
 * Which protobuf families each type takes, and how.
 * https://cloud.google.com/bigquery/docs/supported-data-types (a fixed64 is checked for overflow, a uint64 is refused)
 */
export const CONVERSIONS: Readonly<Record<Exclude<BigQueryType, 'RECORD'>, Conversions>> = {
  BOOL: { bool: none, int: none, uint64: none, fixed64: none },
  BYTES: { bytes: none, string: none },
  DATE: { int: days, string: dateText },
  DATETIME: { int: packedDatetime, string: datetimeText },
  TIME: { int: packedTime, string: timeText },
  FLOAT64: { double: none },
  INT64: { int: none, enum: none, fixed64: notNegative },
  JSON: { string: json },
  GEOGRAPHY: { string: geography },
  NUMERIC: decimals(NUMERIC_SCALE, 16, setNumeric),
  BIGNUMERIC: decimals(BIGNUMERIC_SCALE, 32, setBigNumeric),
  STRING: { string: utf8 },
  TIMESTAMP: { int: micros, timestamp },
  INTERVAL: { string: intervalText, duration },
}

/** An enum's number as its name, for a STRING column. */
export function enumName(names: ReadonlyMap<number, Buffer>): Convert {
  return (reader) => {
    const name = names.get(reader.lo | 0)
    if (name === undefined) return `Unknown enum value ${reader.lo | 0}`
    reader.setBytes(name)
    return ''
  }
}
