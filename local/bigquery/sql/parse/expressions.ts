import { errorAt } from '../errors.ts'
import type { CallExpr, Expr, FrameBound, IndexMode, OrderItem, Query, Window } from './ast.ts'
import { type Cursor, RESERVED } from './cursor.ts'
import { TypeParser } from './types.ts'

/** Binary operators by how tightly they bind. https://cloud.google.com/bigquery/docs/reference/standard-sql/operators */
const BINARY: readonly (readonly string[])[] = [['|'], ['^'], ['&'], ['<<', '>>'], ['+', '-'], ['*', '/', '||']]
const COMPARISONS = ['=', '!=', '<>', '<=', '>=', '<', '>']
const LITERAL_TYPES = new Set([
  'DATE',
  'DATETIME',
  'TIME',
  'TIMESTAMP',
  'NUMERIC',
  'BIGNUMERIC',
  'DECIMAL',
  'BIGDECIMAL',
  'JSON',
])
const INDEX_MODES = new Set(['OFFSET', 'ORDINAL', 'SAFE_OFFSET', 'SAFE_ORDINAL'])
/** Reserved words that are functions when a parenthesis follows. */
const RESERVED_FUNCTIONS = new Set(['IF', 'LEFT', 'RIGHT', 'GROUPING'])
/** Functions that are called without parentheses too. */
const BARE_FUNCTIONS = new Set(['CURRENT_DATE', 'CURRENT_TIME', 'CURRENT_DATETIME', 'CURRENT_TIMESTAMP'])

/** Expressions; queries inside of them are the subclass's. */
export abstract class ExpressionParser extends TypeParser {
  #positional = 0

  abstract query(): Query

  expression(): Expr {
    return this.nested(() => this.#or())
  }

  #or(): Expr {
    let left = this.#and()
    while (this.is('OR')) {
      const { at } = this.advance()
      left = { kind: 'binary', op: 'OR', left, right: this.#and(), at }
    }
    return left
  }

  #and(): Expr {
    let left = this.#not()
    while (this.is('AND')) {
      const { at } = this.advance()
      left = { kind: 'binary', op: 'AND', left, right: this.#not(), at }
    }
    return left
  }

  #not(): Expr {
    if (!this.is('NOT')) return this.#comparison()
    const { at } = this.advance()
    return { kind: 'unary', op: 'NOT', operand: this.nested(() => this.#not()), at }
  }

  #comparison(): Expr {
    const left = this.#binary(0)
    const at = this.token.at
    const op = this.acceptOneOf(...COMPARISONS)
    if (op !== undefined) return { kind: 'binary', op: op === '<>' ? '!=' : op, left, right: this.#binary(0), at }
    if (this.accept('IS')) return this.#is(left, at)
    const not = this.is('NOT') && ['IN', 'LIKE', 'BETWEEN'].includes(this.peek(1).upper)
    if (not) this.advance()
    if (this.accept('BETWEEN')) {
      const low = this.#binary(0)
      this.expect('AND')
      return { kind: 'between', operand: left, low, high: this.#binary(0), not, at }
    }
    if (this.accept('IN')) return this.#in(left, not, at)
    if (this.accept('LIKE')) return this.#like(left, not, at)
    return left
  }

  #is(operand: Expr, at: Expr['at']): Expr {
    const not = this.accept('NOT')
    if (this.accept('DISTINCT', 'FROM')) {
      return {
        kind: 'binary',
        op: not ? 'IS NOT DISTINCT FROM' : 'IS DISTINCT FROM',
        left: operand,
        right: this.#binary(0),
        at,
      }
    }
    const what = this.acceptOneOf('NULL', 'TRUE', 'FALSE')
    if (what === undefined) throw this.unexpected()
    return { kind: 'is', operand, not, what, at }
  }

  #in(operand: Expr, not: boolean, at: Expr['at']): Expr {
    if (this.accept('UNNEST'))
      return { kind: 'in', operand, not, array: this.parenthesized(() => this.expression()), at }
    return this.parenthesized((): Expr => {
      if (this.startsQuery()) return { kind: 'in', operand, not, query: this.query(), at }
      return { kind: 'in', operand, not, list: this.list(() => this.expression()), at }
    })
  }

  #like(operand: Expr, not: boolean, at: Expr['at']): Expr {
    const quantifier = this.acceptOneOf('ANY', 'SOME', 'ALL')
    if (quantifier === undefined) return { kind: 'like', operand, not, pattern: this.#binary(0), at }
    const patterns = this.parenthesized(() => this.list(() => this.expression()))
    return { kind: 'like', operand, not, patterns, quantifier: quantifier === 'ALL' ? 'ALL' : 'ANY', at }
  }

  #binary(level: number): Expr {
    const operators = BINARY[level]
    if (operators === undefined) return this.#unary()
    let left = this.#binary(level + 1)
    for (;;) {
      const at = this.token.at
      const op = this.acceptOneOf(...operators)
      if (op === undefined) return left
      left = { kind: 'binary', op, left, right: this.#binary(level + 1), at }
    }
  }

  #unary(): Expr {
    const at = this.token.at
    const op = this.acceptOneOf('-', '+', '~')
    if (op === undefined) return this.#postfix(this.#primary())
    const operand = this.nested(() => this.#unary())
    // The minus belongs to the number: the smallest INT64 has no positive counterpart.
    const number = op === '-' && operand.kind === 'literal' && /^[0-9.]/.test(operand.text) && isNumber(operand.type)
    return number ? { ...operand, text: `-${operand.text}`, at } : { kind: 'unary', op, operand, at }
  }

  #postfix(start: Expr): Expr {
    let base = start
    for (;;) {
      const at = this.token.at
      if (this.accept('[')) base = this.#index(base, at)
      else if (this.is('.') && !matchesStar(this)) base = this.#member(base)
      else return base
    }
  }

