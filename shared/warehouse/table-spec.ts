import { columnType, type TableField } from '../schema/index.ts'

/** What a table is to be. Durations in milliseconds. */
export interface TableSpec {
  readonly fields: readonly TableField[]
  readonly description?: string
  /** `field` absent: partitions by time of ingestion. */
  readonly partition?: { readonly by: 'none' | 'day' | 'hour' | 'month'; readonly field?: string | undefined }
  readonly cluster?: readonly string[]
  readonly labels?: Readonly<Record<string, string>>
  /** Age at which partitions (without partitions: the table) are deleted. */
  readonly expireAfterMs?: number | undefined
  /** The column that only Millrace writes. An existing table without it is the user's own, and is not changed unasked. */
  readonly ownColumn?: string
}

export interface ViewSpec {
  readonly sql: string
  readonly description?: string
}

/** What is to be done to an existing table: `fields` is then its whole new schema. */
export type SchemaChange =
  | { readonly kind: 'same' }
  | {
      readonly kind: 'gain'
      readonly fields: readonly TableField[]
      readonly gained: readonly string[]
      /** Columns that need SQL before the patch: the REST interface changes no types. */
      readonly widened: readonly TableField[]
    }
  | { readonly kind: 'refused'; readonly problems: readonly string[] }

/** The types that ALTER COLUMN SET DATA TYPE may make of a type ("DDL statements": coercion rules), with wider limits, too. */
const WIDER: Readonly<Record<string, readonly string[]>> = {
  INT64: ['NUMERIC', 'BIGNUMERIC', 'FLOAT64'],
  NUMERIC: ['BIGNUMERIC', 'FLOAT64'],
}

/** Columns that take the rows of a narrower schema as they are ("data type conversions" of the Storage Write API). */
const TAKES: Readonly<Record<string, readonly string[]>> = {
  NUMERIC: ['INT64'],
  BIGNUMERIC: ['INT64', 'NUMERIC'],
}

/**
 * Compares a table with what it is to be. BigQuery adds columns that are not REQUIRED, relaxes REQUIRED and widens
 * numbers; it does nothing else without a rewrite. Columns that only the table has stay, unless they are REQUIRED: rows
 * would lack them.
 */
export function planChange(existing: readonly TableField[], wanted: readonly TableField[]): SchemaChange {
  const gained: string[] = []
  const problems: string[] = []
  const fields = merge(existing, wanted, '', gained, problems)
  if (problems.length > 0) return { kind: 'refused', problems }
  if (gained.length === 0) return { kind: 'same' }
  const widened = fields.filter((field, index) => existing[index] && typeText(existing[index]) !== typeText(field))
  return { kind: 'gain', fields, gained, widened }
}

function merge(
  existing: readonly TableField[],
  wanted: readonly TableField[],
  prefix: string,
  gained: string[],
  problems: string[],
): TableField[] {
  const wantedByName = new Map(wanted.map((field) => [field.name.toLowerCase(), field]))
  const known = new Set(existing.map(({ name }) => name.toLowerCase()))
  const kept = existing.map((field) => {
    const path = prefix + field.name
    const target = wantedByName.get(field.name.toLowerCase())
    if (target) return mergeField(field, target, path, gained, problems)
    if (modeOf(field) === 'REQUIRED') problems.push(`${path}: REQUIRED in the table, absent from the route's schema`)
    return field
  })
  const added = wanted.filter(({ name }) => !known.has(name.toLowerCase()))
  for (const field of added) {
    if (modeOf(field) === 'REQUIRED') problems.push(`${prefix}${field.name}: a REQUIRED column cannot be added`)
    gained.push(prefix + field.name)
  }
  return [...kept, ...added]
}

function mergeField(
  field: TableField,
  target: TableField,
  path: string,
  gained: string[],
  problems: string[],
): TableField {
  const [type, wantedType] = [typeOf(field), typeOf(target)]
  const fits = type === wantedType ? holds(field, target) : TAKES[type]?.includes(wantedType)
  const wider = holds(target, field) && (type === wantedType || WIDER[type]?.includes(wantedType))
  const widened = !fits && wider && path === field.name && modeOf(field) !== 'REPEATED'
  if (widened) gained.push(`${path} (${typeText(field)} widened to ${typeText(target)})`)
  else if (!fits) {
    const reason = wider ? '; inside a RECORD or an array it cannot be widened' : ''
    problems.push(`${path}: ${typeText(field)} in the table, ${typeText(target)} in the route's schema${reason}`)
  }
  const [mode, wantedMode] = [modeOf(field), modeOf(target)]
  const relaxed = mode === 'REQUIRED' && wantedMode === 'NULLABLE'
  if (relaxed) gained.push(`${path} (no longer REQUIRED)`)
  else if (mode !== wantedMode && !(mode === 'NULLABLE' && wantedMode === 'REQUIRED')) {
    problems.push(`${path}: ${mode} in the table, ${wantedMode} in the route's schema`)
  }
  const fields = merge(field.fields ?? [], target.fields ?? [], `${path}.`, gained, problems)
  const { maxLength: _, precision: __, scale: ___, ...unlimited } = field
  return {
    ...(widened ? { ...unlimited, type: target.type, ...limitsOf(target) } : field),
    ...(relaxed ? { mode: 'NULLABLE' } : {}),
    ...(fields.length > 0 ? { fields } : {}),
  }
}

const typeOf = ({ type }: TableField): string => columnType(type) ?? type.toUpperCase()
const modeOf = ({ mode }: TableField): string => mode?.toUpperCase() || 'NULLABLE'

function limitsOf({ maxLength, precision, scale }: TableField): Pick<TableField, 'maxLength' | 'precision' | 'scale'> {
  return { ...(maxLength && { maxLength }), ...(precision && { precision }), ...(scale && { scale }) }
}

/** Whether every value within the limits of `inner` is within those of `outer`; types apart. */
function holds(outer: TableField, inner: TableField): boolean {
  if (outer.maxLength && !(Number(inner.maxLength ?? Infinity) <= Number(outer.maxLength))) return false
  if (!outer.precision) return true
  if (!inner.precision) return false
  const [scale, innerScale] = [Number(outer.scale ?? 0), Number(inner.scale ?? 0)]
  return innerScale <= scale && Number(inner.precision) - innerScale <= Number(outer.precision) - scale
}

/** A type as SQL spells it, with its limits: STRING(10), NUMERIC(10, 2). */
export function typeText(field: TableField): string {
  const limits = Object.values(limitsOf(field))
  return limits.length > 0 ? `${typeOf(field)}(${limits.join(', ')})` : typeOf(field)
}

/** A schema as indented lines, to be shown beside another one. */
export function describeFields(fields: readonly TableField[], indent = ''): string[] {
  return fields.flatMap((field) => [
    `${indent}${field.name} ${typeText(field)}${modeOf(field) === 'NULLABLE' ? '' : ` ${modeOf(field)}`}`,
    ...describeFields(field.fields ?? [], `${indent}  `),
  ])
}
