import { isKnownDefault } from '../rows/defaults.ts'
import { type BigQueryType, canonicalType, modeOf, restType, type TableField } from '../types.ts'
import { invalid, notBuilt, type RestError } from './errors.ts'
import { isObject } from './exchange.ts'

/** https://cloud.google.com/bigquery/quotas#all_tables and https://cloud.google.com/bigquery/docs/nested-repeated */
const COLUMNS_MAX = 10_000
const DEPTH_MAX = 15
const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,299}$/
/** https://cloud.google.com/bigquery/docs/schemas#column_names */
const RESERVED =
  /^(?:_TABLE_|_FILE_|_PARTITION|_ROW_TIMESTAMP|__ROOT__|_COLIDENTIFIER|_CHANGE_SEQUENCE_NUMBER|_CHANGE_TYPE|_CHANGE_TIMESTAMP)/i

/** Checks the fields of a new table and brings them into the form in which they are kept and shown. */
export function checkFields(value: unknown): TableField[] {
  const budget = { left: COLUMNS_MAX }
  return checkLevel(value, '', 1, budget)
}

function checkLevel(value: unknown, scope: string, depth: number, budget: { left: number }): TableField[] {
  if (!Array.isArray(value)) throw invalid('Schema fields must be a list.')
  const names = new Set<string>()
  return value.map((raw: unknown) => {
    if (!isObject(raw)) throw invalid('Schema fields must be objects.')
    const field = checkField(raw as unknown as TableField, scope, depth, budget)
    const key = field.name.toLowerCase()
    if (names.has(key)) throw invalid(`Field ${scope}${field.name} already exists in schema`)
    names.add(key)
    return field
  })
}

function checkField(raw: TableField, scope: string, depth: number, budget: { left: number }): TableField {
  const path = `${scope}${raw.name ?? ''}`
  if (budget.left-- <= 0) throw invalid(`Too many columns: a table has at most ${COLUMNS_MAX}.`)
  checkName(raw.name, path)
  const type = checkType(raw, path)
  if (type === 'RECORD' && depth > DEPTH_MAX)
    throw invalid(`Field ${path}: RECORD fields nest at most ${DEPTH_MAX} levels.`)
  const field: TableField = { name: raw.name, type: restType(type) }
  if (raw.mode !== undefined && raw.mode !== null) field.mode = checkMode(raw.mode, path)
  if (type === 'RECORD') {
    field.fields = checkLevel(raw.fields ?? [], `${path}.`, depth + 1, budget)
    if (field.fields.length === 0) throw invalid(`Field ${path} is type RECORD but has no schema`)
  }
  for (const key of ['description', 'maxLength', 'precision', 'scale'] as const) {
    if (raw[key] !== undefined && raw[key] !== null) field[key] = String(raw[key])
  }
  return withDefault(field, raw, type, path)
}

function checkName(name: unknown, path: string): void {
  if (typeof name !== 'string' || !NAME.test(name)) {
    throw invalid(
      `Invalid field name "${path}". Fields must contain the allowed characters, and be at most 300 characters long.`,
    )
  }
  if (RESERVED.test(name)) throw invalid(`Invalid field name "${path}". Fields may not start with a reserved prefix.`)
}

function checkType(raw: TableField, path: string): BigQueryType {
  const type = typeof raw.type === 'string' ? canonicalType(raw.type) : undefined
  if (type !== undefined) return type
  if (/^(RANGE|FOREIGN)$/i.test(String(raw.type))) throw notBuilt(`The type ${raw.type} (field ${path})`)
  throw invalid(`Invalid value for type: ${String(raw.type)} is not a valid value (field ${path})`)
}

function checkMode(mode: unknown, path: string): string {
  const upper = String(mode).toUpperCase()
  if (!['NULLABLE', 'REQUIRED', 'REPEATED'].includes(upper))
    throw invalid(`Invalid mode ${String(mode)} (field ${path})`)
  return upper
}

function withDefault(field: TableField, raw: TableField, type: BigQueryType, path: string): TableField {
  const expression = raw.defaultValueExpression
  if (expression === undefined || expression === null) return field
  if (path.includes('.') || type === 'RECORD' || modeOf(raw) === 'REPEATED' || !isKnownDefault(expression, type)) {
    throw notBuilt(`The default ${expression} (field ${path})`)
  }
  return { ...field, defaultValueExpression: expression }
}

/**
 * The fields of a table after a patch. BigQuery takes new columns that are NULLABLE or REPEATED, at any depth, and
 * relaxes REQUIRED to NULLABLE; nothing else. https://cloud.google.com/bigquery/docs/managing-table-schemas
 */
export function mergeFields(table: string, before: readonly TableField[], after: readonly TableField[]): TableField[] {
  return mergeLevel(table, before, after, '')
}

function mergeLevel(
  table: string,
  before: readonly TableField[],
  after: readonly TableField[],
  scope: string,
): TableField[] {
  const refuse = (what: string): RestError => invalid(`Provided Schema does not match Table ${table}. ${what}`)
  const wanted = new Map(after.map((field) => [field.name.toLowerCase(), field]))
  const kept = before.map((old) => {
    const path = scope + old.name
    const now = wanted.get(old.name.toLowerCase())
    if (now === undefined) throw refuse(`Field ${path} is missing in new schema`)
    wanted.delete(old.name.toLowerCase())
    if (canonicalType(now.type) !== canonicalType(old.type)) {
      throw refuse(`Field ${path} has changed type from ${old.type} to ${now.type}`)
    }
    const [from, to] = [modeOf(old), modeOf(now)]
    if (from !== to && !(from === 'REQUIRED' && to === 'NULLABLE')) {
      throw refuse(`Field ${path} has changed mode from ${from} to ${to}`)
    }
    const fields = old.fields && mergeLevel(table, old.fields, now.fields ?? [], `${path}.`)
    return { ...now, name: old.name, ...(fields && { fields }) }
  })
  const gained = after.filter((field) => wanted.has(field.name.toLowerCase()))
  for (const field of gained) {
    if (modeOf(field) !== 'REQUIRED') continue
    throw refuse(`Cannot add required fields to an existing schema. (field: ${scope}${field.name})`)
  }
  return [...kept, ...gained]
}
