import { quoteIdentifier } from '../../types.ts'
import { errorAt, type Position } from '../errors.ts'
import type { Expr, OrderItem, Select, SelectItem } from '../parse/ast.ts'
import {
  type Clause,
  type Context,
  newGrouping,
  type QueryContext,
  type TranslatedQuery,
  type Translator,
} from './context.ts'
import { translateFrom, type TranslatedFrom } from './from.ts'
import { orderSql } from './ordering.ts'
import { checkRequiredFilters, joinConditions } from './partition-filter.ts'
import { type Column, lookup, type Scope } from './scope.ts'
import { fieldName, partOf, type Typed, typeText } from './types.ts'

const WHERE: Clause = { name: 'WHERE clause', aggregates: false, windows: false }
const GROUP_BY: Clause = { name: 'GROUP BY clause', aggregates: false, windows: false }
const SELECT: Clause = { name: 'SELECT list', aggregates: true, windows: true }
const HAVING: Clause = { name: 'HAVING clause', aggregates: true, windows: false }
const QUALIFY: Clause = { name: 'QUALIFY clause', aggregates: true, windows: true }
const ORDER_BY: Clause = { name: 'ORDER BY clause', aggregates: true, windows: true }

interface Output {
  name?: string
  value: Typed
}

/** Translates a SELECT with the ORDER BY after it. */
export function translateSelect(
  select: Select,
  orderBy: OrderItem[],
  query: QueryContext,
  translator: Translator,
): TranslatedQuery {
  return new SelectTranslation(select, query, translator).run(orderBy)
}

class SelectTranslation {
  readonly #select: Select
  readonly #translator: Translator
  readonly #from: TranslatedFrom | undefined
  readonly #context: Context
  readonly #items = new Map<SelectItem, Typed>()

