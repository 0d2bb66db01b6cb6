/** Dates and times between text, BigQuery's packed form and counts since 1970, all in the proleptic Gregorian calendar. */

/** 0001-01-01 and 9999-12-31 as days since 1970: the range of DATE. */
export const DAYS_MIN = -719_162
export const DAYS_MAX = 2_932_896
/** The range of TIMESTAMP and DATETIME in microseconds since 1970. Their halves are compared as numbers: 2^53 is in it. */
export const MICROS_MIN = -62_135_596_800_000_000n
export const MICROS_MAX = 253_402_300_799_999_999n

const DAY_MICROS = 86_400_000_000

/** Days since 1970 of a calendar date, or undefined when there is no such date. */
export function daysOf(year: number, month: number, day: number): number | undefined {
  if (year < 1 || year > 9999 || month < 1 || month > 12 || day < 1 || day > 31) return undefined
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  if (date.getUTCMonth() !== month - 1) return undefined
  return date.getTime() / 86_400_000
}

/** Microseconds since midnight, or undefined when a part is out of its range. */
export function timeMicrosOf(hour: number, minute: number, second: number, micro: number): number | undefined {
  if (hour > 23 || minute > 59 || second > 59 || micro > 999_999) return undefined
  return ((hour * 60 + minute) * 60 + second) * 1_000_000 + micro
}

/** 'YYYY-[M]M-[D]D' as days since 1970. */
export function parseDate(text: string): number | undefined {
  const match = /^(\d{4})-(\d{1,2})-(\d{1,2})$/.exec(text)
  return match ? daysOf(Number(match[1]), Number(match[2]), Number(match[3])) : undefined
}

/** '[H]H:[M]M:[S]S[.DDDDDD]' as microseconds since midnight. */
export function parseTime(text: string): number | undefined {
  const match = /^(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,6}))?$/.exec(text)
  if (!match) return undefined
  const micro = Number((match[4] ?? '').padEnd(6, '0'))
  return timeMicrosOf(Number(match[1]), Number(match[2]), Number(match[3]), micro)
}

/** 'YYYY-MM-DD[ |T]HH:MM:SS[.DDDDDD]', the time being optional, as microseconds since 1970-01-01 00:00. */
export function parseDatetime(text: string): bigint | undefined {
  const [date, time] = text.trim().split(/[ Tt]/, 2)
  const days = parseDate(date ?? '')
  const micros = time === undefined ? 0 : parseTime(time)
  return days === undefined || micros === undefined ? undefined : joinMicros(days, micros)
}

/**
 * BigQuery's packed time in 64 bits: from the lowest, micro 20, second 6, minute 6, hour 5.
 * Microseconds since midnight, or undefined.
 */
export function unpackTime(lo: number, hi: number): number | undefined {
  if (hi >>> 5 !== 0) return undefined
  return timeMicrosOf(hi & 0x1f, lo >>> 26, (lo >>> 20) & 0x3f, lo & 0xf_ffff)
}

/** BigQuery's packed datetime: the packed time, then day 5, month 4, year 14. Microseconds since 1970, or undefined. */
export function unpackDatetime(lo: number, hi: number): bigint | undefined {
  const time = unpackTime(lo, hi & 0x1f)
  const days = daysOf(hi >>> 14, (hi >>> 10) & 0xf, (hi >>> 5) & 0x1f)
  return days === undefined || time === undefined ? undefined : joinMicros(days, time)
}

function joinMicros(days: number, timeMicros: number): bigint {
  return BigInt(days) * BigInt(DAY_MICROS) + BigInt(timeMicros)
}
