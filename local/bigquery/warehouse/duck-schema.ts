import { canonicalType, duckType, quoteIdentifier, type TableField } from '../types.ts'

/** The statements that bring a DuckDB table from one list of fields to another. Fields are gained, relaxed or widened, never lost. */
export function alterations(table: string, before: readonly TableField[], after: readonly TableField[]): string[] {
  const old = new Map(before.map((field) => [field.name.toLowerCase(), field]))
  return after.flatMap((field) => {
    const former = old.get(field.name.toLowerCase())
    const column = quoteIdentifier(field.name)
    if (former === undefined) return addition(table, field)
    if (duckType(former) === duckType(field)) return []
    if (canonicalType(former.type) === 'NUMERIC' && canonicalType(field.type) === 'BIGNUMERIC')
      return [
        `ALTER TABLE ${table} ALTER COLUMN ${column} TYPE VARCHAR USING rtrim(rtrim(${column}::VARCHAR, '0'), '.')`,
      ]
    // No DEFAULT anywhere: DuckDB 1.5.6 cannot replay its log when a default of an added column calls a function, as [] does.
    // DuckDB casts structs by name, at any depth: members that are new become NULL.
    return [`ALTER TABLE ${table} ALTER COLUMN ${column} TYPE ${duckType(field)}`]
  })
}

/** Rows that were there have empty arrays in a new REPEATED column; inside a new RECORD they stay NULL. */
function addition(table: string, field: TableField): string[] {
  const column = quoteIdentifier(field.name)
  const add = `ALTER TABLE ${table} ADD COLUMN ${column} ${duckType(field)}`
  return field.mode?.toUpperCase() === 'REPEATED' ? [add, `UPDATE ${table} SET ${column} = []`] : [add]
}

/** The statement that makes a DuckDB table for some fields, with hidden columns behind them. */
export function creation(table: string, fields: readonly TableField[], hidden: readonly string[]): string {
  const columns = fields.map((field) => `${quoteIdentifier(field.name)} ${duckType(field)}`)
  return `CREATE TABLE ${table} (${[...columns, ...hidden].join(', ')})`
}
