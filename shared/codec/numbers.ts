import { INVALID, RANGE } from './reasons.ts'
import type { RowBuffer } from './row-buffer.ts'

const MINUS = 0x2d
const POINT = 0x2e

/**
 * A 64-bit integer in two int32 halves: the result of the functions below, which answer 0 or a reason. One for the
 * process: whoever calls takes the halves at once.
 */
export const int64 = { low: 0, high: 0 }

/** Writes int64, unless finding it failed. Answers 0 or that reason. */
export function putInt64(failed: number, out: RowBuffer): number {
  if (failed < 0) return failed
  out.reserve(10)
  out.varint64(int64.low, int64.high)
  return 0
}

/** Sets int64 to a * m + b, exactly. @param a 0 to 2^38 @param m up to 2^30 @param b up to 2^30 */
export function setProduct(a: number, m: number, b: number): void {
  const aHigh = Math.floor(a / 524288)
  const x = aHigh * m
  const y = (a - aHigh * 524288) * m + b
  const xHigh = Math.floor(x / 8192)
  const low = (x - xHigh * 8192) * 524288 + y
  int64.low = low | 0
  int64.high = (xHigh + Math.floor(low / 4294967296)) | 0
}

/** Sets int64 to a safe integer. */
export function setSafe(value: number): void {
  int64.low = value | 0
  int64.high = Math.floor(value / 4294967296) | 0
}

export function negate(): void {
  int64.low = -int64.low | 0
  int64.high = (~int64.high + (int64.low === 0 ? 1 : 0)) | 0
}

/**
 * Where a number in JSON's grammar ends, or -1: no leading zeros, no sign but minus, digits on both sides of the point.
 */
export function jsonNumberEnd(bytes: Uint8Array, start: number, end: number): number {
  let p = start
  if (p < end && bytes[p] === MINUS) p++
  const first = p
  p = digitsEnd(bytes, p, end)
  if (p === first || (p - first > 1 && bytes[first] === 0x30)) return -1
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
  while (p < end && ((bytes[p] as number) - 0x30) >>> 0 < 10) p++
  return p
}

/**
 * The integer that the digits of bytes[start, end) say, in JSON's grammar, also as 1e3 or 5.0, into int64.
 * @param unsigned up to 2^64-1 instead of the signed range
 */
export function parseInteger(bytes: Uint8Array, start: number, end: number, unsigned: boolean): number {
  const negative = start < end && bytes[start] === MINUS
  const first = negative ? start + 1 : start
  const last = digitsEnd(bytes, first, end)
  if (last === first) return INVALID
  if (last !== end) return parseScaled(bytes, start, end, unsigned)
  if (end - first > 1 && bytes[first] === 0x30) return INVALID
  return setDigits(bytes, first, end, negative, unsigned)
}

function setDigits(bytes: Uint8Array, first: number, end: number, negative: boolean, unsigned: boolean): number {
  const count = end - first
  if (count <= 15) {
    let value = 0
    for (let i = first; i < end; i++) value = value * 10 + (bytes[i] as number) - 0x30
    if (negative && unsigned && value !== 0) return RANGE
    setSafe(negative ? -value : value)
    return 0
  }
  if (count > 20) return RANGE
  let head = 0
  for (let i = first; i < end - 9; i++) head = head * 10 + (bytes[i] as number) - 0x30
  let tail = 0
  for (let i = end - 9; i < end; i++) tail = tail * 10 + (bytes[i] as number) - 0x30
  // 18446744073 * 10^9 is the last multiple below 2^64; 9223372036 below 2^63.
  if (head > 18446744073 || (head === 18446744073 && tail > 709551615)) return RANGE
  setProduct(head, 1e9, tail)
  if (unsigned) return negative ? RANGE : 0
  if (int64.high < 0 && !(negative && int64.low === 0 && int64.high === -2147483648)) return RANGE
  if (negative) negate()
  return 0
}

// The rare forms: through text.
const SCALED = /^(-?)(0|[1-9]\d*)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/

