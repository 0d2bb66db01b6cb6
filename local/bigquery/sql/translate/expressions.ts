import { quoteIdentifier } from '../../types.ts'
import { errorAt, type Position } from '../errors.ts'
import { callFunction } from '../functions/index.ts'
import { intervalOf, extract } from '../functions/date-parts.ts'
import type { Expr } from '../parse/ast.ts'
import { arraySql, cast, coerce, raise } from './casts.ts'
import type { Context, Translator } from './context.ts'
import { literalAt, quote } from './literals.ts'
import { binary, compare, logical, noSignature, requireComparable, unary, unify } from './operators.ts'
import { resolvePath } from './paths.ts'
import {
  arrayOf,
  BOOL,
  coercible,
  fieldName,
  INT64,
  NULL_TYPE,
  type SqlType,
  type StructType,
  supertype,
  type Typed,
  typeOfName,
  typeText,
} from './types.ts'

/** Translates one expression. Throws BigQuery's errors with the place. */
export function translateExpression(expr: Expr, context: Context, translator: Translator): Typed {
  const { grouping } = context
  const mark = grouping.loose.length
  const typed = new Expressions(context, translator).translate(expr)
  // A grouping expression may be used as a whole, whatever columns are in it.
  if (grouping.keys.has(typed.sql)) grouping.loose.length = mark
  return typed
}

type Of<K extends Expr['kind']> = Extract<Expr, { kind: K }>

class Expressions {
  readonly #context: Context
  readonly #translator: Translator

  constructor(context: Context, translator: Translator) {
    this.#context = context
    this.#translator = translator
  }

  #expr(expr: Expr): Typed {
    return translateExpression(expr, this.#context, this.#translator)
  }