  constructor(select: Select, query: QueryContext, translator: Translator) {
    this.#select = select
    this.#translator = translator
    this.#from = select.from && translateFrom(select.from, query, translator)
    const { ranges, merged } = this.#from ?? { ranges: [], merged: [] }
    checkRequiredFilters(ranges, [select.where, ...joinConditions(select.from)])
    const scope: Scope = { ranges, merged, ...(query.outer && { parent: query.outer }) }
    const windows = new Map(select.windows.map(({ name, window }) => [name.toLowerCase(), window]))
    this.#context = {
      env: query.env,
      scope,
      clause: SELECT,
      grouping: newGrouping(),
      windows,
      surroundings: query.surroundings,
    }
  }

  run(orderBy: OrderItem[]): TranslatedQuery {
    const { where, having, qualify, distinct } = this.#select
    const clauses: string[] = []
    if (this.#from !== undefined) clauses.push(` FROM ${this.#from.sql}`)
    if (where !== undefined) clauses.push(` WHERE ${this.#condition(where, WHERE)}`)
    this.#context.grouping.loose.length = 0
    const keys = this.#groupKeys()
    const outputs = this.#asValue(this.#select.items.flatMap((item) => this.#outputs(item)))
    const groupBy = this.#groupBy(keys, outputs)
    if (groupBy !== '') clauses.push(` GROUP BY ${groupBy}`)
    const aliases = aliasesOf(outputs)
    if (having !== undefined) clauses.push(` HAVING ${this.#condition(having, HAVING, aliases)}`)
    if (qualify !== undefined) clauses.push(` QUALIFY ${this.#condition(qualify, QUALIFY, aliases)}`)
    const order = orderBy.map((item) => this.#orderItem(item, outputs, aliases)).filter((text) => text !== undefined)
    if (order.length > 0) clauses.push(` ORDER BY ${order.join(', ')}`)
    this.#checkGrouping()
    const columns = outputColumns(outputs)
    const items = outputs.map((output, i) => `${output.value.sql} AS ${columns[i]?.sql}`)
    const sql = `SELECT ${distinct ? 'DISTINCT ' : ''}${items.join(', ')}${clauses.join('')}`
    return { sql, columns, isValue: this.#select.as !== undefined }
  }

  #translate(expr: Expr, clause: Clause, aliases?: ReadonlyMap<string, Typed>): Typed {
    return this.#translator.expression(expr, { ...this.#context, clause, ...(aliases && { aliases }) })
  }

  #condition(expr: Expr, clause: Clause, aliases?: ReadonlyMap<string, Typed>): string {
    const { sql, type } = this.#translate(expr, clause, aliases)
    if (type.kind === 'BOOL' || type.kind === 'NULL') return sql
    throw errorAt(`${clause.name} should return type BOOL, but returns ${typeText(type)}`, expr.at)
  }

  /** The grouping expressions; an alias or a number stands for an item of the SELECT list. */
  #groupKeys(): Typed[] {
    const { groupBy } = this.#select
    const { grouping } = this.#context
    if (groupBy === undefined) return []
    grouping.grouped = true
    const keys = groupBy.items.map((expr) => this.#groupKey(expr))
    grouping.loose.length = 0
    for (const key of keys) grouping.keys.add(key.sql)
    return keys
  }

  #groupKey(expr: Expr): Typed {
    const item = this.#selectItemOf(expr)
    const key = item === undefined ? this.#translate(expr, GROUP_BY) : this.#translate(item.expr, GROUP_BY)
    if (item !== undefined) this.#items.set(item, key)
    const { kind } = key.type
    if (kind === 'JSON' || kind === 'GEOGRAPHY' || kind === 'ARRAY') {
      throw errorAt(`Grouping by expressions of type ${typeText(key.type)} is not allowed`, expr.at)
    }
    return key
  }

  #selectItemOf(expr: Expr): (SelectItem & { kind: 'expr' }) | undefined {
    const { items } = this.#select
    if (expr.kind === 'literal' && expr.type === 'INT64') {
      const item = items[Number(expr.text) - 1]
      if (item?.kind === 'expr') return item
      throw errorAt(`GROUP BY expression references a column number that is out of range: ${expr.text}`, expr.at)
    }
    if (expr.kind !== 'name') return undefined
    const name = expr.name.toLowerCase()
    const named = items.filter((item) => item.kind === 'expr' && item.alias?.toLowerCase() === name)
    return named[0]?.kind === 'expr' ? named[0] : undefined
  }

  #groupBy(keys: readonly Typed[], outputs: readonly Output[]): string {
    const { groupBy } = this.#select
    if (groupBy === undefined) return ''
    if (groupBy.kind === 'all') return 'ALL'
    // A literal by its text would be an ordinal or an error to DuckDB; its place in the SELECT list is neither.
    const texts = keys.map((key) => {
      const index = key.literal === undefined ? -1 : outputs.findIndex((output) => output.value.sql === key.sql)
      return index >= 0 ? String(index + 1) : key.sql
    })
    return groupBy.kind === 'rollup' ? `ROLLUP (${texts.join(', ')})` : texts.join(', ')
  }

  #outputs(item: SelectItem): Output[] {
    if (item.kind === 'star') return this.#star(item)
    const value = this.#items.get(item) ?? this.#translate(item.expr, SELECT)
    const implied = item.expr.kind === 'name' || item.expr.kind === 'field' ? item.expr.name : undefined
    const name = item.alias ?? implied
    return [name === undefined ? { value } : { name, value }]
  }

  #star(item: SelectItem & { kind: 'star' }): Output[] {
    const columns = item.base === undefined ? this.#allColumns(item.at) : this.#columnsOf(item.base)
    const known = (name: string) => columns.some((column) => column.name?.toLowerCase() === name.toLowerCase())
    for (const { name, at } of [...item.except, ...item.replace]) {
      if (!known(name))
        throw errorAt(
          `Column ${name} in SELECT * ${item.except.some((x) => x.name === name) ? 'EXCEPT' : 'REPLACE'} list does not exist`,
          at,
        )
    }
    const kept = columns.filter(
      (column) => !item.except.some(({ name }) => name.toLowerCase() === column.name?.toLowerCase()),
    )
    if (kept.length === 0) throw errorAt('SELECT * EXCEPT produces a table with no columns', item.at)
    return kept.map((column) => this.#starOutput(column, item))
  }

  #starOutput(column: Column, item: SelectItem & { kind: 'star' }): Output {
    const replaced = item.replace.find(({ name }) => name.toLowerCase() === column.name?.toLowerCase())
    const value =
      replaced === undefined ? { sql: column.sql, type: column.type } : this.#translate(replaced.expr, SELECT)
    const { grouping } = this.#context
    if (replaced === undefined && !grouping.keys.has(value.sql)) {
      grouping.loose.push({ name: column.name ?? '', at: item.at, clause: 'SELECT list' })
    }
    return column.name === undefined ? { value } : { name: column.name, value }
  }

  #allColumns(at: Position): Column[] {
    if (this.#from === undefined) throw errorAt('SELECT * must have a FROM clause', at)
    const { ranges, merged } = this.#from
    const covered = new Set(merged.flatMap((column) => column.covers ?? []))
    const own = ranges.flatMap((range) => range.columns.filter((column) => !covered.has(column.sql)))
    return [...merged, ...own].filter((column) => column.hidden !== true)
  }

  /** What `x.*` stands for: the columns of a table, or the fields of a struct. */
  #columnsOf(base: Expr): Column[] {
    if (base.kind === 'name') {
      const found = lookup(this.#context.scope, base.name, base.at, true)
      if (found?.kind === 'range') return found.range.columns.filter((column) => column.hidden !== true)
    }
    const value = this.#translate(base, SELECT)
    if (value.type.kind !== 'STRUCT') {
      throw errorAt(`Dot-star is not supported for type ${typeText(value.type)}`, base.at)
    }
    return value.type.fields.map((field, i) => ({
      ...(field.name !== undefined && { name: field.name }),
      ...partOf(value, i),
    }))
  }

  /** SELECT AS STRUCT packs the outputs into one, SELECT AS VALUE takes the only one. */
  #asValue(outputs: Output[]): Output[] {
    const { as, at } = this.#select
    const [only] = outputs
    if (as === undefined || only === undefined) return outputs
    if (as === 'VALUE') {
      if (outputs.length > 1) throw errorAt('SELECT AS VALUE query must have exactly one column', at)
      return [{ value: only.value }]
    }
    const fields = outputs.map(({ name, value }) => ({ ...(name !== undefined && { name }), type: value.type }))
    const parts = outputs.map(({ value }, i) => `${quoteIdentifier(fieldName(fields[i] ?? {}, i))} := ${value.sql}`)
    return [{ value: { sql: `struct_pack(${parts.join(', ')})`, type: { kind: 'STRUCT', fields } } }]
  }

  #orderItem(item: OrderItem, outputs: readonly Output[], aliases: ReadonlyMap<string, Typed>): string | undefined {
    const { expr } = item
    if (expr.kind === 'literal' && expr.type === 'INT64') {
      const output = outputs[Number(expr.text) - 1]
      if (output === undefined)
        throw errorAt(
          `ORDER BY column number item is out of range. Column number ${expr.text} not found in SELECT list`,
          item.at,
        )
      return orderSql(output.value, item, expr.text)
    }
    const value = this.#translate(expr, ORDER_BY, aliases)
    if (value.literal !== undefined) return undefined
    const index = outputs.findIndex((output) => output.value.sql === value.sql)
    if (index >= 0) return orderSql(value, item, String(index + 1))
    if (this.#select.distinct) {
      const name = expr.kind === 'name' ? `column ${expr.name}` : 'an expression'
      throw errorAt(`ORDER BY clause expression references ${name} which is not visible after SELECT DISTINCT`, item.at)
    }
    return orderSql(value, item)
  }

  #checkGrouping(): void {
    const { grouping } = this.#context
    if (this.#select.groupBy?.kind === 'all') return
    if (this.#select.having !== undefined && !grouping.grouped) {
      throw errorAt('The HAVING clause requires GROUP BY or aggregation to be present', this.#select.having.at)
    }
    const [loose] = grouping.loose
    if (!grouping.grouped || loose === undefined) return
    const what = loose.clause === 'SELECT list' ? 'SELECT list' : loose.clause
    throw errorAt(
      `${what} expression references column ${loose.name} which is neither grouped nor aggregated`,
      loose.at,
    )
  }
}

function aliasesOf(outputs: readonly Output[]): Map<string, Typed> {
  const aliases = new Map<string, Typed>()
  for (const { name, value } of outputs) {
    if (name !== undefined && !aliases.has(name.toLowerCase())) aliases.set(name.toLowerCase(), value)
  }
  return aliases
}

/** Output columns: DuckDB gets a name of its own for each, whatever the statement calls them. */
function outputColumns(outputs: readonly Output[]): Column[] {
  const used = new Set<string>()
  return outputs.map(({ name, value }, i) => {
    let unique = name ?? `_col_${i + 1}`
    while (used.has(unique.toLowerCase())) unique = `${unique}_${i + 1}`
    used.add(unique.toLowerCase())
    const column: Column = { sql: quoteIdentifier(unique), type: value.type, ...(name !== undefined && { name }) }
    return value.literal === undefined ? column : { ...column, literal: value.literal }
  })
}
