/** INTERVAL: months, days and microseconds, three numbers that are not carried over into one another. */
export interface Interval {
  months: number
  days: number
  micros: bigint
}

/** The ranges of the three parts: https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types#interval_type */
const MONTHS_MAX = 120_000
const DAYS_MAX = 3_660_000
const MICROS_MAX = 316_224_000_000_000_000n

/** Reads the canonical form '[sign]Y-M [sign]D [sign]H:M:S[.F]' or ISO 8601's 'P1Y2M3DT4H5M6.7S'; undefined for anything else. */
export function parseInterval(text: string): Interval | undefined {
  const interval = parseCanonical(text.trim()) ?? parseIso(text.trim())
  return interval && inRange(interval) ? interval : undefined
}

/** A protobuf Duration as an INTERVAL of microseconds, or undefined when it is out of range. */
export function intervalOfDuration(seconds: bigint, nanos: number): Interval | undefined {
  const interval = { months: 0, days: 0, micros: seconds * 1_000_000n + BigInt(Math.trunc(nanos / 1000)) }
  return inRange(interval) ? interval : undefined
}

/** The form that DuckDB casts to INTERVAL without loss. */
export function duckInterval({ months, days, micros }: Interval): string {
  return `${months} months ${days} days ${micros} microseconds`
}

function inRange({ months, days, micros }: Interval): boolean {
  const absolute = micros < 0n ? -micros : micros
  return Math.abs(months) <= MONTHS_MAX && Math.abs(days) <= DAYS_MAX && absolute <= MICROS_MAX
}

function parseCanonical(text: string): Interval | undefined {
  const match = /^([+-]?)(\d+)-(\d+) ([+-]?\d+) ([+-]?)(\d+):(\d+):(\d+)(?:\.(\d{1,9}))?$/.exec(text)
  if (!match) return undefined
  const months = Number(match[2]) * 12 + Number(match[3])
  const micros = microsOf(match[6], match[7], match[8], match[9])
  return {
    months: match[1] === '-' ? -months : months,
    days: Number(match[4]),
    micros: match[5] === '-' ? -micros : micros,
  }
}

const ISO =
  /^P(?:(-?\d+)Y)?(?:(-?\d+)M)?(?:(-?\d+)W)?(?:(-?\d+)D)?(?:T(?:(-?\d+)H)?(?:(-?\d+)M)?(?:(-?)(\d+)(?:\.(\d{1,9}))?S)?)?$/

function parseIso(text: string): Interval | undefined {
  const match = ISO.exec(text)
  if (!match || text.length < 3 || text.endsWith('T')) return undefined
  const part = (at: number) => Number(match[at] ?? 0)
  const seconds = microsOf('0', '0', match[8] ?? '0', match[9])
  const clock = BigInt(part(5)) * 3_600_000_000n + BigInt(part(6)) * 60_000_000n
  return {
    months: part(1) * 12 + part(2),
    days: part(3) * 7 + part(4),
    micros: clock + (match[7] === '-' ? -seconds : seconds),
  }
}

function microsOf(hours = '0', minutes = '0', seconds = '0', fraction = ''): bigint {
  const whole = (BigInt(hours) * 60n + BigInt(minutes)) * 60n + BigInt(seconds)
  return whole * 1_000_000n + BigInt(fraction.padEnd(6, '0').slice(0, 6))
}
