import {
  DuckDBArrayValue,
  DuckDBBlobValue,
  DuckDBDateValue,
  DuckDBDecimalValue,
  DuckDBIntervalValue,
  DuckDBListValue,
  DuckDBStructValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  DuckDBTimeValue,
  type DuckDBValue,
} from '@duckdb/node-api'
import { canonicalType, modeOf, type TableField } from '../../types.ts'
import type { Cell, TimestampFormat } from '../contract.ts'
import { QueryError } from '../errors.ts'

/** Writes DuckDB's values in the REST API's form: every scalar is text. */
export type CellWriter = (value: DuckDBValue) => Cell

/** The writer for a column of a result. */
export function cellWriter(field: TableField, timestamps: TimestampFormat): CellWriter {
  const element = elementWriter(field, timestamps)
  if (modeOf(field) !== 'REPEATED') return (value) => (value === null ? null : element(value))
  return (value) => {
    if (value === null) return []
    return listItems(value).map((item) => {
      if (item === null) throw new QueryError(`Array cannot have a null element; error in writing field ${field.name}`)
      return { v: element(item) }
    })
  }
}

function listItems(value: DuckDBValue): readonly DuckDBValue[] {
  if (value instanceof DuckDBListValue || value instanceof DuckDBArrayValue) return value.items
  throw new Error('a repeated column holds lists')
}

function elementWriter(field: TableField, timestamps: TimestampFormat): CellWriter {
  const type = canonicalType(field.type)
  switch (type) {
    case 'RECORD':
      return recordWriter(field.fields ?? [], timestamps)
    case 'TIMESTAMP':
      return (value) => timestampText(microsOf(value), timestamps)
    case 'DATETIME':
      return (value) => isoText(microsOf(value))
    case 'DATE':
      return (value) => (value instanceof DuckDBDateValue ? dateText(value.days) : String(value))
    case 'TIME':
      return (value) => (value instanceof DuckDBTimeValue ? timeText(value.micros) : String(value))
    case 'BYTES':
      return (value) => (value instanceof DuckDBBlobValue ? Buffer.from(value.bytes).toString('base64') : String(value))
    case 'FLOAT64':
      return (value) => floatText(Number(value))
    case 'NUMERIC':
      return (value) => (value instanceof DuckDBDecimalValue ? decimalText(value) : String(value))
    case 'INTERVAL':
      return (value) => (value instanceof DuckDBIntervalValue ? intervalText(value) : String(value))
    case 'JSON':
      return (value) => compactJson(String(value))
    default:
      return (value) => String(value)
  }
}

const JSON_BLANKS = /("(?:[^"\\]|\\.)*")|\s+/g

/** BigQuery prints JSON without blanks; the text of a table is kept as it was written. */
function compactJson(text: string): string {
  return /\s/.test(text) ? text.replace(JSON_BLANKS, '$1') : text
}

function recordWriter(fields: readonly TableField[], timestamps: TimestampFormat): CellWriter {
  const writers = fields.map((field) => cellWriter(field, timestamps))
  return (value) => {
    if (!(value instanceof DuckDBStructValue)) throw new Error('a record holds structs')
    const parts = Object.values(value.entries)
    return { f: writers.map((writer, i) => ({ v: writer(parts[i] ?? null) })) }
  }
}

function microsOf(value: DuckDBValue): bigint {
  if (value instanceof DuckDBTimestampTZValue || value instanceof DuckDBTimestampValue) return value.micros
  throw new Error('a timestamp column holds timestamps')
}

function pad(value: number | bigint, width = 2): string {
  return String(value).padStart(width, '0')
}

/** `.123456` after whole seconds, nothing when there is no fraction. */
function fraction(micros: bigint): string {
  return micros === 0n ? '' : `.${pad(micros, 6)}`
}

function split(micros: bigint): { seconds: bigint; rest: bigint } {
  const rest = ((micros % 1_000_000n) + 1_000_000n) % 1_000_000n
  return { seconds: (micros - rest) / 1_000_000n, rest }
}

/** The client asks for INT64; without a wish BigQuery answers in seconds. Both are exact to the microsecond. */
function timestampText(micros: bigint, format: TimestampFormat): string {
  if (format === 'INT64') return String(micros)
  if (format === 'ISO8601_STRING') return `${isoText(micros)}Z`
  if (micros < 0n) return `-${timestampText(-micros, format)}`
  const { seconds, rest } = split(micros)
  return `${seconds}.${pad(rest, 6)}`
}

function isoText(micros: bigint): string {
  const { seconds, rest } = split(micros)
  return new Date(Number(seconds) * 1000).toISOString().slice(0, 19) + fraction(rest)
}

function dateText(days: number): string {
  return new Date(days * 86_400_000).toISOString().slice(0, 10)
}

function timeText(micros: bigint): string {
  const { seconds, rest } = split(micros)
  const [hours, minutes] = [seconds / 3600n, (seconds / 60n) % 60n]
  return `${pad(hours)}:${pad(minutes)}:${pad(seconds % 60n)}${fraction(rest)}`
}

/** As the service writes a double: 1.0, 0.5, 1.0E20, NaN, Infinity. */
export function floatText(value: number): string {
  if (Object.is(value, -0)) return '-0.0'
  const text = String(value)
  if (!Number.isFinite(value)) return text
  const [mantissa = '', exponent] = text.split('e')
  const withPoint = mantissa.includes('.') ? mantissa : `${mantissa}.0`
  return exponent === undefined ? withPoint : `${withPoint}E${exponent.replace('+', '')}`
}

function decimalText(decimal: DuckDBDecimalValue): string {
  const text = decimal.toString()
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text
}

/** `Y-M D H:M:S.F`: https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types#interval_type */
function intervalText({ months, days, micros }: DuckDBIntervalValue): string {
  const total = Math.abs(months)
  const yearMonth = `${months < 0 ? '-' : ''}${Math.trunc(total / 12)}-${total % 12}`
  const absolute = micros < 0n ? -micros : micros
  const { seconds, rest } = split(absolute)
  const time = `${seconds / 3600n}:${(seconds / 60n) % 60n}:${seconds % 60n}${fraction(rest)}`
  return `${yearMonth} ${days} ${micros < 0n ? '-' : ''}${time}`
}
