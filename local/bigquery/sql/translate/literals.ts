import { errorAt, type Position } from '../errors.ts'
import { scalar, type ScalarKind, type Typed } from './types.ts'

/** Text as a DuckDB string literal. */
export function quote(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`
  return quoted.includes('\0') ? `(${quoted.replaceAll('\0', "' || chr(0) || '")})` : quoted
}

const INT64_MIN = -(2n ** 63n)
const INT64_MAX = 2n ** 63n - 1n
const DATE = String.raw`(\d{4})-(\d{1,2})-(\d{1,2})`
const TIME = String.raw`(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,12}))?`
const ZONE = String.raw`\s*(?:([Zz])|([+-])(\d{1,2})(?::?(\d{2}))?|\s([A-Za-z_]+(?:\/[A-Za-z0-9_+-]+)*))`
const DATE_FORM = new RegExp(`^${DATE}$`)
const TIME_FORM = new RegExp(`^${TIME}$`)
const DATETIME_FORM = new RegExp(`^${DATE}(?:[ Tt]${TIME})?$`)
const TIMESTAMP_FORM = new RegExp(`^${DATE}(?:[ Tt]${TIME})?(?:${ZONE})?$`)

/**
 * A literal, or a parameter's text, as a value of a type; undefined: the text is no value of it.
 * https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical#literals
 */
export function literal(kind: ScalarKind, text: string): Typed | undefined {
  const sql = literalSql(kind, text)
  return sql === undefined ? undefined : { sql, type: scalar(kind), literal: { kind, text } }
}

/** As `literal`, with BigQuery's error for a text that is no value. */
export function literalAt(kind: ScalarKind, text: string, at: Position): Typed {
  const value = literal(kind, text)
  if (value === undefined) throw errorAt(`Could not cast literal ${JSON.stringify(text)} to type ${kind}`, at)
  return value
}

function literalSql(kind: ScalarKind, text: string): string | undefined {
  switch (kind) {
    case 'STRING':
    case 'GEOGRAPHY':
      return quote(text)
    case 'BYTES':
      return `unhex('${Buffer.from(text, 'latin1').toString('hex')}')`
    case 'BOOL':
      return /^(true|false)$/i.test(text) ? text.toUpperCase() : undefined
    case 'INT64':
      return integerSql(text)
    case 'FLOAT64':
      return floatSql(text)
    case 'NUMERIC':
      return /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text.trim())
        ? `CAST('${text.trim()}' AS DECIMAL(38,9))`
        : undefined
    case 'BIGNUMERIC':
      return /^[+-]?(\d+\.?\d*|\.\d+)$/.test(text.trim()) ? quote(canonicalDecimal(text.trim())) : undefined
    case 'JSON':
      return isJson(text) ? `CAST(${quote(text)} AS JSON)` : undefined
    case 'INTERVAL':
      return undefined
    default:
      return temporalSql(kind, text)
  }
}

function integerSql(text: string): string | undefined {
  if (!/^\s*[+-]?(\d+|0[xX][0-9a-fA-F]+)\s*$/.test(text)) return undefined
  const negative = text.trim().startsWith('-')
  const magnitude = BigInt(text.trim().replace(/^[+-]/, ''))
  const value = negative ? -magnitude : magnitude
  if (value < INT64_MIN || value > INT64_MAX) return undefined
  return negative ? `CAST('${value}' AS BIGINT)` : `${value}::BIGINT`
}

function floatSql(text: string): string | undefined {
  const trimmed = text.trim()
  const valid = /^[+-]?((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|inf|infinity|nan)$/i.test(trimmed)
  return valid ? `'${trimmed.replace(/^\+/, '')}'::DOUBLE` : undefined
}

/** The canonical text of a decimal number: no exponent, no leading or trailing zeros. */
export function canonicalDecimal(text: string): string {
  const [, sign = '', whole = '', fraction = ''] = /^([+-]?)(\d*)\.?(\d*)$/.exec(text) ?? []
  const integer = whole.replace(/^0+(?=\d)/, '') || '0'
  const decimals = fraction.replace(/0+$/, '')
  const digits = decimals === '' ? integer : `${integer}.${decimals}`
  return sign === '-' && digits !== '0' ? `-${digits}` : digits
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

function temporalSql(kind: 'DATE' | 'TIME' | 'DATETIME' | 'TIMESTAMP', text: string): string | undefined {
  switch (kind) {
    case 'DATE': {
      const date = dateText(DATE_FORM.exec(text)?.slice(1, 4) ?? [])
      return date && `DATE '${date}'`
    }
    case 'TIME': {
      const time = timeText(TIME_FORM.exec(text)?.slice(1, 5) ?? [])
      return time && `TIME '${time}'`
    }
    case 'DATETIME': {
      const local = localText(DATETIME_FORM.exec(text)?.slice(1, 8) ?? [])
      return local && `TIMESTAMP '${local}'`
    }
    case 'TIMESTAMP':
      return timestampSql(text)
  }
}

function timestampSql(text: string): string | undefined {
  const parts = TIMESTAMP_FORM.exec(text)
  const local = localText(parts?.slice(1, 8) ?? [])
  if (parts === null || local === undefined) return undefined
  const [zulu, sign, hours, minutes, name] = parts.slice(8)
  if (name !== undefined && !/^(utc|gmt)$/i.test(name)) return `timezone(${quote(name)}, TIMESTAMP '${local}')`
  if (zulu !== undefined || sign === undefined) return `TIMESTAMPTZ '${local}+00'`
  return `TIMESTAMPTZ '${local}${sign}${(hours ?? '').padStart(2, '0')}:${minutes ?? '00'}'`
}

function localText(parts: readonly (string | undefined)[]): string | undefined {
  const date = dateText(parts.slice(0, 3))
  if (date === undefined) return undefined
  if (parts[3] === undefined) return `${date} 00:00:00`
  const time = timeText(parts.slice(3))
  return time === undefined ? undefined : `${date} ${time}`
}

function dateText(parts: readonly (string | undefined)[]): string | undefined {
  const [year, month, day] = parts.map(Number)
  if (year === undefined || month === undefined || day === undefined) return undefined
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  const valid = year >= 1 && date.getUTCMonth() === month - 1 && date.getUTCDate() === day
  return valid ? `${pad(year, 4)}-${pad(month)}-${pad(day)}` : undefined
}

function timeText(parts: readonly (string | undefined)[]): string | undefined {
  const [hour, minute, second] = parts.slice(0, 3).map(Number)
  if (hour === undefined || minute === undefined || second === undefined) return undefined
  if (hour > 23 || minute > 59 || second > 59) return undefined
  // Clients write nanoseconds; microseconds are what there is.
  const fraction = parts[3] === undefined ? '' : `.${parts[3].slice(0, 6)}`
  return `${pad(hour)}:${pad(minute)}:${pad(second)}${fraction}`
}

function pad(value: number, width = 2): string {
  return String(value).padStart(width, '0')
}