function parseScaled(bytes: Uint8Array, start: number, end: number, unsigned: boolean): number {
  const match = SCALED.exec(textOf(bytes, start, end))
  if (!match) return INVALID
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match
  const digits = (whole + fraction).replace(/^0+/, '')
  if (digits === '') return parseInteger(ZERO, 0, 1, unsigned)
  const scale = Number(exponent) - fraction.length
  const significant = digits.replace(/0+$/, '')
  const zeros = scale + digits.length - significant.length
  if (zeros < 0) return INVALID
  if (zeros + significant.length > 20) return RANGE
  const plain = Buffer.from(sign + significant + '0'.repeat(zeros), 'latin1')
  return parseInteger(plain, 0, plain.length, unsigned)
}

const ZERO = Buffer.from('0')

// Powers of ten that a double holds exactly.
export const POWERS = Float64Array.from({ length: 23 }, (_, k) => Number(`1e${k}`))

/** What readDecimal found: decimal[0] / 10^decimal[1]. An array, so that a double needs no object of its own. */
export const decimal = new Float64Array(2)

/**
 * A number in JSON's grammar of at most 15 digits and without exponent, in one pass, into `decimal`. Answers where it
 * ends, or -1 when it is of another form.
 */
export function readDecimal(bytes: Uint8Array, start: number, end: number): number {
  const first = bytes[start] === MINUS ? start + 1 : start
  const stop = first + 16 < end ? first + 16 : end
  const nine = first + 9 < stop ? first + 9 : stop
  let head = 0
  let tail = 0
  let digit = 0
  let p = first
  // Two chains of whole numbers: a double's multiplication takes as long as three steps of these.
  for (; p < nine && (digit = (bytes[p] as number) - 0x30) >>> 0 < 10; p++) head = (head * 10 + digit) | 0
  if (p === nine)
    for (; p < stop && (digit = (bytes[p] as number) - 0x30) >>> 0 < 10; p++) tail = (tail * 10 + digit) | 0
  if (p === first || p === stop || (bytes[first] === 0x30 && p > first + 1)) return -1
  let value = p > nine ? head * (POWERS[p - nine] as number) + tail : head
  let scale = 0
  if (digit === POINT - 0x30) {
    const point = p++
    tail = 0
    for (; p < stop && (digit = (bytes[p] as number) - 0x30) >>> 0 < 10; p++) tail = (tail * 10 + digit) | 0
    scale = p - point - 1
    if (scale === 0 || scale > 9 || p === stop) return -1
    value = value * (POWERS[scale] as number) + tail
  }
  if (((digit + 0x30) | 0x20) === 0x65) return -1
  decimal[0] = first === start ? value : -value
  decimal[1] = scale
  return p
}

/** The double that `decimal` is: one division, correctly rounded. */
export function decimalDouble(): number {
  const scale = decimal[1] as number
  return scale === 0 ? (decimal[0] as number) : (decimal[0] as number) / (POWERS[scale] as number)
}

/**
 * A safe integer that is not negative as a varint at `at`, where eight bytes have room; answers the position behind it.
 * Small, so that V8 puts it where it is called.
 */
export function putWhole(view: DataView, at: number, value: number): number {
  if (value >= 0x10000000) return putLarge(view, at, value)
  const n = value | 0
  const width = Math.imul(38 - Math.clz32(n | 1), 37) >> 8
  view.setInt32(at, sevens(n) | (0x808080 >>> (32 - (width << 3))), true)
  return (at + width) | 0
}

function putLarge(view: DataView, at: number, value: number): number {
  const high = Math.floor(value / 0x10000000)
  view.setInt32(at, sevens(value - high * 0x10000000) | 0x80808080, true)
  return putWhole(view, at + 4, high)
}

/** A number below 2^28, seven bits to a byte. */
function sevens(n: number): number {
  return (n & 127) | ((n & 0x3f80) << 1) | ((n & 0x1fc000) << 2) | ((n & 0xfe00000) << 3)
}

/** The bytes as text, one character each; allocates: for rare values only. */
export function textOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1')
}
