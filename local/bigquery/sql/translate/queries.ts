import { quoteIdentifier } from '../../types.ts'
import { errorAt, type Position } from '../errors.ts'
import type { Expr, OrderItem, Query, QueryBody } from '../parse/ast.ts'
import { coerce } from './casts.ts'
import {
  type Cte,
  newGrouping,
  type QueryContext,
  type Surroundings,
  type TranslatedQuery,
  type Translator,
} from './context.ts'
import { translateExpression } from './expressions.ts'
import { rangeOf } from './from.ts'
import { type Column, type Range } from './scope.ts'
import { translateSelect } from './select.ts'
import { duckTypeOf, sameType, scalar, supertype, type Typed, typeText } from './types.ts'
import { orderSql } from './ordering.ts'

/** Where a statement begins: no common table expressions, no views around. */
export const NOTHING_AROUND: Surroundings = { ctes: new Map(), views: [] }

/** The one translator: what expressions and queries need of each other. */
export const translator: Translator = {
  expression: (expr, context) => translateExpression(expr, context, translator),
  query: translateQuery,
}

function translateQuery(query: Query, context: QueryContext): TranslatedQuery {
  const { heads, surroundings } = translateCtes(query, context)
  const inner = { ...context, surroundings }
  const result = translateBody(query.body, inner, query)
  return heads.length === 0 ? result : { ...result, sql: `WITH ${heads.join(', ')} ${result.sql}` }
}

function translateCtes(query: Query, context: QueryContext): { heads: string[]; surroundings: Surroundings } {
  const ctes = new Map<string, Cte>(context.surroundings.ctes)
  const surroundings = { ...context.surroundings, ctes }
  const names = new Set<string>()
  const heads = query.ctes.map(({ name, query: inner, at }) => {
    if (names.has(name.toLowerCase())) throw errorAt(`Duplicate alias ${name} for WITH subquery`, at)
    names.add(name.toLowerCase())
    const { sql, columns, isValue } = translateQuery(inner, { ...context, surroundings })
    const duckName = quoteIdentifier(context.env.fresh(`${name}_`))
    ctes.set(name.toLowerCase(), { duckName, columns, isValue })
    return `${duckName} AS (${sql})`
  })
  return { heads, surroundings }
}

type Tail = Pick<Query, 'orderBy' | 'limit' | 'offset'>

function translateBody(body: QueryBody, context: QueryContext, tail: Tail): TranslatedQuery {
  if (body.kind === 'select') {
    const limit = limitSql(tail, context)
    const select = translateSelect(body, tail.orderBy, context, translator)
    return { ...select, sql: select.sql + limit }
  }
  const inner = body.kind === 'query' ? translateQuery(body.query, context) : setOperation(body, context)
  const bare = tail.orderBy.length === 0 && tail.limit === undefined
  return bare ? inner : withTail(inner, tail, context)
}

function withTail(inner: TranslatedQuery, tail: Tail, context: QueryContext): TranslatedQuery {
  const alias = context.env.fresh('q')
  const range = rangeOf(inner.columns, false, alias, undefined)
  const order = tail.orderBy.map((item) => orderOutput(item, range, context))
  const orderBy = order.length === 0 ? '' : ` ORDER BY ${order.join(', ')}`
  return { ...inner, sql: `SELECT * FROM (${inner.sql}) AS ${alias}${orderBy}${limitSql(tail, context)}` }
}

function orderOutput(item: OrderItem, range: Range, context: QueryContext): string {
  const { env, outer, surroundings } = context
  if (item.expr.kind === 'literal' && item.expr.type === 'INT64') {
    const column = range.columns[Number(item.expr.text) - 1]
    if (column === undefined) throw errorAt(`ORDER BY column number item is out of range`, item.at)
    return orderSql(column, item)
  }
  const scope = { ranges: [range], merged: [], ...(outer && { parent: outer }) }
  const clause = { name: 'ORDER BY clause', aggregates: false, windows: true }
  const value = translator.expression(item.expr, {
    env,
    scope,
    clause,
    grouping: newGrouping(),
    windows: new Map(),
    surroundings,
  })
  return orderSql(value, item)
}

