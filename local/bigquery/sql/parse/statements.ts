import { QueryError } from '../errors.ts'
import type { Assignment, Expr, InsertRows, MergeClause, Statement, TablePath } from './ast.ts'
import { QueryParser } from './queries.ts'

/** Parses one statement, which may end with a semicolon. Throws BigQuery's `Syntax error: ...`. */
export function parseStatement(sql: string): Statement {
  const parser = new StatementParser(sql)
  const statement = parser.statement()
  parser.end()
  return statement
}

/** Parses an expression that stands alone, such as the default of a column. */
export function parseExpressionText(text: string): Expr {
  const parser = new StatementParser(text)
  const expr = parser.expression()
  parser.end()
  return expr
}

const REFUSED = [
  'CREATE',
  'DROP',
  'DECLARE',
  'SET',
  'BEGIN',
  'COMMIT',
  'ROLLBACK',
  'CALL',
  'EXPORT',
  'LOAD',
  'GRANT',
  'REVOKE',
  'EXECUTE',
  'ASSERT',
  'IF',
  'LOOP',
  'WHILE',
  'FOR',
  'EXPLAIN',
  'FROM',
  'RAISE',
  'RETURN',
]

/** DML: https://cloud.google.com/bigquery/docs/reference/standard-sql/dml-syntax */
class StatementParser extends QueryParser {
  statement(): Statement {
    if (this.token.kind === 'end') throw this.unexpected()
    if (this.startsQuery()) return { kind: 'query', query: this.query() }
    const { upper, at } = this.token
    switch (upper) {
      case 'INSERT':
        return this.#insert()
      case 'UPDATE':
        return this.#update()
      case 'DELETE':
        return this.#delete()
      case 'MERGE':
        return this.#merge()
      case 'TRUNCATE':
        this.expect('TRUNCATE', 'TABLE')
        return { kind: 'truncate', target: this.#target(), at }
      case 'CREATE':
        return this.#createView()
      case 'DROP':
        return this.#dropView()
      case 'ALTER':
        return this.#alterColumn()
      default:
        throw REFUSED.includes(upper) ? this.unsupported(`the statement ${upper}`) : this.unexpected()
    }
  }

  #target(): TablePath {
    const at = this.token.at
    return { path: this.path(), at }
  }

  #columns(): InsertRows['columns'] {
    return this.is('(') && !this.startsQuery()
      ? this.parenthesized(() => this.list(() => this.placedName()))
      : undefined
  }

  #insert(): Statement {
    const { at } = this.advance()
    this.accept('INTO')
    const target = this.#target()
    const columns = this.#columns()
    const rows: InsertRows = { values: [], ...(columns && { columns }) }
    if (!this.accept('VALUES')) return { kind: 'insert', target, rows, query: this.query(), at }
    rows.values = this.list(() => this.parenthesized(() => this.list(() => this.expression())))
    return { kind: 'insert', target, rows, at }
  }

  #delete(): Statement {
    const { at } = this.advance()
    this.accept('FROM')
    const target = this.#target()
    const alias = this.alias()
    return { kind: 'delete', target, where: this.#where('DELETE', at), at, ...(alias !== undefined && { alias }) }
  }

  #where(statement: string, at: Expr['at']): Expr {
    if (!this.accept('WHERE'))
      throw new QueryError(`${statement} must have a WHERE clause at [${at.line}:${at.column}]`)
    return this.expression()
  }

  #update(): Statement {
    const { at } = this.advance()
    const target = this.#target()
    const alias = this.alias()
    this.expect('SET')
    const set = this.#assignments()
    const from = this.accept('FROM') ? this.from() : undefined
    const where = this.#where('UPDATE', at)
    return { kind: 'update', target, set, where, at, ...(alias !== undefined && { alias }), ...(from && { from }) }
  }

  #assignments(): Assignment[] {
    return this.list(() => {
      const at = this.token.at
      const path = [this.placedName()]
      while (this.accept('.')) path.push(this.placedName())
      this.expect('=')
      return { path, value: this.expression(), at }
    })
  }

  #merge(): Statement {
    const { at } = this.advance()
    this.accept('INTO')
    const target = this.#target()
    const alias = this.alias()
    this.expect('USING')
    const source = this.from()
    this.expect('ON')
    const on = this.expression()
    const clauses: MergeClause[] = []
    while (this.is('WHEN')) clauses.push(this.#mergeClause())
    if (clauses.length === 0) throw this.expected('keyword WHEN')
    return { kind: 'merge', target, source, on, clauses, at, ...(alias !== undefined && { alias }) }
  }

  #mergeClause(): MergeClause {
    const { at } = this.advance()
    const match = this.#match()
    const condition = this.accept('AND') ? this.expression() : undefined
    this.expect('THEN')
    return { match, action: this.#mergeAction(), at, ...(condition && { condition }) }
  }

  #match(): MergeClause['match'] {
    if (this.accept('MATCHED')) return 'MATCHED'
    this.expect('NOT', 'MATCHED')
    if (!this.accept('BY')) return 'NOT MATCHED'
    if (this.accept('TARGET')) return 'NOT MATCHED'
    this.expect('SOURCE')
    return 'NOT MATCHED BY SOURCE'
  }

  #mergeAction(): MergeClause['action'] {
    if (this.accept('DELETE')) return { kind: 'delete' }
    if (this.accept('UPDATE')) {
      this.expect('SET')
      return { kind: 'update', set: this.#assignments() }
    }
    this.expect('INSERT')
    const columns = this.#columns()
    const rows: InsertRows = { values: [], ...(columns && { columns }) }
    if (this.accept('ROW')) return { kind: 'insert', rows: { ...rows, row: true } }
    this.expect('VALUES')
    rows.values = [this.parenthesized(() => this.list(() => this.expression()))]
    return { kind: 'insert', rows }
  }

  #createView(): Statement {
    const { at } = this.advance()
    const orReplace = this.accept('OR', 'REPLACE')
    if (!this.accept('VIEW')) throw this.unsupported(`CREATE ${this.token.upper}`)
    const tolerant = this.accept('IF', 'NOT', 'EXISTS')
    const target = this.#target()
    if (this.is('(')) throw this.unsupported('a column list of a view')
    if (this.is('OPTIONS')) throw this.unsupported('OPTIONS of a view')
    this.expect('AS')
    const start = this.token.start
    const query = this.query()
    const text = this.sql.slice(start, this.token.start).trimEnd()
    return { kind: 'createView', target, query, text, orReplace, tolerant, at }
  }

  /** Of ALTER TABLE the one action that a patch of the table cannot do. */
  #alterColumn(): Statement {
    const { at } = this.advance()
    if (!this.accept('TABLE')) throw this.unsupported(`ALTER ${this.token.upper}`)
    const target = this.#target()
    if (!this.accept('ALTER', 'COLUMN')) throw this.unsupported(`ALTER TABLE ${this.token.upper}`)
    const column = this.identifier()
    if (!this.accept('SET', 'DATA', 'TYPE')) throw this.unsupported('this ALTER COLUMN')
    const type = this.type()
    if (this.is(',')) throw this.unsupported('several actions of ALTER TABLE')
    return { kind: 'alterColumn', target, column, type, at }
  }

  #dropView(): Statement {
    const { at } = this.advance()
    if (!this.accept('VIEW')) throw this.unsupported(`DROP ${this.token.upper}`)
    const tolerant = this.accept('IF', 'EXISTS')
    return { kind: 'dropView', target: this.#target(), tolerant, at }
  }
}
