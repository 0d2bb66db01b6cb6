import { distance } from '../../../../shared/distance.ts'
import { quoteIdentifier } from '../../types.ts'
import { errorAt, type Position } from '../errors.ts'
import { fieldName, type SqlType, type Typed } from './types.ts'

/** A column of a relation: its GoogleSQL name (none: it cannot be named) and how DuckDB reaches it. */
export interface Column {
  name?: string
  sql: string
  type: SqlType
  /** A pseudo column such as _PARTITIONTIME: found by name, not shown by `*`. */
  hidden?: boolean
  /** For a column of JOIN ... USING: the DuckDB texts of the columns that it stands for. */
  covers?: readonly string[]
  /** For an output of a SELECT that is a literal: a set operation may coerce it. */
  literal?: NonNullable<Typed['literal']>
}

/** An item of a FROM clause. */
export interface Range {
  alias?: string
  columns: Column[]
  /** Set for a relation whose rows are values: UNNEST, and SELECT AS STRUCT. Its alias stands for the value. */
  value?: Typed
  requiredFilter?: { table: string; columns: readonly string[] }
}

/** The names that a FROM clause brings, inside those of the query around it. */
export interface Scope {
  ranges: readonly Range[]
  /** Columns of JOIN ... USING: they stand for the columns of both sides. */
  merged: readonly Column[]
  parent?: Scope
}

export const EMPTY_SCOPE: Scope = { ranges: [], merged: [] }

const same = (a: string | undefined, b: string): boolean => a?.toLowerCase() === b.toLowerCase()

/** What a first name stands for. */
export type Found = { kind: 'column'; column: Column } | { kind: 'range'; range: Range }

/**
 * Looks a name up, from the inside out. A column hides a range variable of the same name unless `preferRange`.
 * Throws when the name is ambiguous.
 */
export function lookup(scope: Scope | undefined, name: string, at: Position, preferRange: boolean): Found | undefined {
  for (let inner = scope; inner !== undefined; inner = inner.parent) {
    const range = inner.ranges.find((candidate) => same(candidate.alias, name))
    if (range !== undefined && preferRange) return { kind: 'range', range }
    const column = columnOf(inner, name, at)
    if (column !== undefined) return { kind: 'column', column }
    if (range !== undefined) return { kind: 'range', range }
  }
  return undefined
}

function columnOf(scope: Scope, name: string, at: Position): Column | undefined {
  const merged = scope.merged.find((column) => same(column.name, name))
  if (merged !== undefined) return merged
  const found = scope.ranges.flatMap((range) => range.columns.filter((column) => same(column.name, name)))
  if (found.length > 1) throw errorAt(`Column name ${name} is ambiguous`, at)
  return found[0]
}

/** A column of one range: `alias.name`. */
export function columnOfRange(range: Range, name: string, at: Position): Column | undefined {
  const found = range.columns.filter((column) => same(column.name, name))
  if (found.length > 1) throw errorAt(`Column name ${name} is ambiguous`, at)
  return found[0]
}

/** A range as a value: the value itself, or a struct of its columns. */
export function rangeValue(range: Range): Typed {
  if (range.value !== undefined) return range.value
  const shown = range.columns.filter((column) => column.hidden !== true)
  const fields = shown.map((column) => ({ ...(column.name !== undefined && { name: column.name }), type: column.type }))
  const parts = shown.map((column, i) => `${quoteIdentifier(fieldName(column, i))} := ${column.sql}`)
  return { sql: `struct_pack(${parts.join(', ')})`, type: { kind: 'STRUCT', fields }, items: shown }
}

/** A nearby name for `Did you mean`, as BigQuery offers one. */
export function suggestion(scope: Scope, name: string): string | undefined {
  const names = scope.ranges.flatMap((range) => [range.alias, ...range.columns.map((column) => column.name)])
  const known = names.filter((candidate) => candidate !== undefined)
  return known.find(
    (candidate) => distance(candidate.toLowerCase(), name.toLowerCase()) <= Math.max(1, Math.floor(name.length / 5)),
  )
}