function limitSql({ limit, offset }: Tail, context: QueryContext): string {
  const count = (expr: Expr | undefined, word: string): string => {
    if (expr === undefined) return ''
    const value = expr.kind === 'parameter' ? context.env.parameter(expr) : expr.kind === 'literal' ? expr : undefined
    const text = value === undefined ? undefined : 'sql' in value ? value.literal?.text : value.text
    if (text === undefined || !/^\d+$/.test(text))
      throw errorAt(`${word} expects a non-negative integer literal or parameter`, expr.at)
    return ` ${word} ${text}`
  }
  return count(limit, 'LIMIT') + count(offset, 'OFFSET')
}

const DUCK_OPERATOR = {
  'UNION ALL': 'UNION ALL',
  'UNION DISTINCT': 'UNION',
  'EXCEPT DISTINCT': 'EXCEPT',
  'INTERSECT DISTINCT': 'INTERSECT',
} as const

function setOperation(body: QueryBody & { kind: 'setOperation' }, context: QueryContext): TranslatedQuery {
  const arms = body.arms.map((arm) => translateBody(arm, context, { orderBy: [] }))
  const [first] = arms
  if (first === undefined) throw new Error('a set operation has arms')
  arms.forEach((arm, i) => {
    if (arm.columns.length === first.columns.length) return
    const counts = `query 1 has ${plural(first.columns.length)}, query ${i + 1} has ${plural(arm.columns.length)}`
    throw errorAt(`Queries in ${body.op} have mismatched column count; ${counts}`, body.arms[i]?.at ?? body.at)
  })
  const types = first.columns.map((_column, i) => commonType(arms, i, body.op, body.at))
  const texts = arms.map((arm) => armSql(arm, first, types, context, body.at))
  const columns = first.columns.map((column, i): Column => {
    const { literal: _literal, ...rest } = column
    return { ...rest, type: types[i]?.type ?? column.type }
  })
  return { sql: texts.map((text) => `(${text})`).join(` ${DUCK_OPERATOR[body.op]} `), columns, isValue: first.isValue }
}

function plural(columns: number): string {
  return `${columns} column${columns === 1 ? '' : 's'}`
}

function commonType(
  arms: readonly TranslatedQuery[],
  index: number,
  op: string,
  at: Position,
): { type: Typed['type'] } {
  const values = arms.map((arm) => outputOf(arm, index))
  const type = supertype(values)
  if (type !== undefined) return { type }
  const types = values.map((value) => typeText(value.type)).join(', ')
  throw errorAt(`Column ${index + 1} in ${op} has incompatible types: ${types}`, at)
}

function outputOf(arm: TranslatedQuery, index: number): Typed {
  const column = arm.columns[index]
  if (column === undefined) throw new Error('the arms have as many columns as the first')
  return column.literal === undefined
    ? { sql: column.sql, type: column.type }
    : { sql: column.sql, type: column.type, literal: column.literal }
}

/** An arm whose columns have the types and the names of the whole. */
function armSql(
  arm: TranslatedQuery,
  first: TranslatedQuery,
  types: { type: Typed['type'] }[],
  context: QueryContext,
  at: Position,
): string {
  const fits = arm.columns.every((column, i) => sameType(column.type, types[i]?.type ?? column.type))
  if (fits) return arm.sql
  const alias = context.env.fresh('a')
  const items = arm.columns.map((column, i) => {
    const value = outputOf(arm, i)
    const type = types[i]?.type ?? column.type
    const sql = sameType(value.type, type)
      ? `${alias}.${column.sql}`
      : coerce({ ...value, sql: `${alias}.${column.sql}` }, type, at).sql
    return `${sql} AS ${first.columns[i]?.sql ?? column.sql}`
  })
  return `SELECT ${items.join(', ')} FROM (${arm.sql}) AS ${alias}`
}

/** A NULL without a type becomes an INT64 where it leaves the statement. */
export function settleNulls(query: TranslatedQuery): TranslatedQuery {
  if (query.columns.every((column) => column.type.kind !== 'NULL')) return query
  const items = query.columns.map((column) =>
    column.type.kind === 'NULL' ? `CAST(${column.sql} AS ${duckTypeOf(column.type)}) AS ${column.sql}` : column.sql,
  )
  const columns = query.columns.map((column) =>
    column.type.kind === 'NULL' ? { ...column, type: scalar('INT64') } : column,
  )
  return { ...query, columns, sql: `SELECT ${items.join(', ')} FROM (${query.sql})` }
}
