import { UserError } from '../errors.ts'
import { COLUMN_TYPES, type ColumnType, columnType, ROW_TYPES } from './kinds.ts'
import { type ColumnAttributes, type Mode, type RecordField, type RecordType, TEXT_ATTRIBUTES } from './record.ts'

/** A column in BigQuery's REST form, with any of its type names; without a mode it is NULLABLE. */
export interface TableField extends ColumnAttributes {
  readonly name: string
  readonly type: string
  readonly mode?: string
  readonly fields?: readonly TableField[]
}

const MODES: readonly string[] = ['NULLABLE', 'REQUIRED', 'REPEATED'] satisfies Mode[]

/** The attributes that a column of the REST form carries, without those that are empty. */
export function attributesOf(column: object): ColumnAttributes {
  const kept = [...TEXT_ATTRIBUTES, 'policyTags'].flatMap((key) => {
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
  if (fields) return recordOf(fields, name, where)
  const problem = 'expected a list of columns, or {"fields": [...]}'
  throw new UserError(`${where}: ${problem}`, 'take what bq show --schema prints')
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
  const { name, type: typeName, mode: given } = column as Readonly<Record<string, unknown>>
  if (typeof name !== 'string') throw new UserError(`${here}: has no name`, 'add "name"')
  const type = typeof typeName === 'string' ? columnType(typeName) : undefined
  if (!type) {
    const problem = `type ${JSON.stringify(typeName)} is not known`
    throw new UserError(`${here} (${name}): ${problem}`, `use one of ${COLUMN_TYPES.join(', ')}`)
  }
  const mode = String(given ?? 'NULLABLE').toUpperCase()
  if (!MODES.includes(mode))
    throw new UserError(`${here} (${name}): mode ${mode} is not known`, `use one of ${MODES.join(', ')}`)
  const record = type === 'RECORD' ? recordOf(fieldsOf(column) ?? [], name, where) : undefined
  const attributes = attributesOf(column)
  const wrong = wrongLimit(type, attributes)
  if (wrong) throw new UserError(`${here} (${name}): ${wrong} is not possible for ${type}`, LIMITS_FIX)
  // Numbers 19000 to 19999 are protobuf's own.
  const number = position < 19_000 ? position : position + 1_000
  const wire = { number, rowType: ROW_TYPES[type], packed: false }
  return { name, type, mode: mode as Mode, ...wire, attributes, record }
}

const LIMITS_FIX =
  'maxLength is for STRING and BYTES; precision, with or without a scale, for NUMERIC (29 digits and the scale of up to 9) and BIGNUMERIC (38 and up to 38)'
const SCALE_MAX: Readonly<Partial<Record<ColumnType, number>>> = { NUMERIC: 9, BIGNUMERIC: 38 }

/** The first of a column's limits that its type does not have ("parameterized data types"), as `name value`. */
function wrongLimit(type: ColumnType, { maxLength, precision, scale }: ColumnAttributes): string | undefined {
  const within = (text: string | undefined, from: number, to: number) =>
    text === undefined || (/^\d+$/.test(text) && Number(text) >= from && Number(text) <= to)
  const long = type === 'STRING' || type === 'BYTES' ? Number.MAX_SAFE_INTEGER : 0
  if (!within(maxLength, 1, long)) return `maxLength ${maxLength}`
  const scaleMax = precision === undefined ? -1 : (SCALE_MAX[type] ?? -1)
  if (!within(scale, 0, scaleMax)) return `scale ${scale}`
  const digits = type === 'NUMERIC' ? 29 : type === 'BIGNUMERIC' ? 38 : -1
  const least = Math.max(1, Number(scale ?? 0))
  return within(precision, least, digits + Number(scale ?? 0)) ? undefined : `precision ${precision}`
}
