import { errorAt } from '../errors.ts'
import type { Expr, From, GroupBy, JoinFrom, Query, QueryBody, Select, SelectItem, SetOperator } from './ast.ts'
import { ExpressionParser } from './expressions.ts'

/** Query syntax: https://cloud.google.com/bigquery/docs/reference/standard-sql/query-syntax */
export class QueryParser extends ExpressionParser {
  query(): Query {
    return this.nested(() => this.#query())
  }

  #query(): Query {
    const at = this.token.at
    const ctes = this.accept('WITH') ? this.#ctes() : []
    const query: Query = { ctes, body: this.#setOperations(), orderBy: [], at }
    if (this.accept('ORDER')) {
      this.expect('BY')
      query.orderBy = this.orderItems()
    }
    if (this.accept('LIMIT')) {
      query.limit = this.expression()
      if (this.accept('OFFSET')) query.offset = this.expression()
    }
    if (this.is('|>')) throw this.unsupported('pipe syntax')
    if (this.is('FOR')) throw this.unsupported('FOR SYSTEM_TIME AS OF')
    return query
  }

  #ctes(): Query['ctes'] {
    if (this.is('RECURSIVE')) throw this.unsupported('WITH RECURSIVE')
    return this.list(() => {
      const at = this.token.at
      const name = this.identifier()
      this.expect('AS')
      return { name, query: this.parenthesized(() => this.query()), at }
    })
  }

  #setOperations(): QueryBody {
    const first = this.#operand()
    const at = this.token.at
    const op = this.#setOperator()
    if (op === undefined) return first
    const arms = [first, this.#operand()]
    for (let next = this.#setOperator(); next !== undefined; next = this.#setOperator()) {
      if (next !== op) {
        const message =
          'Syntax error: Different set operations cannot be used in the same query without using parentheses for grouping'
        throw errorAt(message, this.token.at)
      }
      arms.push(this.#operand())
    }
    return { kind: 'setOperation', op, arms, at }
  }

  #setOperator(): SetOperator | undefined {
    const word = this.acceptOneOf('UNION', 'EXCEPT', 'INTERSECT')
    if (word === undefined) return undefined
    if (this.accept('DISTINCT')) return `${word} DISTINCT`
    if (word === 'UNION' && this.accept('ALL')) return 'UNION ALL'
    throw this.expected(word === 'UNION' ? 'keyword ALL or keyword DISTINCT' : 'keyword DISTINCT')
  }

