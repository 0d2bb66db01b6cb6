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
 * @returns `fields`: its whole new schema; `widened`: columns that need SQL before the patch, since the REST interface changes no types
 */
export function planChange(existing: readonly TableField[], wanted: readonly TableField[]) {
  const comparison = new Comparison()
  const fields = comparison.merge(existing, wanted, '')
  const { problems, gained } = comparison
  if (problems.length > 0) return { kind: 'refused', problems } as const
  if (gained.length === 0) return { kind: 'same' } as const
  const widened = fields.filter((field, index) => existing[index] && typeText(existing[index]) !== typeText(field))
  return { kind: 'gain', fields, gained, widened } as const
}

class Comparison {
  readonly gained: string[] = []
  readonly problems: string[] = []

  /** The columns of both, in the table's order, new ones behind. */
  merge(existing: readonly TableField[], wanted: readonly TableField[], prefix: string): TableField[] {
    const wantedByName = new Map(wanted.map((field) => [field.name.toLowerCase(), field]))
    const kept = existing.map((field) => {
      const path = prefix + field.name
      const target = wantedByName.get(field.name.toLowerCase())
      wantedByName.delete(field.name.toLowerCase())
      if (target) return this.#mergeField(field, target, path)
      if (modeOf(field) === 'REQUIRED') this.#refuse(path, "REQUIRED in the table, absent from the route's schema")
      return field
    })
    for (const field of wantedByName.values()) {
      if (modeOf(field) === 'REQUIRED') this.#refuse(prefix + field.name, 'a REQUIRED column cannot be added')
      this.gained.push(prefix + field.name)
    }
    return [...kept, ...wantedByName.values()]
  }

  #mergeField(field: TableField, target: TableField, path: string): TableField {
    const widened = this.#mustWiden(field, target, path)
    const relaxed = this.#mustRelax(field, target, path)
    const fields = this.merge(field.fields ?? [], target.fields ?? [], `${path}.`)
    const { maxLength: _, precision: __, scale: ___, ...unlimited } = field
    return {
      ...(widened ? { ...unlimited, type: target.type, ...limitsOf(target) } : field),
      ...(relaxed ? { mode: 'NULLABLE' } : {}),
      ...(fields.length > 0 ? { fields } : {}),
    }
  }

  #mustWiden(field: TableField, target: TableField, path: string): boolean {
    const [type, wanted] = [typeOf(field), typeOf(target)]
    if (type === wanted ? holds(field, target) : TAKES[type]?.includes(wanted)) return false
    const wider = holds(target, field) && (type === wanted || WIDER[type]?.includes(wanted) === true)
    const widened = wider && path === field.name && modeOf(field) !== 'REPEATED'
    const reason = wider ? '; inside a RECORD or an array it cannot be widened' : ''
    if (widened) this.gained.push(`${path} (${typeText(field)} widened to ${typeText(target)})`)
    else this.#refuse(path, `${typeText(field)} in the table, ${typeText(target)} in the route's schema${reason}`)
    return widened
  }

  #mustRelax(field: TableField, target: TableField, path: string): boolean {
    const [mode, wanted] = [modeOf(field), modeOf(target)]
    if (mode === wanted || (mode === 'NULLABLE' && wanted === 'REQUIRED')) return false
    const relaxed = mode === 'REQUIRED' && wanted === 'NULLABLE'
    if (relaxed) this.gained.push(`${path} (no longer REQUIRED)`)
    else this.#refuse(path, `${mode} in the table, ${wanted} in the route's schema`)
    return relaxed
  }

  #refuse(path: string, why: string): void {
    this.problems.push(`${path}: ${why}`)
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
