import { INVALID, RANGE } from './reasons.ts'
import type { RowBuffer } from './row-buffer.ts'

const MINUS = 0x2d
const POINT = 0x2e
const ZERO = 0x30

/**
 * A 64-bit integer in two int32 halves: the result of the functions below, which answer 0 or a reason. One for the
 * process: whoever calls takes the halves at once.
 */
export const int64 = { low: 0, high: 0 }

/** Writes int64, unless finding it failed. Answers 0 or that reason. */
export function putInt64(failed: number, out: RowBuffer): number {
  return failed || out.varint64(int64.low, int64.high)
}

/** Sets int64 to a safe integer. */
export function setSafe(value: number): void {
  int64.low = value | 0
  int64.high = Math.floor(value / 4294967296) | 0
}

/** Sets int64 to an integer of 64 bits. */
export function setBig(value: bigint): void {
  int64.low = Number(BigInt.asIntN(32, value))
  int64.high = Number(BigInt.asIntN(32, value >> 32n))
}

/**
 * Where a number in JSON's grammar ends, or -1: no leading zeros, no sign but minus, digits on both sides of the point.
 */
export function jsonNumberEnd(bytes: Uint8Array, start: number, end: number): number {
  let p = start
  if (p < end && bytes[p] === MINUS) p++
  const first = p
  p = digitsEnd(bytes, p, end)
  if (p === first || (p - first > 1 && bytes[first] === ZERO)) return -1
  if (p >= end) return p
  if (bytes[p] === POINT) {
    const fraction = p + 1
    p = digitsEnd(bytes, fraction, end)
    if (p === fraction) return -1
  }
  return p < end && ((bytes[p] as number) | 0x20) === 0x65 ? exponentEnd(bytes, p + 1, end) : p
}

function exponentEnd(bytes: Uint8Array, start: number, end: number): number {
  const sign = start < end && (bytes[start] === 0x2b || bytes[start] === MINUS)
  const digits = sign ? start + 1 : start
  const p = digitsEnd(bytes, digits, end)
  return p === digits ? -1 : p
}

function digitsEnd(bytes: Uint8Array, start: number, end: number): number {
  let p = start
  while (p < end && ((bytes[p] as number) - ZERO) >>> 0 < 10) p++
  return p
}

/** So many digits are a safe integer. */
const SAFE_DIGITS = 15
/** A number of more characters is beyond every range: what is longer is not computed with. */
export const DIGITS_MAX = 1000

/**
 * The integer that the digits of bytes[start, end) say, in JSON's grammar, also as 1e3 or 5.0, into int64.
 * @param unsigned up to 2^64-1 instead of the signed range
 */
export function parseInteger(bytes: Uint8Array, start: number, end: number, unsigned: boolean): number {
  const negative = start < end && bytes[start] === MINUS
  const first = negative ? start + 1 : start
  const count = end - first
  let value = 0
  let p = first
  for (let digit = 0; p < end && (digit = (bytes[p] as number) - ZERO) >>> 0 < 10; p++) value = value * 10 + digit
  if (p < end || count > SAFE_DIGITS) return parseLong(textOf(bytes, start, end), unsigned)
  if (count === 0 || (count > 1 && bytes[first] === ZERO)) return INVALID
  if (negative && unsigned && value !== 0) return RANGE
  setSafe(negative ? -value : value)
  return 0
}

const INTEGER = /^(-?)(0|[1-9]\d*)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/

function parseLong(text: string, unsigned: boolean): number {
  const match = INTEGER.exec(text)
  if (!match) return INVALID
  if (text.length > DIGITS_MAX) return RANGE
  const [, sign, whole = '', fraction = '', exponent = '0'] = match
  const digits = (whole + fraction).replace(/^0+/, '')
  const significant = digits.replace(/0+$/, '')
  const zeros = significant === '' ? 0 : Number(exponent) - fraction.length + digits.length - significant.length
  if (zeros < 0) return INVALID
  if (zeros + significant.length > 20) return RANGE
  const size = BigInt(significant + '0'.repeat(zeros))
  const value = sign === '-' ? -size : size
  if (value !== (unsigned ? BigInt.asUintN(64, value) : BigInt.asIntN(64, value))) return RANGE
  setBig(value)
  return 0
}

/**
 * Source that writes a safe integer that is not negative, the variable `value`, as a varint at `o` of `into`, where eight
 * bytes have room. The int32 variable `low` is the same when it is below 2^28; `high` is free.
 */
export const putWholeSource = (value: string, low: string, high: string) => `if (${value} >= 0x10000000) {
    ${high} = Math.floor(${value} / 0x10000000) | 0
    ${low} = ${value} - ${high} * 0x10000000 | 0
    into.setInt32(o, ${sevensSource(low)} | 0x80808080, true)
    o = o + 4 | 0
    ${low} = ${high}
  }
  ${low} = ${sevensSource(low)}
  ${high} = 31 - Math.clz32(${low} | 1) & 24
  into.setInt32(o, ${low} | (1 << ${high}) - 1 & 0x808080, true)
  o = o + (${high} >> 3) + 1 | 0`

/** A number below 2^28, seven bits to a byte. */
const sevensSource = (n: string) =>
  `(${n} & 127) | (${n} & 0x3f80) << 1 | (${n} & 0x1fc000) << 2 | (${n} & 0xfe00000) << 3`

/** The bytes as text, one character each; allocates: for rare values only. */
export function textOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1')
}
