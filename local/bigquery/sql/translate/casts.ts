import { quoteIdentifier } from '../../types.ts'
import { errorAt, type Position } from '../errors.ts'
import { literalAt, quote } from './literals.ts'
import {
  arrayOf,
  coercible,
  duckTypeOf,
  fieldName,
  partOf,
  sameType,
  type ScalarKind,
  type SqlType,
  type Typed,
  typeText,
} from './types.ts'
import { instantOf, localOf } from './zones.ts'

/** Conversion rules: https://cloud.google.com/bigquery/docs/reference/standard-sql/conversion_rules */

/** A value where another type is wanted, without a CAST; the caller has asked `coercible`. */
export function coerce(value: Typed, to: SqlType, at: Position): Typed {
  if (sameType(value.type, to) && value.type.kind !== 'STRUCT') return value
  if (value.type.kind === 'NULL') return { sql: `CAST(NULL AS ${duckTypeOf(to)})`, type: to }
  if (!coercible(value, to))
    throw errorAt(`Cannot coerce expression of type ${typeText(value.type)} to type ${typeText(to)}`, at)
  if (to.kind === 'STRUCT') return coerceStruct(value, to, at)
  if (to.kind === 'ARRAY') return coerceArray(value, to.element, at)
  if (value.literal !== undefined && to.kind !== 'NULL') return literalAt(to.kind, value.literal.text, at)
  return convert(value, to, 'strict') ?? value
}

function coerceStruct(value: Typed, to: SqlType & { kind: 'STRUCT' }, at: Position): Typed {
  if (sameType(value.type, to) && value.items === undefined) return value
  const parts = to.fields.map((field, i) => coerce(partOf(value, i), field.type, at))
  return { sql: packStruct(to, parts, value), type: to, items: parts }
}

function packStruct(to: SqlType & { kind: 'STRUCT' }, parts: readonly Typed[], source: Typed): string {
  const packed = `struct_pack(${to.fields.map((field, i) => `${quoteIdentifier(fieldName(field, i))} := ${parts[i]?.sql}`).join(', ')})`
  return source.items === undefined ? `CASE WHEN ${source.sql} IS NOT NULL THEN ${packed} END` : packed
}

function coerceArray(value: Typed, element: SqlType, at: Position): Typed {
  const type = arrayOf(element)
  if (value.items === undefined) return { sql: `CAST(${value.sql} AS ${duckTypeOf(type)})`, type }
  const items = value.items.map((item) => coerce(item, element, at))
  return { sql: arraySql(items, type), type, items }
}

/** `[a, b]` with a type even when it is empty. */
export function arraySql(items: readonly Typed[], type: SqlType): string {
  return items.length === 0 ? `CAST([] AS ${duckTypeOf(type)})` : `[${items.map((item) => item.sql).join(', ')}]`
}

type Strictness = 'strict' | 'safe'

/** CAST and SAFE_CAST. */
export function cast(value: Typed, to: SqlType, safe: boolean, at: Position): Typed {
  if (value.type.kind === 'NULL') return { sql: `CAST(NULL AS ${duckTypeOf(to)})`, type: to }
  if (sameType(value.type, to)) return { sql: value.sql, type: to }
  const converted = convert(value, to, safe ? 'safe' : 'strict', at)
  if (converted === undefined) throw errorAt(`Invalid cast from ${typeText(value.type)} to ${typeText(to)}`, at)
  return converted
}

function convert(
  value: Typed,
  to: SqlType,
  strictness: Strictness,
  at: Position = { line: 1, column: 1 },
): Typed | undefined {
  if (to.kind === 'ARRAY') return convertArray(value, to.element, strictness, at)
  if (to.kind === 'STRUCT') return convertStruct(value, to, strictness, at)
  if (value.type.kind === 'ARRAY' || value.type.kind === 'STRUCT') return undefined
  if (to.kind === 'STRING') {
    const sql = textOf(value)
    return sql === undefined ? undefined : { sql, type: to }
  }
  const rule = CONVERSIONS[`${value.type.kind}>${to.kind}`]
  if (rule === undefined) return undefined
  return { sql: rule(value.sql, strictness === 'safe'), type: to }
}

