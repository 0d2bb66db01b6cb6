import type { Type } from 'protobufjs'
import { UserError } from '../errors.ts'
import type { ColumnType, ProtoKind, RowType } from './kinds.ts'

/** Of a column: absent allowed, not allowed, many. */
export type Mode = 'NULLABLE' | 'REQUIRED' | 'REPEATED'

/** Where a column of a `.proto` message comes from. */
export interface ProtoSource {
  readonly kind: ProtoKind
  /** The value is field 1 of a google.protobuf wrapper message. */
  readonly wrapper?: boolean
  /** Member names that the JSON form may use: lowerCamelCase (or json_name) first, then the original. */
  readonly jsonNames: readonly string[]
  /** implicit: absent means the default value (proto3 scalars without `optional`). */
  readonly presence: 'implicit' | 'explicit' | 'required'
  /** Index of the oneof that it belongs to, or -1. */
  readonly oneof: number
  readonly map?: boolean
  /** Group encoding (start and end tags) instead of a length. */
  readonly delimited?: boolean
  /** Of an enum: its numbers by their names, the first name of a number before its aliases. */
  readonly enum?: Readonly<Record<string, number>> | undefined
  /** google.protobuf.NullValue, whose JSON form is null. */
  readonly nullValue?: boolean
  /** A JSON column: the message whose canonical JSON form is the value. */
  readonly message?: Type | undefined
}

/** What BigQuery keeps beside name, type and mode; spelled as in its REST form. */
export const TEXT_ATTRIBUTES = [
  'description',
  'maxLength',
  'precision',
  'scale',
  'roundingMode',
  'collation',
  'defaultValueExpression',
  'timestampPrecision',
] as const

export interface ColumnAttributes extends Readonly<Partial<Record<(typeof TEXT_ATTRIBUTES)[number], string>>> {
  readonly policyTags?: { readonly names: readonly string[] }
}

/** One column: of the table, or of a RECORD. */
export interface RecordField {
  readonly name: string
  readonly type: ColumnType
  readonly mode: Mode
  /** Field number in the row's message; that of the source when there is one, so that ranges can be copied. */
  readonly number: number
  readonly rowType: RowType
  readonly packed: boolean
  readonly record?: RecordType | undefined
  readonly attributes: ColumnAttributes
  readonly proto?: ProtoSource
}

/** A field of the source that has no column by request (`ignore`): known, skipped. */
export interface IgnoredField {
  readonly number: number
  readonly jsonNames: readonly string[]
}

/** The one internal form of a schema. It is a tree: a recursive message is a JSON column where it would recur. */
export interface RecordType {
  readonly name: string
  readonly origin: 'proto' | 'bigquery'
  readonly fields: readonly RecordField[]
  readonly ignored: readonly IgnoredField[]
  /** Of the message that a route names: its place among those of its file, then that inside of each, from 0. */
  readonly indexes?: readonly number[]
}

/** BigQuery: "maximum columns in a table", nested ones counted. */
export const COLUMNS_MAX = 10_000
/** BigQuery: "maximum nested record depth". */
export const DEPTH_MAX = 15
/** BigQuery: characters of a column name. */
const COLUMN_NAME_MAX = 300

// Names that BigQuery keeps for itself, in any case ("column names").
const RESERVED =
  /^(_TABLE_|_FILE_|_PARTITION|_ROW_TIMESTAMP|__ROOT__|_COLIDENTIFIER|_CHANGE_SEQUENCE_NUMBER|_CHANGE_TYPE|_CHANGE_TIMESTAMP)/i
// Flexible column names: letters, marks, digits of any script, and a few signs.
const COLUMN_NAME = /^[\p{L}\p{M}\p{N}\p{Pc}\p{Pd}&%=+:'<>#| ]+$/u

/** A name that needs no quotes in SQL and no annotation in a row's descriptor, and that BigQuery does not reserve. */
export function isPlainColumnName(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && name.length <= COLUMN_NAME_MAX && !RESERVED.test(name)
}

/**
 * Checks a record against BigQuery's rules for names, number of columns and depth.
 * @throws UserError that names the column
 */
export function checkRecord(record: RecordType, where: string): void {
  const count = countColumns(record, [], where)
  if (count > COLUMNS_MAX) {
    throw new UserError(`${where}: ${count} columns; BigQuery allows ${COLUMNS_MAX}`, 'make a part of it a JSON column')
  }
}

function countColumns(record: RecordType, path: readonly string[], where: string): number {
  const seen = new Map<string, string>()
  let count = 0
  for (const field of record.fields) {
    const place = [...path, field.name]
    checkName(field.name, place.join('.'), where, seen)
    count++
    if (!field.record) continue
    if (place.length > DEPTH_MAX) {
      const problem = `column ${place.join('.')} is nested deeper than ${DEPTH_MAX} records`
      throw new UserError(`${where}: ${problem}`, 'flatten it, or make it JSON')
    }
    count += countColumns(field.record, place, where)
  }
  return count
}

function checkName(name: string, place: string, where: string, seen: Map<string, string>): void {
  const key = name.toLowerCase()
  const other = seen.get(key)
  if (other !== undefined) {
    const problem = `columns ${other} and ${place} differ in case only, which BigQuery does not tell apart`
    throw new UserError(`${where}: ${problem}`, 'rename one of them ((gen_bq_schema.bigquery).name in a .proto)')
  }
  seen.set(key, place)
  if (name.length > COLUMN_NAME_MAX || !COLUMN_NAME.test(name)) {
    const problem = `${JSON.stringify(name)} is no column name of BigQuery`
    throw new UserError(`${where}: ${problem}`, 'use letters, digits and underscores')
  }
  if (RESERVED.test(name)) {
    throw new UserError(`${where}: BigQuery reserves column names such as ${place}`, 'give the column another name')
  }
}