  #operand(): QueryBody {
    const at = this.token.at
    if (this.is('(')) return { kind: 'query', query: this.parenthesized(() => this.query()), at }
    return this.#select()
  }

  #select(): Select {
    const at = this.token.at
    if (this.token.kind === 'end') throw this.unexpected()
    this.expect('SELECT')
    const distinct = this.acceptOneOf('DISTINCT', 'ALL') === 'DISTINCT'
    const select: Select = { kind: 'select', distinct, items: [], windows: [], at }
    if (this.accept('AS', 'STRUCT')) select.as = 'STRUCT'
    else if (this.accept('AS', 'VALUE')) select.as = 'VALUE'
    select.items = this.#selectItems()
    if (this.accept('FROM')) select.from = this.from()
    if (this.accept('WHERE')) select.where = this.expression()
    if (this.accept('GROUP')) select.groupBy = this.#groupBy()
    if (this.accept('HAVING')) select.having = this.expression()
    if (this.accept('QUALIFY')) select.qualify = this.expression()
    if (this.accept('WINDOW')) select.windows = this.list(() => this.#namedWindow())
    return select
  }

  #namedWindow(): Select['windows'][number] {
    const name = this.identifier()
    this.expect('AS')
    return { name, window: this.window() }
  }

  /** A comma after the last item is allowed. */
  #selectItems(): SelectItem[] {
    const items = [this.#selectItem()]
    while (this.accept(',')) {
      if (this.is('FROM') || this.is(')') || this.token.kind === 'end') break
      items.push(this.#selectItem())
    }
    return items
  }

  #selectItem(): SelectItem {
    const at = this.token.at
    if (this.accept('*')) return this.#star(at)
    const expr = this.expression()
    if (this.accept('.')) {
      this.expect('*')
      return this.#star(at, expr)
    }
    const alias = this.alias()
    return { kind: 'expr', expr, at, ...(alias !== undefined && { alias }) }
  }

  #star(at: Expr['at'], base?: Expr): SelectItem {
    const except = this.accept('EXCEPT') ? this.parenthesized(() => this.list(() => this.placedName())) : []
    const replace = this.accept('REPLACE') ? this.parenthesized(() => this.list(() => this.#replacement())) : []
    return { kind: 'star', except, replace, at, ...(base && { base }) }
  }

  #replacement(): { name: string; expr: Expr; at: Expr['at'] } {
    const expr = this.expression()
    this.expect('AS')
    const { name, at } = this.placedName()
    return { name, expr, at }
  }

  placedName(): { name: string; at: Expr['at'] } {
    const at = this.token.at
    return { name: this.identifier(), at }
  }

  #groupBy(): GroupBy {
    this.expect('BY')
    if (this.accept('ALL')) return { kind: 'all', items: [] }
    if (this.accept('ROLLUP'))
      return { kind: 'rollup', items: this.parenthesized(() => this.list(() => this.expression())) }
    if (this.is('GROUPING') || this.is('CUBE')) throw this.unsupported('GROUPING SETS and CUBE')
    return { kind: 'items', items: this.list(() => this.expression()) }
  }

  from(): From {
    let left = this.#joins(this.#fromItem())
    while (this.is(',')) {
      const { at } = this.advance()
      left = this.#joins({ kind: 'join', type: 'CROSS', left, right: this.#fromItem(), at })
    }
    return left
  }

  #joins(first: From): From {
    let left = first
    for (;;) {
      const at = this.token.at
      const type = this.#joinType()
      if (type === undefined) return left
      const join: JoinFrom = { kind: 'join', type, left, right: this.#fromItem(), at }
      if (this.accept('ON')) join.on = this.expression()
      else if (this.accept('USING')) join.using = this.parenthesized(() => this.list(() => this.placedName()))
      else this.#requireCondition(join)
      left = join
    }
  }

  /** INNER JOIN of an array needs no condition, nor does LEFT JOIN of one; everything else does. */
  #requireCondition(join: JoinFrom): void {
    const array = join.right.kind === 'unnest' || (join.right.kind === 'table' && join.right.path.length > 1)
    if (join.type === 'CROSS' || (array && (join.type === 'INNER' || join.type === 'LEFT'))) return
    throw errorAt(`Syntax error: ${join.type} JOIN must have an immediately following ON or USING clause`, join.at)
  }

  #joinType(): JoinFrom['type'] | undefined {
    if (this.is('NATURAL')) throw this.unsupported('NATURAL JOIN')
    if (this.accept('JOIN') || this.accept('INNER', 'JOIN')) return 'INNER'
    if (this.accept('CROSS', 'JOIN')) return 'CROSS'
    for (const side of ['LEFT', 'RIGHT', 'FULL'] as const) {
      if (this.accept(side, 'JOIN') || this.accept(side, 'OUTER', 'JOIN')) return side
    }
    return undefined
  }

  #fromItem(): From {
    const at = this.token.at
    if (this.is('UNNEST')) return this.#unnest()
    if (!this.is('(')) return this.#table()
    if (!this.startsQuery()) return this.parenthesized(() => this.from())
    const query = this.parenthesized(() => this.query())
    this.#refuseModifiers()
    const alias = this.alias()
    return { kind: 'query', query, at, ...(alias !== undefined && { alias }) }
  }

  #unnest(): From {
    const { at } = this.advance()
    const array = this.parenthesized(() => this.expression())
    return { kind: 'unnest', array, at, ...this.#aliasAndOffset() }
  }

  #aliasAndOffset(): { alias?: string; offset?: string } {
    const alias = this.alias()
    const offset = this.accept('WITH', 'OFFSET') ? (this.alias() ?? 'offset') : undefined
    return { ...(alias !== undefined && { alias }), ...(offset !== undefined && { offset }) }
  }

  #table(): From {
    const at = this.token.at
    const path = this.path()
    if (this.is('(')) throw this.unsupported('table functions')
    this.#refuseModifiers()
    return { kind: 'table', path, at, ...this.#aliasAndOffset() }
  }

  #refuseModifiers(): void {
    if (this.is('FOR')) throw this.unsupported('FOR SYSTEM_TIME AS OF')
    if (this.is('TABLESAMPLE')) throw this.unsupported('TABLESAMPLE')
    const pivot = this.is('PIVOT') || this.is('UNPIVOT') || this.is('MATCH_RECOGNIZE')
    if (pivot && this.peek(1).text === '(') throw this.unsupported(this.token.upper)
  }

  /** A table path: parts may be quoted together, and the project may have dashes without quotes. */
  path(): string[] {
    const parts = this.#pathPart(true)
    while (this.accept('.')) parts.push(...this.#pathPart(false))
    return parts
  }

  #pathPart(first: boolean): string[] {
    if (this.token.kind === 'quoted') return this.advance().text.split('.')
    const token = this.token
    if (first) this.identifier()
    else if (token.kind === 'name' || token.kind === 'integer') this.advance()
    else throw this.unexpected()
    let text = token.text
    let end = token.end
    while (this.is('-') && this.token.start === end && this.peek(1).start === end + 1 && this.peek(1).kind !== 'end') {
      this.advance()
      const part = this.advance()
      text += `-${part.text}`
      end = part.end
    }
    return [text]
  }
}