function convertArray(value: Typed, element: SqlType, strictness: Strictness, at: Position): Typed | undefined {
  if (value.type.kind !== 'ARRAY') return undefined
  if (value.items !== undefined && coercible(value, arrayOf(element))) return coerceArray(value, element, at)
  const item = convert({ sql: 'item', type: value.type.element }, element, strictness, at)
  return item && { sql: `list_transform(${value.sql}, lambda item: ${item.sql})`, type: arrayOf(element) }
}

function convertStruct(
  value: Typed,
  to: SqlType & { kind: 'STRUCT' },
  strictness: Strictness,
  at: Position,
): Typed | undefined {
  if (value.type.kind !== 'STRUCT' || value.type.fields.length !== to.fields.length) return undefined
  const parts = to.fields.map((field, i) => cast(partOf(value, i), field.type, strictness === 'safe', at))
  return { sql: packStruct(to, parts, value), type: to, items: parts }
}

/** An error at run time with its text, or NULL when the caller asked for SAFE. */
export function raise(messageSql: string, safe: boolean): string {
  return safe ? 'NULL' : `error(${messageSql})`
}

type Conversion = (sql: string, safe: boolean) => string

const plain =
  (duckType: string): Conversion =>
  (sql, safe) =>
    `${safe ? 'TRY_CAST' : 'CAST'}(${sql} AS ${duckType})`

/** A text that DuckDB reads more freely than BigQuery is checked by its form first. */
function checked(duckType: string, form: string, what: string): Conversion {
  return (sql, safe) =>
    `CASE WHEN regexp_full_match(${sql}, '${form}') THEN ${plain(duckType)(sql, safe)} ` +
    `WHEN ${sql} IS NOT NULL THEN ${raise(`'${what}' || ${sql}`, safe)} END`
}

