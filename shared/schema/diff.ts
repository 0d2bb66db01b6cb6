import { columnType, type TableField } from './bigquery.ts'
import type { ColumnType } from './record.ts'

/** One thing that a table needs before it can take the rows of a schema. */
export interface SchemaChange {
  readonly kind: 'add' | 'relax' | 'widen'
  /** Path of the column, such as `items.price`. */
  readonly column: string
  readonly from?: string
  readonly to: string
}

/** A difference that BigQuery cannot bridge. */
export interface SchemaRefusal {
  readonly column: string
  readonly table: string
  readonly schema: string
  readonly reason: string
  readonly fix: string
}

/** What `millrace schema --diff` shows and `--apply` does. */
export interface SchemaDiff {
  readonly changes: readonly SchemaChange[]
  readonly refusals: readonly SchemaRefusal[]
  /** The table's columns after the changes: what tables.patch is given. */
  readonly fields: readonly TableField[]
}

// "Changing a column's data type": what BigQuery widens.
const WIDER: Readonly<Partial<Record<ColumnType, readonly ColumnType[]>>> = {
  INT64: ['NUMERIC', 'BIGNUMERIC', 'FLOAT64'],
  NUMERIC: ['BIGNUMERIC', 'FLOAT64'],
  BIGNUMERIC: ['FLOAT64'],
}

// Columns of a table that take the rows of a narrower schema as they are ("data type conversions").
const TAKES: Readonly<Partial<Record<ColumnType, readonly ColumnType[]>>> = {
  NUMERIC: ['INT64'],
  BIGNUMERIC: ['INT64', 'NUMERIC'],
}

const NEW_TABLE = 'give the column another name, or the route another table'

/**
 * What has to change in a table so that it takes the rows of a schema. Columns that only the table has stay; they are
 * NULL in new rows.
 */
export function diffSchema(table: readonly TableField[], schema: readonly TableField[]): SchemaDiff {
  const changes: SchemaChange[] = []
  const refusals: SchemaRefusal[] = []
  const fields = merge(table, schema, '', changes, refusals)
  return { changes, refusals, fields }
}

function merge(
  table: readonly TableField[],
  schema: readonly TableField[],
  path: string,
  changes: SchemaChange[],
  refusals: SchemaRefusal[],
): TableField[] {
  const wanted = new Map(schema.map((field) => [field.name.toLowerCase(), field]))
  const known = new Set(table.map((field) => field.name.toLowerCase()))
  const kept = table.map((field) => {
    const match = wanted.get(field.name.toLowerCase())
    return match ? mergeColumn(field, match, path, changes, refusals) : orphan(field, path, changes)
  })
  const added = schema.filter((field) => !known.has(field.name.toLowerCase()))
  for (const field of added) add(field, path, changes, refusals)
  return [...kept, ...added]
}

function add(field: TableField, path: string, changes: SchemaChange[], refusals: SchemaRefusal[]): void {
  const column = path + field.name
  if (field.mode !== 'REQUIRED') changes.push({ kind: 'add', column, to: describe(field) })
  else {
    const reason = 'a column that is added to a table cannot be REQUIRED'
    refusals.push({ column, table: 'absent', schema: describe(field), reason, fix: 'make it NULLABLE in the schema' })
  }
}

/** A column that rows no longer have: it must not be demanded of them. */
function orphan(field: TableField, path: string, changes: SchemaChange[]): TableField {
  return field.mode === 'REQUIRED' ? relax(field, path, changes) : field
}

function relax(field: TableField, path: string, changes: SchemaChange[]): TableField {
  changes.push({ kind: 'relax', column: path + field.name, from: 'REQUIRED', to: 'NULLABLE' })
  return { ...field, mode: 'NULLABLE' }
}

function mergeColumn(
  table: TableField,
  schema: TableField,
  path: string,
  changes: SchemaChange[],
  refusals: SchemaRefusal[],
): TableField {
  const column = path + table.name
  const refuse = (reason: string, fix: string): TableField => {
    refusals.push({ column, table: describe(table), schema: describe(schema), reason, fix })
    return table
  }
  if ((table.mode === 'REPEATED') !== (schema.mode === 'REPEATED')) {
    return refuse('BigQuery cannot make one value out of many, or many out of one', NEW_TABLE)
  }
  const from = columnType(table.type)
  const to = columnType(schema.type)
  const relaxed = table.mode === 'REQUIRED' && schema.mode !== 'REQUIRED' ? relax(table, path, changes) : table
  if (from === undefined || to === undefined) return refuse('a type that is not known', NEW_TABLE)
  if (from === 'RECORD' && to === 'RECORD') {
    return { ...relaxed, fields: merge(table.fields ?? [], schema.fields ?? [], `${column}.`, changes, refusals) }
  }
  if (from === to) return mergeLimits(relaxed, schema, column, changes, refuse)
  if (TAKES[from]?.includes(to)) return relaxed
  if (!WIDER[from]?.includes(to)) return refuse(`BigQuery does not change ${from} to ${to}`, NEW_TABLE)
  changes.push({ kind: 'widen', column, from: describe(table), to: describe(schema) })
  const { maxLength: _, precision: __, scale: ___, ...rest } = relaxed
  return { ...rest, type: schema.type }
}

/** STRING(n), BYTES(n) and NUMERIC(p, s) may grow, and lose their limits. */
function mergeLimits(
  table: TableField,
  schema: TableField,
  column: string,
  changes: SchemaChange[],
  refuse: (reason: string, fix: string) => TableField,
): TableField {
  const limits = ['maxLength', 'precision', 'scale'] as const
  const differs = limits.some((key) => table[key] !== schema[key])
  if (!differs) return table
  const size = (field: TableField, key: (typeof limits)[number]) =>
    Number(field[key] ?? (key === 'scale' ? 0 : Infinity))
  const whole = (field: TableField) => size(field, 'precision') - size(field, 'scale')
  const unlimited = limits.every((key) => schema[key] === undefined)
  const grows =
    size(schema, 'maxLength') >= size(table, 'maxLength') &&
    size(schema, 'scale') >= size(table, 'scale') &&
    whole(schema) >= whole(table)
  if (!unlimited && !grows)
    return refuse('BigQuery does not make a column narrower', 'leave the limit as the table has it')
  changes.push({ kind: 'widen', column, from: describe(table), to: describe(schema) })
  const { maxLength: _, precision: __, scale: ___, ...rest } = table
  return {
    ...rest,
    ...Object.fromEntries(limits.flatMap((key) => (schema[key] === undefined ? [] : [[key, schema[key]]]))),
  }
}

/** `REQUIRED NUMERIC(10, 2)`. */
function describe(field: TableField): string {
  const limits = [field.maxLength ?? field.precision, field.scale].filter((part) => part !== undefined)
  const type = (columnType(field.type) ?? field.type) + (limits.length > 0 ? `(${limits.join(', ')})` : '')
  return field.mode === 'NULLABLE' ? type : `${field.mode} ${type}`
}
