import { UserError } from '../errors.ts'
import type { ColumnAttributes, ColumnType, Mode, RecordField, RecordType, RowType } from './record.ts'

/** A column in BigQuery's REST form; legacy type names. */
export interface TableField extends ColumnAttributes {
  readonly name: string
  readonly type: string
  readonly mode: Mode
  readonly fields?: readonly TableField[]
}

const TYPES: Readonly<Record<string, ColumnType>> = {
  STRING: 'STRING',
  BYTES: 'BYTES',
  INTEGER: 'INT64',
  INT64: 'INT64',
  FLOAT: 'FLOAT64',
  FLOAT64: 'FLOAT64',
  BOOLEAN: 'BOOL',
  BOOL: 'BOOL',
  TIMESTAMP: 'TIMESTAMP',
  DATE: 'DATE',
  TIME: 'TIME',
  DATETIME: 'DATETIME',
  NUMERIC: 'NUMERIC',
  DECIMAL: 'NUMERIC',
  BIGNUMERIC: 'BIGNUMERIC',
  BIGDECIMAL: 'BIGNUMERIC',
  JSON: 'JSON',
  GEOGRAPHY: 'GEOGRAPHY',
  INTERVAL: 'INTERVAL',
  RECORD: 'RECORD',
  STRUCT: 'RECORD',
}

/** How a column of each type travels in a row. */
export const ROW_TYPES: Readonly<Record<ColumnType, RowType>> = {
  STRING: 'string',
  BYTES: 'bytes',
  INT64: 'int64',
  FLOAT64: 'double',
  BOOL: 'bool',
  TIMESTAMP: 'int64',
  DATE: 'int32',
  TIME: 'string',
  DATETIME: 'string',
  NUMERIC: 'string',
  BIGNUMERIC: 'string',
  JSON: 'string',
  GEOGRAPHY: 'string',
  INTERVAL: 'string',
  RECORD: 'message',
}

/** The protobuf type that carries a column of a type when no source says otherwise. */
export function rowTypeOf(type: ColumnType): RowType {
  return ROW_TYPES[type]
}

const MODES: readonly string[] = ['NULLABLE', 'REQUIRED', 'REPEATED'] satisfies Mode[]
const ATTRIBUTES = [
  'description',
  'maxLength',
  'precision',
  'scale',
  'roundingMode',
  'collation',
  'defaultValueExpression',
  'policyTags',
  'timestampPrecision',
] as const satisfies readonly (keyof ColumnAttributes)[]

/** A type by any of its names (legacy, standard, alias); undefined when BigQuery has none such. */
export function columnType(name: string): ColumnType | undefined {
  return Object.hasOwn(TYPES, name.toUpperCase()) ? TYPES[name.toUpperCase()] : undefined
}

/** The attributes that a column of the REST form carries, without those that are empty. */
export function attributesOf(column: object): ColumnAttributes {
  const kept = ATTRIBUTES.flatMap((key) => {
    const value: unknown = Reflect.get(column, key)
    if (value === undefined || value === null || value === '') return []
    return [[key, typeof value === 'number' ? String(value) : value] as const]
  })
  return Object.fromEntries(kept) as ColumnAttributes
}

/**
 * A schema as `bq show --schema` prints it, or `{"fields": [...]}` as the REST API has it, to a record.
 * @throws UserError that names the column and what is wrong with it
 */
export function recordFromTableSchema(schema: unknown, name: string, where: string): RecordType {
  const fields = Array.isArray(schema) ? schema : fieldsOf(schema)
  if (!fields)
    throw new UserError(
      `${where}: expected a list of columns, or {"fields": [...]}`,
      'take what bq show --schema prints',
    )
  return recordOf(fields, name, where)
}

function fieldsOf(value: unknown): readonly unknown[] | undefined {
  const fields: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, 'fields') : undefined
  return Array.isArray(fields) ? fields : undefined
}

function recordOf(columns: readonly unknown[], name: string, where: string): RecordType {
  if (columns.length === 0) throw new UserError(`${where}: ${name} has no columns`, 'BigQuery needs at least one')
  const fields = columns.map((column, index) =>
    fieldOf(column, index + 1, `${where}: column ${index + 1} of ${name}`, where),
  )
  return { name, origin: 'bigquery', fields, ignored: [] }
}

function fieldOf(column: unknown, position: number, here: string, where: string): RecordField {
  if (typeof column !== 'object' || column === null)
    throw new UserError(`${here}: is no object`, 'write {"name": ..., "type": ...}')
  const name: unknown = Reflect.get(column, 'name')
  if (typeof name !== 'string') throw new UserError(`${here}: has no name`, 'add "name"')
  const typeName: unknown = Reflect.get(column, 'type')
  const type = typeof typeName === 'string' ? columnType(typeName) : undefined
  if (!type)
    throw new UserError(
      `${here} (${name}): type ${JSON.stringify(typeName)} is not known`,
      `use one of ${Object.keys(TYPES).join(', ')}`,
    )
  const mode = String(Reflect.get(column, 'mode') ?? 'NULLABLE').toUpperCase()
  if (!MODES.includes(mode))
    throw new UserError(`${here} (${name}): mode ${mode} is not known`, `use one of ${MODES.join(', ')}`)
  const nested = type === 'RECORD' ? recordOf(fieldsOf(column) ?? [], name, where) : undefined
  const base = { name, type, mode: mode as Mode, number: wireNumber(position), rowType: ROW_TYPES[type], packed: false }
  return { ...base, attributes: attributesOf(column), ...(nested ? { record: nested } : {}) }
}

// Numbers 19000 to 19999 are protobuf's own.
function wireNumber(position: number): number {
  return position < 19_000 ? position : position + 1_000
}