function checkedTime(duckType: string, form: string, what: string): Conversion {
  return (sql, safe) =>
    `CASE WHEN regexp_full_match(${sql}, '${form}') THEN ${plain(duckType)(sql, safe)} ` +
    `WHEN ${sql} IS NOT NULL THEN ${raise(`'Invalid ${what}: ''' || ${sql} || ''''`, safe)} END`
}

const DATE_FORM = String.raw`\s*\d{4}-\d{1,2}-\d{1,2}\s*`
const TIME_FORM = String.raw`\s*\d{1,2}:\d{1,2}:\d{1,2}(\.\d{1,6})?\s*`
const LOCAL_FORM = String.raw`\s*\d{4}-\d{1,2}-\d{1,2}([ Tt]\d{1,2}:\d{1,2}:\d{1,2}(\.\d{1,6})?)?`
const FLOAT_FORM = String.raw`\s*[+-]?((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|(?i:inf|infinity|nan))\s*`
const NUMERIC_FORM = String.raw`\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*`

const roundToInteger: Conversion = (sql, safe) => plain('BIGINT')(`round(${sql})`, safe)

const CONVERSIONS: Readonly<Record<string, Conversion>> = {
  'STRING>INT64': checked('BIGINT', String.raw`\s*[+-]?\d+\s*`, 'Bad int64 value: '),
  'STRING>FLOAT64': checked('DOUBLE', FLOAT_FORM, 'Bad double value: '),
  'STRING>NUMERIC': checked('DECIMAL(38,9)', NUMERIC_FORM, 'Invalid NUMERIC value: '),
  'STRING>BOOL': checked('BOOLEAN', '(?i:true|false)', 'Bad bool value: '),
  'STRING>BYTES': (sql) => `encode(${sql})`,
  'STRING>DATE': checkedTime('DATE', DATE_FORM, 'date'),
  'STRING>TIME': checkedTime('TIME', TIME_FORM, 'time string'),
  'STRING>DATETIME': checkedTime('TIMESTAMP', String.raw`${LOCAL_FORM}\s*`, 'datetime string'),
  'STRING>TIMESTAMP': checkedTime(
    'TIMESTAMPTZ',
    String.raw`${LOCAL_FORM}\s*([Zz]|[+-]\d{1,2}(:?\d{2})?|[A-Za-z_]+(/[A-Za-z0-9_+-]+)*)?\s*`,
    'timestamp',
  ),
  'INT64>FLOAT64': plain('DOUBLE'),
  'INT64>NUMERIC': plain('DECIMAL(38,9)'),
  'INT64>BIGNUMERIC': plain('VARCHAR'),
  'INT64>BOOL': (sql) => `(${sql} <> 0)`,
  'FLOAT64>INT64': roundToInteger,
  'FLOAT64>NUMERIC': plain('DECIMAL(38,9)'),
  'NUMERIC>INT64': roundToInteger,
  'NUMERIC>FLOAT64': plain('DOUBLE'),
  'NUMERIC>BIGNUMERIC': (sql) => decimalText(sql),
  'BIGNUMERIC>INT64': (sql, safe) => roundToInteger(`CAST(${sql} AS DECIMAL(38,9))`, safe),
  'BIGNUMERIC>FLOAT64': plain('DOUBLE'),
  'BIGNUMERIC>NUMERIC': plain('DECIMAL(38,9)'),
  'BOOL>INT64': plain('BIGINT'),
  'DATE>DATETIME': plain('TIMESTAMP'),
  'DATE>TIMESTAMP': (sql) => instantOf(`CAST(${sql} AS TIMESTAMP)`),
  'DATETIME>DATE': plain('DATE'),
  'DATETIME>TIME': plain('TIME'),
  'DATETIME>TIMESTAMP': (sql) => instantOf(sql),
  'TIMESTAMP>DATE': (sql) => `CAST(${localOf(sql)} AS DATE)`,
  'TIMESTAMP>TIME': (sql) => `CAST(${localOf(sql)} AS TIME)`,
  'TIMESTAMP>DATETIME': (sql) => localOf(sql),
}

const decimalText = (sql: string): string => `regexp_replace(CAST(${sql} AS VARCHAR), '\\.?0+$', '')`

/** The fraction of a second as BigQuery prints it: none, three digits, or six. `part` is within the second, in microseconds. */
function fractionText(sql: string): string {
  const micros = `(date_part('microseconds', ${sql}) % 1000000)`
  return (
    `CASE WHEN ${micros} = 0 THEN '' WHEN ${micros} % 1000 = 0 THEN printf('.%03d', ${micros} // 1000) ` +
    `ELSE printf('.%06d', ${micros}) END`
  )
}

const TEXT: Readonly<Partial<Record<ScalarKind | 'NULL', (sql: string) => string>>> = {
  STRING: (sql) => sql,
  INT64: (sql) => `CAST(${sql} AS VARCHAR)`,
  FLOAT64: (sql) => `regexp_replace(CAST(${sql} AS VARCHAR), '\\.0$', '')`,
  NUMERIC: decimalText,
  BIGNUMERIC: (sql) => sql,
  BOOL: (sql) => `CAST(${sql} AS VARCHAR)`,
  BYTES: (sql) => `decode(${sql})`,
  DATE: (sql) => `CAST(${sql} AS VARCHAR)`,
  TIME: (sql) => `(strftime(DATE '2000-01-01' + ${sql}, '%H:%M:%S') || ${fractionText(sql)})`,
  DATETIME: (sql) => `(strftime(${sql}, '%Y-%m-%d %H:%M:%S') || ${fractionText(sql)})`,
  TIMESTAMP: (sql) => {
    const local = localOf(sql)
    return `(strftime(${local}, '%Y-%m-%d %H:%M:%S') || ${fractionText(local)} || '+00')`
  },
}

/** The text of a value as CAST(x AS STRING) gives it; undefined: its type has none. */
export function textOf(value: Typed): string | undefined {
  if (value.literal?.kind === 'STRING') return quote(value.literal.text)
  if (value.type.kind === 'ARRAY' || value.type.kind === 'STRUCT') return undefined
  return TEXT[value.type.kind]?.(value.sql)
}
