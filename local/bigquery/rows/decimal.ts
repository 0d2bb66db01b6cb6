/** Exact decimals: an integer that counts units of 10^-scale. */

export const NUMERIC_SCALE = 9
export const BIGNUMERIC_SCALE = 38
/** The widest NUMERIC: 29 digits before the point and 9 after it. */
export const NUMERIC_MAX = 10n ** 38n - 1n
/** The range of BIGNUMERIC is that of a 256-bit two's complement. */
export const BIGNUMERIC_MAX = 2n ** 255n - 1n
export const BIGNUMERIC_MIN = -(2n ** 255n)

/** Longest decimal text that is read, in characters, so that a hostile exponent costs nothing. */
const TEXT_MAX = 200

/**
 * Reads '-12.5e3' as units of 10^-scale, rounded half away from zero as BigQuery does; undefined when it is no number.
 */
export function parseDecimal(text: string, scale: number): bigint | undefined {
  const match = /^\s*([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,3}))?\s*$/.exec(text)
  if (!match || text.length > TEXT_MAX) return undefined
  const [, sign, whole = '', fraction = '', exponent = '0'] = match
  if (whole.length + fraction.length === 0) return undefined
  const shift = scale + Number(exponent) - fraction.length
  const units = shiftRounded(BigInt(whole + fraction), shift)
  return sign === '-' ? -units : units
}

function shiftRounded(digits: bigint, shift: number): bigint {
  if (shift >= 0) return digits * 10n ** BigInt(shift)
  const divisor = 10n ** BigInt(-shift)
  return (digits + divisor / 2n) / divisor
}

/** The shortest decimal text of `units` x 10^-scale: no exponent, no trailing zeros. */
export function formatDecimal(units: bigint, scale: number): string {
  const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, '0')
  const whole = digits.slice(0, digits.length - scale)
  const fraction = digits.slice(digits.length - scale).replace(/0+$/, '')
  return `${units < 0n ? '-' : ''}${whole}${fraction === '' ? '' : `.${fraction}`}`
}

/** Little-endian two's complement, the form of NUMERIC and BIGNUMERIC on the wire. */
export function readLittleEndian(source: Buffer, from: number, to: number): bigint {
  let value = 0n
  for (let at = to - 1; at >= from; at--) value = (value << 8n) | BigInt(source[at] as number)
  return BigInt.asIntN((to - from) * 8, value)
}

/** 16 bytes of big-endian two's complement, the form of DECIMAL(38) in Parquet. */
export function writeBigEndian16(value: bigint, into: Buffer): void {
  into.writeBigInt64BE(value >> 64n, 0)
  into.writeBigUInt64BE(BigInt.asUintN(64, value), 8)
}