  #index(base: Expr, at: Expr['at']): Expr {
    const word = this.token.upper
    let mode: IndexMode = 'PLAIN'
    if (INDEX_MODES.has(word) && this.peek(1).text === '(') {
      this.advance()
      mode = word as IndexMode
    }
    const index = mode === 'PLAIN' ? this.expression() : this.parenthesized(() => this.expression())
    this.expect(']')
    return { kind: 'index', base, index, mode, at }
  }

  /** After a dot every word is a name. A dotted name before a parenthesis is a function: SAFE.X, NET.HOST. */
  #member(base: Expr): Expr {
    this.expect('.')
    if (this.token.kind !== 'name' && this.token.kind !== 'quoted') throw this.unexpected()
    const token = this.advance()
    if (this.is('(') && base.kind === 'name') {
      const prefix = base.name.toUpperCase()
      if (prefix === 'SAFE') return this.#call(token.text.toUpperCase(), base.at, true)
      return this.#call(`${prefix}.${token.text.toUpperCase()}`, base.at, false)
    }
    return { kind: 'field', base, name: token.text, at: token.at }
  }

  #primary(): Expr {
    const { kind, text, at } = this.token
    switch (kind) {
      case 'integer':
        this.advance()
        return { kind: 'literal', type: 'INT64', text, at }
      case 'float':
        this.advance()
        return { kind: 'literal', type: 'FLOAT64', text, at }
      case 'string':
        this.advance()
        return { kind: 'literal', type: 'STRING', text: text + this.#adjacent('string'), at }
      case 'bytes':
        this.advance()
        return { kind: 'literal', type: 'BYTES', text: text + this.#adjacent('bytes'), at }
      case 'parameter':
        this.advance()
        return { kind: 'parameter', name: text, at }
      case 'symbol':
        return this.#symbolic()
      case 'quoted':
        this.advance()
        return { kind: 'name', name: text, at }
      case 'name':
        return this.#word()
      case 'end':
        throw this.unexpected()
    }
  }

  #adjacent(kind: 'string' | 'bytes'): string {
    if (this.token.kind === kind)
      throw errorAt('Syntax error: Expected end of input but got string literal', this.token.at)
    return ''
  }

  #symbolic(): Expr {
    const at = this.token.at
    if (this.accept('?')) return { kind: 'parameter', index: this.#positional++, at }
    if (this.accept('[')) return { kind: 'array', items: this.#items(), at }
    if (!this.accept('(')) throw this.unexpected()
    const query = this.#parenthesizedQuery()
    if (query !== undefined) return { kind: 'subquery', form: 'scalar', query, at }
    const items = this.list(() => this.expression())
    this.expect(')')
    const [only] = items
    if (items.length === 1 && only !== undefined) return only
    return { kind: 'struct', items: items.map((value) => ({ value })), at }
  }

  /** What begins `((SELECT` may be a query, or an expression that begins with one: `((SELECT 1) + 1)`. */
  #parenthesizedQuery(): Query | undefined {
    if (!this.startsQuery()) return undefined
    const certain = !this.is('(')
    const read = () => {
      const query = this.query()
      this.expect(')')
      return query
    }
    return certain ? read() : this.attempt(read)
  }

  #items(): Expr[] {
    if (this.accept(']')) return []
    const items = this.list(() => this.expression())
    this.expect(']')
    return items
  }

  #word(): Expr {
    const { upper, at, text } = this.token
    const special = this.#special(upper, at)
    if (special !== undefined) return special
    const callable = !RESERVED.has(upper) || RESERVED_FUNCTIONS.has(upper)
    if (callable && this.peek(1).text === '(' && this.peek(1).kind === 'symbol') {
      this.advance()
      return this.#call(upper, at, false)
    }
    if (RESERVED.has(upper)) throw this.unexpected()
    this.advance()
    if (LITERAL_TYPES.has(upper) && this.token.kind === 'string') {
      return { kind: 'typedLiteral', type: upper, text: this.advance().text, at }
    }
    if (BARE_FUNCTIONS.has(upper)) return emptyCall(upper, at)
    return { kind: 'name', name: text, at }
  }

  #special(upper: string, at: Expr['at']): Expr | undefined {
    switch (upper) {
      case 'NULL':
        this.advance()
        return { kind: 'literal', type: 'NULL', text: 'NULL', at }
      case 'TRUE':
      case 'FALSE':
        this.advance()
        return { kind: 'literal', type: 'BOOL', text: upper, at }
      case 'DEFAULT':
        this.advance()
        return { kind: 'default', at }
      case 'CASE':
        return this.#case()
      case 'CAST':
      case 'SAFE_CAST':
        return this.peek(1).text === '(' ? this.#cast(upper === 'SAFE_CAST') : undefined
      case 'EXTRACT':
        return this.#extract()
      case 'INTERVAL':
        return this.#interval()
      case 'ARRAY':
        return this.#array()
      case 'STRUCT':
        return this.#struct()
      case 'EXISTS':
        this.advance()
        return { kind: 'subquery', form: 'exists', query: this.parenthesized(() => this.query()), at }
      default:
        return undefined
    }
  }

  #case(): Expr {
    const { at } = this.advance()
    const operand = this.is('WHEN') ? undefined : this.expression()
    const whens: { when: Expr; then: Expr }[] = []
    while (this.accept('WHEN')) {
      const when = this.expression()
      this.expect('THEN')
      whens.push({ when, then: this.expression() })
    }
    if (whens.length === 0) throw this.expected('keyword WHEN')
    const otherwise = this.accept('ELSE') ? this.expression() : undefined
    this.expect('END')
    return { kind: 'case', whens, at, ...(operand && { operand }), ...(otherwise && { otherwise }) }
  }

  #cast(safe: boolean): Expr {
    const { at } = this.advance()
    return this.parenthesized((): Expr => {
      const operand = this.expression()
      this.expect('AS')
      const type = this.type()
      if (this.is('FORMAT')) throw this.unsupported('CAST with FORMAT')
      return { kind: 'cast', operand, type, safe, at }
    })
  }

  #extract(): Expr {
    const { at } = this.advance()
    return this.parenthesized((): Expr => {
      const part = this.#postfix(this.#primary())
      this.expect('FROM')
      const operand = this.expression()
      if (!this.accept('AT')) return { kind: 'extract', part, operand, at }
      this.expect('TIME', 'ZONE')
      return { kind: 'extract', part, operand, zone: this.expression(), at }
    })
  }

  #interval(): Expr {
    const { at } = this.advance()
    const value = this.#binary(4)
    const unit = this.identifier().toUpperCase()
    if (!this.accept('TO')) return { kind: 'interval', value, unit, at }
    return { kind: 'interval', value, unit, toUnit: this.identifier().toUpperCase(), at }
  }

  #array(): Expr {
    const { at } = this.advance()
    if (this.is('(')) return { kind: 'subquery', form: 'array', query: this.parenthesized(() => this.query()), at }
    const type = this.is('<') ? this.angleElement() : undefined
    this.expect('[')
    return { kind: 'array', items: this.#items(), at, ...(type && { type }) }
  }

  #struct(): Expr {
    const at = this.token.at
    const typed = this.peek(1).text === '<'
    const type = typed ? this.type() : undefined
    if (!typed) this.advance()
    const items = this.parenthesized(() => (this.is(')') ? [] : this.list(() => this.#structItem())))
    return { kind: 'struct', items, at, ...(type && { type }) }
  }

  #structItem(): { name?: string; value: Expr } {
    const value = this.expression()
    if (this.accept('AS')) return { name: this.identifier(), value }
    const implied = value.kind === 'name' || value.kind === 'field' ? value.name : undefined
    return implied === undefined ? { value } : { name: implied, value }
  }

  #call(name: string, at: Expr['at'], safe: boolean): Expr {
    const call: CallExpr = { ...emptyCall(name, at), safe }
    this.expect('(')
    if (this.accept('*')) call.star = true
    else if (!this.is(')')) this.#arguments(call)
    this.#modifiers(call)
    this.expect(')')
    if (this.accept('OVER')) call.over = this.#over()
    return call
  }

  #arguments(call: CallExpr): void {
    call.distinct = this.accept('DISTINCT')
    do {
      if (this.isIdentifier() && this.peek(1).text === '=>') {
        const name = this.identifier()
        this.expect('=>')
        call.named.push({ name: name.toUpperCase(), value: this.expression() })
      } else if (this.startsQuery()) {
        throw this.unsupported('a query as an argument without parentheses of its own')
      } else call.args.push(this.expression())
    } while (this.accept(','))
  }

  #modifiers(call: CallExpr): void {
    const nulls = this.acceptOneOf('IGNORE', 'RESPECT')
    if (nulls !== undefined) {
      this.expect('NULLS')
      call.nulls = nulls
    }
    if (this.accept('HAVING')) {
      const most = this.acceptOneOf('MAX', 'MIN')
      if (most === undefined) throw this.unexpected()
      call.having = { most, by: this.expression() }
    }
    if (this.accept('ORDER')) {
      this.expect('BY')
      call.orderBy = this.orderItems()
    }
    if (this.accept('LIMIT')) call.limit = this.expression()
  }

  orderItems(): OrderItem[] {
    return this.list(() => this.#orderItem())
  }

  #orderItem(): OrderItem {
    const at = this.token.at
    const expr = this.expression()
    const descending = this.acceptOneOf('ASC', 'DESC') === 'DESC'
    if (!this.accept('NULLS')) return { expr, descending, at }
    const nulls = this.acceptOneOf('FIRST', 'LAST')
    if (nulls === undefined) throw this.unexpected()
    return { expr, descending, nulls, at }
  }

  #over(): Window {
    const at = this.token.at
    if (!this.is('(')) return { base: this.identifier(), partitionBy: [], orderBy: [], at }
    return this.window()
  }

  /** A window specification in parentheses. */
  window(): Window {
    const at = this.token.at
    return this.parenthesized(() => {
      const window: Window = { partitionBy: [], orderBy: [], at }
      if (this.isIdentifier() && !this.is('ROWS') && !this.is('RANGE')) window.base = this.identifier()
      if (this.accept('PARTITION')) {
        this.expect('BY')
        window.partitionBy = this.list(() => this.expression())
      }
      if (this.accept('ORDER')) {
        this.expect('BY')
        window.orderBy = this.orderItems()
      }
      const unit = this.acceptOneOf('ROWS', 'RANGE')
      if (unit !== undefined) window.frame = { unit, ...this.#frame() }
      return window
    })
  }

  #frame(): { start: FrameBound; end: FrameBound } {
    if (!this.accept('BETWEEN')) return { start: this.#bound(), end: { kind: 'CURRENT ROW' } }
    const start = this.#bound()
    this.expect('AND')
    return { start, end: this.#bound() }
  }

  #bound(): FrameBound {
    if (this.accept('CURRENT', 'ROW')) return { kind: 'CURRENT ROW' }
    const unbounded = this.accept('UNBOUNDED')
    const offset = unbounded ? undefined : this.#binary(0)
    const direction = this.acceptOneOf('PRECEDING', 'FOLLOWING')
    if (direction === undefined) throw this.unexpected()
    return offset === undefined ? { kind: `UNBOUNDED ${direction}` } : { kind: direction, offset }
  }

  startsQuery(): boolean {
    let distance = 0
    while (this.peek(distance).kind === 'symbol' && this.peek(distance).text === '(') distance++
    const { upper, kind } = this.peek(distance)
    return kind === 'name' && (upper === 'SELECT' || upper === 'WITH')
  }
}

function isNumber(type: string): boolean {
  return type === 'INT64' || type === 'FLOAT64'
}

function matchesStar(cursor: Cursor): boolean {
  const next = cursor.peek(1)
  return next.kind === 'symbol' && next.text === '*'
}

function emptyCall(name: string, at: Expr['at']): CallExpr {
  return { kind: 'call', name, safe: false, args: [], named: [], star: false, distinct: false, orderBy: [], at }
}