  translate(expr: Expr): Typed {
    switch (expr.kind) {
      case 'literal':
        return literalOf(expr)
      case 'typedLiteral':
        return typedLiteral(expr)
      case 'parameter':
        return this.#context.env.parameter(expr)
      case 'name':
      case 'field':
        return resolvePath(expr, this.#context, (base) => this.#expr(base))
      case 'index':
        return this.#index(expr)
      case 'call':
        return callFunction(expr, this.#context, this.#translator)
      case 'unary':
        return unary(expr.op, this.#expr(expr.operand), expr.at)
      case 'binary':
        if (expr.op === 'AND' || expr.op === 'OR') return this.#chain(expr, expr.op)
        return binary(expr.op, this.#expr(expr.left), this.#expr(expr.right), expr.at)
      case 'between':
        return this.#between(expr)
      case 'in':
        return this.#in(expr)
      case 'like':
        return this.#like(expr)
      case 'is':
        return this.#is(expr)
      case 'case':
        return this.#case(expr)
      case 'cast':
        return cast(this.#expr(expr.operand), typeOfName(expr.type), expr.safe, expr.at)
      case 'extract':
        return extract(expr, (inner) => this.#expr(inner))
      case 'array':
        return this.#array(expr)
      case 'struct':
        return this.#struct(expr)
      case 'interval':
        return intervalOf(expr, (inner) => this.#expr(inner))
      case 'subquery':
        return this.#subquery(expr)
      case 'default':
        throw errorAt('Unexpected keyword DEFAULT', expr.at)
    }
  }

  /** `a OR b OR c ...` in one list: programs write them by the thousand, deeper than a stack or DuckDB nests. */
  #chain(expr: Of<'binary'>, op: 'AND' | 'OR'): Typed {
    const operands: { operand: Expr; at: Position }[] = []
    let rest: Expr = expr
    for (; rest.kind === 'binary' && rest.op === op; rest = rest.left)
      operands.push({ operand: rest.right, at: rest.at })
    const first = this.#expr(rest)
    const values = operands.reverse().map(({ operand, at }) => {
      const value = this.#expr(operand)
      logical(op, first, value, at)
      return value.sql
    })
    return { sql: `(${[first.sql, ...values].join(` ${op} `)})`, type: BOOL }
  }

  #between(expr: Of<'between'>): Typed {
    const parts = [this.#expr(expr.operand), this.#expr(expr.low), this.#expr(expr.high)]
    const all = unify(parts, expr.at)
    if (all === undefined) throw noSignature('operator', 'BETWEEN', parts, expr.at)
    requireComparable(all.type, false, expr.at)
    const [value, low, high] = all.values
    return { sql: `(${value?.sql} ${expr.not ? 'NOT ' : ''}BETWEEN ${low?.sql} AND ${high?.sql})`, type: BOOL }
  }

  #in(expr: Of<'in'>): Typed {
    const operand = this.#expr(expr.operand)
    if (expr.query !== undefined) return this.#inQuery(operand, expr)
    if (expr.array !== undefined) return this.#inArray(operand, this.#expr(expr.array), expr)
    const parts = [operand, ...(expr.list ?? []).map((item) => this.#expr(item))]
    const all = unify(parts, expr.at)
    if (all === undefined) throw noSignature('operator', 'IN', parts, expr.at)
    requireComparable(all.type, true, expr.at)
    const [value, ...list] = all.values
    return { sql: `(${value?.sql} ${not(expr)}IN (${list.map((item) => item.sql).join(', ')}))`, type: BOOL }
  }

  #inQuery(operand: Typed, expr: Of<'in'>): Typed {
    const { sql, type } = this.#singleColumn(expr)
    if (!coercible(operand, type)) throw noSignature('operator', 'IN', [operand, { sql, type }], expr.at)
    return { sql: `(${coerce(operand, type, expr.at).sql} ${not(expr)}IN (${sql}))`, type: BOOL }
  }

  #singleColumn(expr: Of<'in'> | Of<'subquery'>): Typed {
    const { env, scope, surroundings } = this.#context
    if (expr.query === undefined) throw new Error('the caller has checked that there is a query')
    const query = this.#translator.query(expr.query, { env, outer: scope, surroundings })
    const [column] = query.columns
    if (query.columns.length === 1 && column !== undefined) return { sql: query.sql, type: column.type }
    const what = expr.kind === 'in' ? 'Subquery of type IN must have only one output column' : manyColumns(expr.form)
    throw errorAt(what, expr.at)
  }

  /** True, false, or NULL when it is not among the elements but one of them (or the operand) is NULL. */
  #inArray(operand: Typed, array: Typed, expr: Of<'in'>): Typed {
    if (array.type.kind !== 'ARRAY')
      throw errorAt(
        `Values referenced in UNNEST must be arrays. UNNEST contains expression of type ${typeText(array.type)}`,
        expr.at,
      )
    const element: Typed = { sql: 'NULL', type: array.type.element }
    const type = supertype([operand, element])
    if (type === undefined) throw noSignature('operator', 'IN UNNEST', [operand, array], expr.at)
    const { sql: value } = coerce(operand, type, expr.at)
    const { sql: list, items } = coerce(array, arrayOf(type), expr.at)
    // A list of values, such as a parameter, is looked up faster as such.
    if (items !== undefined && items.length > 0) {
      return { sql: `(${value} ${not(expr)}IN (${items.map((item) => item.sql).join(', ')}))`, type: BOOL }
    }
    const unknown = `(${value} IS NULL AND len(${list}) > 0) OR len(${list}) > list_count(${list})`
    const found = `CASE WHEN list_contains(${list}, ${value}) THEN TRUE WHEN ${unknown} THEN NULL ELSE FALSE END`
    return { sql: expr.not ? `(NOT (${found}))` : `(${found})`, type: BOOL }
  }

  #like(expr: Of<'like'>): Typed {
    const operand = this.#expr(expr.operand)
    const one = (pattern: Expr): string => {
      const typed = this.#expr(pattern)
      const texts = coercible(operand, { kind: 'STRING' }) && coercible(typed, { kind: 'STRING' })
      if (!texts) throw noSignature('operator', 'LIKE', [operand, typed], expr.at)
      // A pattern without backslash needs no escape, and DuckDB is faster without.
      const escape = typed.literal !== undefined && !typed.literal.text.includes('\\') ? '' : " ESCAPE '\\'"
      return `(${operand.sql} ${not(expr)}LIKE ${typed.sql}${escape})`
    }
    if (expr.pattern !== undefined) return { sql: one(expr.pattern), type: BOOL }
    // NOT LIKE ANY (a, b) holds when NOT (LIKE ANY (a, b)): for the negated form each side is negated too.
    const glue = (expr.quantifier === 'ANY') === !expr.not ? ' OR ' : ' AND '
    return { sql: `(${(expr.patterns ?? []).map(one).join(glue)})`, type: BOOL }
  }

  #is(expr: Of<'is'>): Typed {
    const operand = this.#expr(expr.operand)
    if (expr.what !== 'NULL' && operand.type.kind !== 'BOOL' && operand.type.kind !== 'NULL') {
      throw noSignature('operator', `IS ${expr.what}`, [operand], expr.at)
    }
    return { sql: `(${operand.sql} IS ${expr.not ? 'NOT ' : ''}${expr.what})`, type: BOOL }
  }

  #case(expr: Of<'case'>): Typed {
    const operand = expr.operand && this.#expr(expr.operand)
    const conditions = expr.whens.map(({ when }) => {
      const condition = this.#expr(when)
      if (operand !== undefined) return compare('=', operand, condition, when.at).sql
      if (condition.type.kind === 'BOOL' || condition.type.kind === 'NULL') return condition.sql
      throw errorAt(`CASE WHEN condition should return type BOOL, but returns ${typeText(condition.type)}`, when.at)
    })
    const results = expr.whens.map(({ then }) => this.#expr(then))
    if (expr.otherwise !== undefined) results.push(this.#expr(expr.otherwise))
    const all = unify(results, expr.at)
    if (all === undefined) throw noSignature('operator', 'CASE', results, expr.at)
    const branches = conditions.map((condition, i) => `WHEN ${condition} THEN ${all.values[i]?.sql}`)
    const otherwise = expr.otherwise === undefined ? '' : ` ELSE ${all.values.at(-1)?.sql}`
    return { sql: `(CASE ${branches.join(' ')}${otherwise} END)`, type: all.type }
  }

  #index(expr: Of<'index'>): Typed {
    const base = this.#expr(expr.base)
    const index = this.#expr(expr.index)
    if (base.type.kind === 'JSON' && expr.mode === 'PLAIN') return jsonElement(base, index, expr.at)
    if (base.type.kind !== 'ARRAY') {
      throw errorAt(
        `Element access using [${expr.mode === 'PLAIN' ? '' : `${expr.mode}()`}] is not supported on values of type ${typeText(base.type)}`,
        expr.at,
      )
    }
    if (index.type.kind !== 'INT64')
      throw errorAt(
        `Array position in [] must be coercible to INT64 type, but has type ${typeText(index.type)}`,
        expr.at,
      )
    const ordinal = expr.mode.endsWith('ORDINAL')
    const position = ordinal ? index.sql : `(${index.sql} + 1)`
    const type = base.type.element
    const safe = expr.mode.startsWith('SAFE')
    const outside = raise(`'Array index ' || ${index.sql} || ' is out of bounds'`, safe)
    const inside = `${position} BETWEEN 1 AND len(${base.sql})`
    const missing = safe ? '' : ` WHEN ${base.sql} IS NOT NULL AND ${index.sql} IS NOT NULL THEN ${outside}`
    return { sql: `(CASE WHEN ${inside} THEN ${base.sql}[${position}]${missing} END)`, type }
  }

  #array(expr: Of<'array'>): Typed {
    const items = expr.items.map((item) => this.#expr(item))
    const declared = expr.type && typeOfName(expr.type)
    const element = declared ?? (items.length === 0 ? INT64 : supertype(items))
    if (element === undefined) throw errorAt('Array elements have incompatible types', expr.at)
    if (element.kind === 'ARRAY')
      throw errorAt('Cannot construct array with element type ARRAY because nested arrays are not supported', expr.at)
    const coerced = items.map((item) => coerce(item, element, expr.at))
    const type = arrayOf(items.length === 0 && declared === undefined ? NULL_TYPE : element)
    return { sql: arraySql(coerced, arrayOf(element)), type, items: coerced }
  }

  #struct(expr: Of<'struct'>): Typed {
    const declared = expr.type && (typeOfName(expr.type) as StructType)
    const items = expr.items.map(({ value }, i) => {
      const typed = this.#expr(value)
      const wanted = declared?.fields[i]?.type
      return wanted === undefined ? typed : coerce(typed, wanted, value.at)
    })
    if (declared !== undefined && declared.fields.length !== items.length) {
      throw errorAt(
        `STRUCT type has ${declared.fields.length} fields but constructor call has ${items.length} fields`,
        expr.at,
      )
    }
    const type = declared ?? structType(expr.items, items)
    if (items.length === 0) throw errorAt('Not supported by the local BigQuery: a STRUCT without fields', expr.at)
    const parts = items.map((item, i) => `${quoteIdentifier(fieldName(type.fields[i] ?? {}, i))} := ${item.sql}`)
    return { sql: `struct_pack(${parts.join(', ')})`, type, items }
  }

  #subquery(expr: Of<'subquery'>): Typed {
    const { env, scope, surroundings } = this.#context
    if (expr.form === 'exists') {
      const query = this.#translator.query(expr.query, { env, outer: scope, surroundings })
      return { sql: `EXISTS (${query.sql})`, type: BOOL }
    }
    const { sql, type } = this.#singleColumn(expr)
    return expr.form === 'array' ? { sql: `ARRAY(${sql})`, type: arrayOf(type) } : { sql: `(${sql})`, type }
  }
}

