import { quoteIdentifier, type TableField } from '../../types.ts'
import { errorAt, type Position, QueryError } from '../errors.ts'
import type { From, JoinFrom } from '../parse/ast.ts'
import { parseStatement } from '../parse/statements.ts'
import {
  type Clause,
  type Context,
  newGrouping,
  type QueryContext,
  type TranslatedQuery,
  type Translator,
} from './context.ts'
import { informationSchema } from './information-schema.ts'
import { compare } from './operators.ts'
import { withRequiredFilter } from './partition-filter.ts'
import { resolvePath } from './paths.ts'
import { type Column, lookup, type Range, type Scope } from './scope.ts'
import { BOOL, INT64, scalar, type Typed, typeOfField, typeText } from './types.ts'
import { localOf } from './zones.ts'

/** The FROM clause: its DuckDB text and the names that it brings. */
export interface TranslatedFrom {
  sql: string
  ranges: Range[]
  merged: Column[]
}

const NO_RANGES: TranslatedFrom = { sql: '', ranges: [], merged: [] }
const UNNEST: Clause = { name: 'UNNEST', aggregates: false, windows: false }
const ON: Clause = { name: 'JOIN ON clause', aggregates: false, windows: false }

/** Translates a FROM clause. `left`: what stands before this item; only arrays may refer to it. */
export function translateFrom(from: From, query: QueryContext, translator: Translator): TranslatedFrom {
  return new Froms(query, translator).item(from, NO_RANGES)
}

/** A range over a stored table. */
export function tableRange(
  duckAlias: string,
  alias: string,
  fields: readonly TableField[],
  partitionTime = false,
): Range {
  const columns: Column[] = fields.map((field) => ({
    name: field.name,
    sql: `${duckAlias}.${quoteIdentifier(field.name)}`,
    type: typeOfField(field),
  }))
  if (partitionTime) {
    const sql = `${duckAlias}."_PARTITIONTIME"`
    columns.push({ name: '_PARTITIONTIME', sql, type: scalar('TIMESTAMP'), hidden: true })
    columns.push({ name: '_PARTITIONDATE', sql: `CAST(${localOf(sql)} AS DATE)`, type: scalar('DATE'), hidden: true })
  }
  return { alias, columns }
}

class Froms {
  readonly #query: QueryContext
  readonly #translator: Translator

  constructor(query: QueryContext, translator: Translator) {
    this.#query = query
    this.#translator = translator
  }

  item(from: From, left: TranslatedFrom): TranslatedFrom {
    switch (from.kind) {
      case 'table':
        return this.#table(from, left)
      case 'query': {
        const { env, outer, surroundings } = this.#query
        const query = this.#translator.query(from.query, { env, surroundings, ...(outer && { outer }) })
        return this.#derived(query, from.alias)
      }
      case 'unnest':
        return this.#unnest(this.#expression(from.array, left, UNNEST), from, left)
      case 'join':
        return this.#join(from, left)
    }
  }

