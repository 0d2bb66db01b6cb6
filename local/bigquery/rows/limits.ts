import type { BigQueryType, TableField } from '../types.ts'
import type { Convert } from './convert.ts'
import { BIGNUMERIC_SCALE, formatDecimal, NUMERIC_SCALE, parseDecimal, writeBigEndian16 } from './decimal.ts'
import type { Reader } from './reader.ts'

/**
 * The check that a parameterized type adds to a converted value, or undefined: STRING(L) counts characters, BYTES(L)
 * bytes, NUMERIC(P, S) and BIGNUMERIC(P, S) round to S digits and bound the value.
 * https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types#parameterized_data_types
 */
export function limitOf(field: TableField, type: BigQueryType): Convert | undefined {
  if (field.maxLength !== undefined && type === 'STRING') return characters(Number(field.maxLength))
  if (field.maxLength !== undefined && type === 'BYTES') return bytes(Number(field.maxLength))
  if (field.precision === undefined) return undefined
  const [precision, scale] = [Number(field.precision), Number(field.scale ?? 0)]
  if (type === 'NUMERIC') return numeric(precision, scale)
  return type === 'BIGNUMERIC' ? bigNumeric(precision, scale) : undefined
}

const characters =
  (most: number): Convert =>
  ({ source, from, to }) => {
    if (to - from <= most) return ''
    const length = [...source.toString('utf8', from, to)].length
    return length <= most ? '' : `STRING(${most}) has maximum length ${most} but got a value with length ${length}`
  }

const bytes =
  (most: number): Convert =>
  ({ from, to }) =>
    to - from <= most ? '' : `BYTES(${most}) has maximum length ${most} but got a value with length ${to - from}`

/** Rounds to `scale` digits, half away from zero; undefined when the result needs more than `precision` digits. */
function fit(units: bigint, unitScale: number, precision: number, scale: number): bigint | undefined {
  const step = 10n ** BigInt(unitScale - scale)
  const absolute = units < 0n ? -units : units
  const rounded = ((absolute + step / 2n) / step) * step
  if (rounded >= 10n ** BigInt(precision - scale + unitScale)) return undefined
  return units < 0n ? -rounded : rounded
}

const wide = Buffer.alloc(16)

function numeric(precision: number, scale: number): Convert {
  return (reader: Reader) => {
    const { source, from } = reader
    const units = (source.readBigInt64BE(from) << 64n) | source.readBigUInt64BE(from + 8)
    const fitted = fit(units, NUMERIC_SCALE, precision, scale)
    if (fitted === undefined) return `NUMERIC(${precision}, ${scale}) out of range`
    writeBigEndian16(fitted, wide)
    reader.setBytes(wide)
    return ''
  }
}

function bigNumeric(precision: number, scale: number): Convert {
  return (reader: Reader) => {
    const units = parseDecimal(reader.source.toString('latin1', reader.from, reader.to), BIGNUMERIC_SCALE) ?? 0n
    const fitted = fit(units, BIGNUMERIC_SCALE, precision, scale)
    if (fitted === undefined) return `BIGNUMERIC(${precision}, ${scale}) out of range`
    reader.setBytes(Buffer.from(formatDecimal(fitted, BIGNUMERIC_SCALE)))
    return ''
  }
}