function not(expr: { not: boolean }): string {
  return expr.not ? 'NOT ' : ''
}

function manyColumns(form: string): string {
  const name = form === 'array' ? 'ARRAY subquery' : 'Scalar subquery'
  return `${name} cannot have more than one column unless using SELECT AS STRUCT to build STRUCT values`
}

function structType(items: readonly { name?: string }[], values: readonly Typed[]): SqlType & StructType {
  return {
    kind: 'STRUCT',
    fields: values.map(({ type }, i) => ({ ...(items[i]?.name !== undefined && { name: items[i].name }), type })),
  }
}

function jsonElement(base: Typed, index: Typed, at: Position): Typed {
  if (index.type.kind === 'INT64')
    return { sql: `json_extract(${base.sql}, '$[' || ${index.sql} || ']')`, type: base.type }
  if (index.literal?.kind === 'STRING') {
    return {
      sql: `json_extract(${base.sql}, ${quote(`$."${index.literal.text.replaceAll('"', '\\"')}"`)})`,
      type: base.type,
    }
  }
  throw errorAt('JSON subscript must be an INT64 or a STRING literal', at)
}

function literalOf(expr: Of<'literal'>): Typed {
  if (expr.type === 'NULL') return { sql: 'NULL', type: NULL_TYPE, literal: { kind: 'NULL', text: 'NULL' } }
  if (expr.type !== 'INT64') return literalAt(expr.type, expr.text, expr.at)
  try {
    return literalAt('INT64', expr.text, expr.at)
  } catch {
    throw errorAt(`Invalid integer literal: ${expr.text}`, expr.at)
  }
}

function typedLiteral(expr: Of<'typedLiteral'>): Typed {
  const kind = expr.type === 'DECIMAL' ? 'NUMERIC' : expr.type === 'BIGDECIMAL' ? 'BIGNUMERIC' : expr.type
  try {
    return literalAt(kind as 'DATE', expr.text, expr.at)
  } catch {
    throw errorAt(`Invalid ${expr.type} literal`, expr.at)
  }
}