  #scope(from: TranslatedFrom): Scope {
    const { outer } = this.#query
    return { ranges: from.ranges, merged: from.merged, ...(outer && { parent: outer }) }
  }

  #context(from: TranslatedFrom, clause: Clause): Context {
    const { env, surroundings } = this.#query
    return { env, scope: this.#scope(from), clause, grouping: newGrouping(), windows: new Map(), surroundings }
  }

  #expression(expr: Parameters<Translator['expression']>[0], from: TranslatedFrom, clause: Clause): Typed {
    return this.#translator.expression(expr, this.#context(from, clause))
  }

  #derived(query: TranslatedQuery, alias: string | undefined): TranslatedFrom {
    const duckAlias = this.#query.env.fresh('t')
    return {
      sql: `(${query.sql}) AS ${duckAlias}`,
      ranges: [rangeOf(query.columns, query.isValue, duckAlias, alias)],
      merged: [],
    }
  }

  #table(from: From & { kind: 'table' }, left: TranslatedFrom): TranslatedFrom {
    const { env, surroundings } = this.#query
    const [first = ''] = from.path
    const cte = from.path.length === 1 ? surroundings.ctes.get(first.toLowerCase()) : undefined
    if (cte !== undefined) {
      const duckAlias = env.fresh('t')
      const range = rangeOf(cte.columns, cte.isValue, duckAlias, from.alias ?? first)
      return { sql: `${cte.duckName} AS ${duckAlias}`, ranges: [range], merged: [] }
    }
    if (from.path.length > 1 && lookup(this.#scope(left), first, from.at, true) !== undefined) {
      return this.#unnest(
        this.#arrayPath(from, left),
        { ...from, alias: from.alias ?? from.path.at(-1) ?? first },
        left,
      )
    }
    if (from.offset !== undefined) throw errorAt('WITH OFFSET can only be used with array scans', from.at)
    return this.#stored(from)
  }

  #arrayPath(from: From & { kind: 'table' }, left: TranslatedFrom): Typed {
    const [first = '', ...rest] = from.path
    type Path = Parameters<typeof resolvePath>[0]
    const path = rest.reduce<Path>((base, name) => ({ kind: 'field', base, name, at: from.at }), {
      kind: 'name',
      name: first,
      at: from.at,
    })
    return this.#expression(path, left, UNNEST)
  }

  #stored(from: From & { kind: 'table' }): TranslatedFrom {
    const { env, surroundings } = this.#query
    const schemaIndex = from.path.findIndex((part) => part.toUpperCase() === 'INFORMATION_SCHEMA')
    const duckAlias = env.fresh('t')
    const alias = from.alias ?? from.path.at(-1) ?? ''
    if (schemaIndex >= 0) {
      const { sql, columns } = informationSchema(from.path, env, from.at, this.#translator)
      return { sql: `${sql} AS ${duckAlias}`, ranges: [rangeOf(columns, false, duckAlias, alias)], merged: [] }
    }
    if (alias.endsWith('*')) throw errorAt('Not supported by the local BigQuery: wildcard tables', from.at)
    const name = env.tableName(from.path, surroundings.views.length > 0)
    const resolved = env.resolve(name)
    if (resolved.kind === 'view')
      return this.#view(`${name.project}.${name.dataset}.${name.table}`, resolved.query, alias)
    const range = tableRange(duckAlias, alias, resolved.fields, resolved.partitionTime)
    const ranges = [withRequiredFilter(range, name, resolved)]
    return { sql: `${resolved.duckName} AS ${duckAlias}`, ranges, merged: [] }
  }

  /** A view is its query, translated where nothing of the outer statement can be seen. */
  #view(id: string, text: string, alias: string): TranslatedFrom {
    const { env, surroundings } = this.#query
    if (surroundings.views.includes(id)) throw new QueryError(`View ${id} refers to itself`)
    const statement = parseStatement(text)
    if (statement.kind !== 'query') throw new QueryError(`The view ${id} has no query`)
    const inside = { ctes: new Map(), views: [...surroundings.views, id] }
    return this.#derived(this.#translator.query(statement.query, { env, surroundings: inside }), alias)
  }

  #unnest(
    array: Typed,
    from: { alias?: string; offset?: string; at: Position },
    _left: TranslatedFrom,
  ): TranslatedFrom {
    if (array.type.kind !== 'ARRAY') {
      throw errorAt(
        `Values referenced in UNNEST must be arrays. UNNEST contains expression of type ${typeText(array.type)}`,
        from.at,
      )
    }
    const duckAlias = this.#query.env.fresh('t')
    const offset = from.offset === undefined ? '' : `, unnest(range(len(${array.sql}))) AS "o"`
    const value = { sql: `${duckAlias}."v"`, type: array.type.element }
    const range: Range = {
      columns: valueColumns(value, from.alias),
      value,
      ...(from.alias !== undefined && { alias: from.alias }),
    }
    const ranges = [range]
    if (from.offset !== undefined)
      ranges.push({ columns: [{ name: from.offset, sql: `${duckAlias}."o"`, type: INT64 }] })
    return { sql: `LATERAL (SELECT unnest(${array.sql}) AS "v"${offset}) AS ${duckAlias}`, ranges, merged: [] }
  }

  #join(from: JoinFrom, before: TranslatedFrom): TranslatedFrom {
    const left = this.item(from.left, before)
    const right = this.item(from.right, left)
    refuseDoubles(left, right, from.at)
    const both = { sql: '', ranges: [...left.ranges, ...right.ranges], merged: [...left.merged, ...right.merged] }
    const head = `${left.sql} ${from.type} JOIN ${right.sql}`
    if (from.using !== undefined) return this.#using(from, left, right, both, head)
    if (from.type === 'CROSS') return { ...both, sql: head }
    const condition = from.on === undefined ? { sql: 'TRUE', type: BOOL } : this.#expression(from.on, both, ON)
    if (condition.type.kind !== 'BOOL' && condition.type.kind !== 'NULL') {
      throw errorAt(`JOIN ON clause should return type BOOL, but returns ${typeText(condition.type)}`, from.at)
    }
    return { ...both, sql: `${head} ON ${condition.sql}` }
  }

  #using(
    from: JoinFrom,
    left: TranslatedFrom,
    right: TranslatedFrom,
    both: TranslatedFrom,
    head: string,
  ): TranslatedFrom {
    const conditions: string[] = []
    const merged: Column[] = []
    for (const { name, at } of from.using ?? []) {
      const a = usingColumn(left, name, 'left', at)
      const b = usingColumn(right, name, 'right', at)
      const equal = compare('=', a, b, at)
      conditions.push(equal.sql)
      const sql = from.type === 'FULL' ? `coalesce(${a.sql}, ${b.sql})` : from.type === 'RIGHT' ? b.sql : a.sql
      merged.push({ name, sql, type: a.type, covers: [a.sql, b.sql, ...(a.covers ?? []), ...(b.covers ?? [])] })
    }
    const kept = both.merged.filter((column) => !merged.some((other) => other.covers?.includes(column.sql)))
    return { ...both, merged: [...merged, ...kept], sql: `${head} ON ${conditions.join(' AND ')}` }
  }
}

