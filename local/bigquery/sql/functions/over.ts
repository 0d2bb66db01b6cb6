import { errorAt } from '../errors.ts'
import type { CallExpr, FrameBound, OrderItem, Window } from '../parse/ast.ts'
import type { Context, Translator } from '../translate/context.ts'
import { orderSql } from '../translate/ordering.ts'
import { noSignature, requireComparable } from '../translate/operators.ts'
import { coercible, type SqlType, type Typed } from '../translate/types.ts'
import { coerce } from '../translate/casts.ts'

/** The arguments of an aggregate or window function: no aliases of the SELECT list, nothing nested that may not be. */
export class Arguments {
  readonly node: CallExpr
  readonly #context: Context
  readonly #translator: Translator

  constructor(node: CallExpr, context: Context, translator: Translator) {
    const { aliases: _aliases, ...rest } = context
    const plain = node.over === undefined
    const clause = plain
      ? { name: 'an aggregate function', aggregates: false, windows: false }
      : { name: 'an analytic function', aggregates: context.clause.aggregates, windows: false }
    this.node = node
    this.#context = { ...rest, clause }
    this.#translator = translator
  }

  get(index: number): Typed {
    const arg = this.node.args[index]
    if (arg === undefined) throw this.noSignature()
    return this.#translator.expression(arg, this.#context)
  }

  /** An argument of a type; refused when it is missing or another. */
  typed(index: number, type: SqlType): Typed {
    const value = this.get(index)
    if (!coercible(value, type)) throw this.noSignature()
    return coerce(value, type, this.node.at)
  }

  having(): { most: 'MAX' | 'MIN'; by: Typed } | undefined {
    const { having } = this.node
    return having && { most: having.most, by: this.#translator.expression(having.by, this.#context) }
  }

  count(min: number, max = min): void {
    const { length } = this.node.args
    if (length < min || length > max || this.node.star) throw this.noSignature()
  }

  noSignature(): Error {
    return noSignature(
      'function',
      this.node.name,
      this.node.args.map((_arg, i) => this.get(i)),
      this.node.at,
    )
  }

  /** The text of a number that must be a literal or a parameter. */
  integer(index: number): number {
    const { literal } = this.get(index)
    if (literal?.kind !== 'INT64')
      throw errorAt(
        `Argument ${index + 1} to ${this.node.name} must be an integer literal or query parameter`,
        this.node.at,
      )
    return Number(literal.text)
  }

  /** ` ORDER BY ...` inside the call, or nothing. */
  get orderBy(): string {
    return orderBySql(this.node.orderBy, this.#context, this.#translator)
  }

  get limit(): number | undefined {
    const { limit } = this.node
    if (limit === undefined) return undefined
    const { literal } = this.#translator.expression(limit, this.#context)
    if (literal?.kind !== 'INT64') throw errorAt('LIMIT expects a non-negative integer literal or parameter', limit.at)
    return Number(literal.text)
  }

  /** ` OVER (...)`, or nothing. */
  get over(): string {
    const { over } = this.node
    return over === undefined ? '' : ` OVER (${windowSql(over, this.#context, this.#translator)})`
  }
}

function orderBySql(items: readonly OrderItem[], context: Context, translator: Translator): string {
  if (items.length === 0) return ''
  return ` ORDER BY ${items.map((item) => orderSql(translator.expression(item.expr, context), item)).join(', ')}`
}

/** A window after the named ones have been put in. */
export function completeWindow(window: Window, context: Context): Window {
  if (window.base === undefined) return window
  const named = context.windows.get(window.base.toLowerCase())
  if (named === undefined) throw errorAt(`Unrecognized window alias ${window.base}`, window.at)
  const base = completeWindow(named, context)
  const frame = window.frame ?? base.frame
  const { partitionBy } = base
  const orderBy = window.orderBy.length > 0 ? window.orderBy : base.orderBy
  return { partitionBy, orderBy, at: window.at, ...(frame && { frame }) }
}

function windowSql(window: Window, context: Context, translator: Translator): string {
  const { partitionBy, orderBy, frame } = completeWindow(window, context)
  const partitions = partitionBy.map((expr) => {
    const value = translator.expression(expr, context)
    requireComparable(value.type, true, expr.at)
    return value.sql
  })
  const parts: string[] = []
  if (partitions.length > 0) parts.push(`PARTITION BY ${partitions.join(', ')}`)
  parts.push(orderBySql(orderBy, context, translator).trim())
  if (frame !== undefined) {
    const bound = (end: FrameBound) =>
      'offset' in end ? `${translator.expression(end.offset, context).sql} ${end.kind}` : end.kind
    parts.push(`${frame.unit} BETWEEN ${bound(frame.start)} AND ${bound(frame.end)}`)
  }
  return parts.filter((part) => part !== '').join(' ')
}
