/**
 * How a BigQuery column is kept in DuckDB. Everything that reads or writes rows relies on this table:
 *
 * | BigQuery   | DuckDB                   | note                                                                     |
 * |------------|--------------------------|--------------------------------------------------------------------------|
 * | STRING     | VARCHAR                  |                                                                          |
 * | BYTES      | BLOB                     |                                                                          |
 * | INT64      | BIGINT                   |                                                                          |
 * | FLOAT64    | DOUBLE                   | NaN and both infinities included                                         |
 * | BOOL       | BOOLEAN                  |                                                                          |
 * | NUMERIC    | DECIMAL(38, 9)           | the very range of BigQuery's NUMERIC                                     |
 * | BIGNUMERIC | VARCHAR                  | exact: canonical decimal text, no exponent, no trailing zeros            |
 * | TIMESTAMP  | TIMESTAMP WITH TIME ZONE | microseconds since the epoch, UTC; sessions run with TimeZone = 'UTC'    |
 * | DATETIME   | TIMESTAMP                | microseconds                                                             |
 * | DATE       | DATE                     |                                                                          |
 * | TIME       | TIME                     | microseconds                                                             |
 * | JSON       | JSON                     | the text as it was written; it has been checked to be JSON               |
 * | INTERVAL   | INTERVAL                 | months, days and microseconds are three separate numbers in both systems |
 * | GEOGRAPHY  | VARCHAR                  | WKT or GeoJSON text as it was written                                    |
 * | RECORD     | STRUCT                   | fields by name, in the order of the schema                               |
 * | REPEATED x | x[]                      | an absent array is written as an empty one; elements are never NULL      |
 *
 * A column that a table has gained is NULL in the rows that were there before; so a NULL array has to be read as an
 * empty one.
 * A table that is partitioned by ingestion time has one more column at its end, `_PARTITIONTIME` TIMESTAMP WITH TIME
 * ZONE (the start of the partition): it is not part of `fields`, and `*` does not show it.
 * RANGE is refused where a table is made.
 */

/** The types of BigQuery that the stand-in knows, by their GoogleSQL names. */
export type BigQueryType =
  | 'STRING'
  | 'BYTES'
  | 'INT64'
  | 'FLOAT64'
  | 'BOOL'
  | 'NUMERIC'
  | 'BIGNUMERIC'
  | 'TIMESTAMP'
  | 'DATETIME'
  | 'DATE'
  | 'TIME'
  | 'JSON'
  | 'INTERVAL'
  | 'GEOGRAPHY'
  | 'RECORD'

export type FieldMode = 'NULLABLE' | 'REQUIRED' | 'REPEATED'

/**
 * A field of a table or of a result in BigQuery's REST form. `type` may be spelled in any way that BigQuery accepts
 * (INTEGER and INT64, STRUCT and RECORD, any case): compare `canonicalType(field.type)`. An absent mode is NULLABLE.
 * https://cloud.google.com/bigquery/docs/reference/rest/v2/tables#TableFieldSchema
 */
export interface TableField {
  name: string
  type: string
  mode?: string
  description?: string
  fields?: TableField[]
  maxLength?: string
  precision?: string
  scale?: string
  defaultValueExpression?: string
}

/** The hidden column of tables that are partitioned by ingestion time. */
export const PARTITION_TIME_COLUMN = '_PARTITIONTIME'

const CANONICAL: Readonly<Record<string, BigQueryType>> = {
  STRING: 'STRING',
  BYTES: 'BYTES',
  INTEGER: 'INT64',
  INT64: 'INT64',
  INT: 'INT64',
  SMALLINT: 'INT64',
  BIGINT: 'INT64',
  TINYINT: 'INT64',
  BYTEINT: 'INT64',
  FLOAT: 'FLOAT64',
  FLOAT64: 'FLOAT64',
  BOOLEAN: 'BOOL',
  BOOL: 'BOOL',
  NUMERIC: 'NUMERIC',
  DECIMAL: 'NUMERIC',
  BIGNUMERIC: 'BIGNUMERIC',
  BIGDECIMAL: 'BIGNUMERIC',
  TIMESTAMP: 'TIMESTAMP',
  DATETIME: 'DATETIME',
  DATE: 'DATE',
  TIME: 'TIME',
  JSON: 'JSON',
  INTERVAL: 'INTERVAL',
  GEOGRAPHY: 'GEOGRAPHY',
  RECORD: 'RECORD',
  STRUCT: 'RECORD',
}

/** How the REST API spells a type in its answers. https://cloud.google.com/bigquery/docs/reference/rest/v2/tables */
const REST_NAME: Readonly<Partial<Record<BigQueryType, string>>> = {
  INT64: 'INTEGER',
  FLOAT64: 'FLOAT',
  BOOL: 'BOOLEAN',
}

/** The DuckDB type of each type, as in the table at the head of this file. */
export const DUCK_SCALAR: Readonly<Record<Exclude<BigQueryType, 'RECORD'>, string>> = {
  STRING: 'VARCHAR',
  BYTES: 'BLOB',
  INT64: 'BIGINT',
  FLOAT64: 'DOUBLE',
  BOOL: 'BOOLEAN',
  NUMERIC: 'DECIMAL(38,9)',
  BIGNUMERIC: 'VARCHAR',
  TIMESTAMP: 'TIMESTAMP WITH TIME ZONE',
  DATETIME: 'TIMESTAMP',
  DATE: 'DATE',
  TIME: 'TIME',
  JSON: 'JSON',
  INTERVAL: 'INTERVAL',
  GEOGRAPHY: 'VARCHAR',
}

/** The one spelling of a type that this code compares, or undefined when the stand-in does not know the type. */
export function canonicalType(type: string): BigQueryType | undefined {
  return CANONICAL[type.toUpperCase()]
}

/** The spelling of a type in answers of the REST API, for example INTEGER for INT64. */
export function restType(type: BigQueryType): string {
  return REST_NAME[type] ?? type
}

/** The mode of a field; an absent one is NULLABLE. */
export function modeOf(field: TableField): FieldMode {
  const mode = (field.mode ?? 'NULLABLE').toUpperCase()
  return mode === 'REQUIRED' || mode === 'REPEATED' ? mode : 'NULLABLE'
}

/** An identifier as DuckDB reads it back, whatever is in it. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** The DuckDB type of one element of a field: its mode does not count. Throws when the type is unknown. */
export function duckElementType(field: TableField): string {
  const type = canonicalType(field.type)
  if (type === undefined) throw new Error(`no DuckDB type for ${field.type} (${field.name})`)
  if (type !== 'RECORD') return DUCK_SCALAR[type]
  const members = (field.fields ?? []).map((member) => `${quoteIdentifier(member.name)} ${duckType(member)}`)
  return `STRUCT(${members.join(', ')})`
}

/** The DuckDB type of a column, as in the table at the head of this file. */
export function duckType(field: TableField): string {
  const element = duckElementType(field)
  return modeOf(field) === 'REPEATED' ? `${element}[]` : element
}
