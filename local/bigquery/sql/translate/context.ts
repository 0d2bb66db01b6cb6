import type { Expr, Query, Window } from '../parse/ast.ts'
import type { Position } from '../errors.ts'
import type { Environment } from './environment.ts'
import type { Column, Scope } from './scope.ts'
import type { Typed } from './types.ts'

/** What a clause allows in its expressions. */
export interface Clause {
  name: string
  aggregates: boolean
  windows: boolean
}

/** What the GROUP BY of a SELECT means for the expressions after it. */
export interface Grouping {
  /** The DuckDB texts of the grouping expressions. */
  keys: Set<string>
  /** True when the SELECT groups: it has a GROUP BY, or calls an aggregate function. */
  grouped: boolean
  /** Columns that were named outside of aggregate functions and grouping expressions, so far. */
  loose: { name: string; at: Position; clause: string }[]
}

/** Where an expression stands. */
export interface Context {
  env: Environment
  scope: Scope
  clause: Clause
  grouping: Grouping
  /** Aliases of the SELECT list, in lower case, where a clause may use them. */
  aliases?: ReadonlyMap<string, Typed>
  windows: ReadonlyMap<string, Window>
  /** Common table expressions and the chain of views around. */
  surroundings: Surroundings
}

export interface Surroundings {
  ctes: ReadonlyMap<string, Cte>
  /** Names of the views that are being unfolded, outermost first. */
  views: readonly string[]
}

export interface Cte {
  duckName: string
  columns: Column[]
  isValue: boolean
}

/** A query after translation: its DuckDB text, and one column for each output, `sql` being its quoted output name. */
export interface TranslatedQuery {
  sql: string
  columns: Column[]
  /** True for SELECT AS STRUCT and AS VALUE: its only column is the row. */
  isValue: boolean
}

/** Translates expressions and the queries inside of them; handed to the functions, which would import in circles. */
export interface Translator {
  expression(expr: Expr, context: Context): Typed
  query(query: Query, context: QueryContext): TranslatedQuery
}

export interface QueryContext {
  env: Environment
  outer?: Scope
  surroundings: Surroundings
}

export function newGrouping(): Grouping {
  return { keys: new Set(), grouped: false, loose: [] }
}