function usingColumn(side: TranslatedFrom, name: string, which: string, at: Position): Column {
  const found = lookup({ ranges: side.ranges, merged: side.merged }, name, at, false)
  if (found?.kind !== 'column') throw errorAt(`Column ${name} in USING clause not found on ${which} side of join`, at)
  return found.column
}

function refuseDoubles(left: TranslatedFrom, right: TranslatedFrom, at: Position): void {
  for (const { alias } of right.ranges) {
    const double =
      alias !== undefined && left.ranges.some((range) => range.alias?.toLowerCase() === alias.toLowerCase())
    if (double) throw errorAt(`Duplicate table alias ${alias} in the same FROM clause`, at)
  }
}

/** A range over a query's outputs. */
export function rangeOf(
  columns: readonly Column[],
  isValue: boolean,
  duckAlias: string,
  alias: string | undefined,
): Range {
  const own = columns.map(({ name, sql, type }) => ({
    ...(name !== undefined && { name }),
    sql: `${duckAlias}.${sql}`,
    type,
  }))
  const [first] = own
  if (!isValue || first === undefined) return { columns: own, ...(alias !== undefined && { alias }) }
  return { columns: valueColumns(first, alias), value: first, ...(alias !== undefined && { alias }) }
}

/** The columns that a row's value shows: the fields of a struct, or the value itself under the alias. */
function valueColumns(value: Typed, alias: string | undefined): Column[] {
  if (value.type.kind !== 'STRUCT') return [{ ...value, ...(alias !== undefined && { name: alias }) }]
  return value.type.fields.map((field, i) => ({
    ...(field.name !== undefined && { name: field.name }),
    sql: `struct_extract(${value.sql}, '${(field.name ?? `_field_${i + 1}`).replaceAll("'", "''")}')`,
    type: field.type,
  }))
}
