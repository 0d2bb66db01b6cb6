import { errorAt, QueryError } from '../errors.ts'
import { type Token, tokenize } from './lexer.ts'

/** Words that are no identifiers unless quoted: lexical structure, "Reserved keywords". */
export const RESERVED: ReadonlySet<string> = new Set(
  `ALL AND ANY ARRAY AS ASC ASSERT_ROWS_MODIFIED AT BETWEEN BY CASE CAST COLLATE CONTAINS CREATE CROSS CUBE CURRENT
  DEFAULT DEFINE DESC DISTINCT ELSE END ENUM ESCAPE EXCEPT EXCLUDE EXISTS EXTRACT FALSE FETCH FOLLOWING FOR FROM FULL
  GROUP GROUPING GROUPS HASH HAVING IF IGNORE IN INNER INTERSECT INTERVAL INTO IS JOIN LATERAL LEFT LIKE LIMIT LOOKUP
  MERGE NATURAL NEW NO NOT NULL NULLS OF ON OR ORDER OUTER OVER PARTITION PRECEDING PROTO QUALIFY RANGE RECURSIVE
  RESPECT RIGHT ROLLUP ROWS SELECT SET SOME STRUCT TABLESAMPLE THEN TO TREAT TRUE UNBOUNDED UNION UNNEST USING WHEN
  WHERE WINDOW WITH WITHIN`.split(/\s+/),
)

/** Deeper nesting is refused, as BigQuery does; it also keeps the parser's stack bounded. */
const NESTING_MAX = 200

/** Steps through the tokens of one statement. */
export class Cursor {
  protected readonly sql: string
  readonly #tokens: Token[]
  #index = 0
  #depth = 0

  constructor(sql: string) {
    this.sql = sql
    this.#tokens = tokenize(sql)
  }

  get token(): Token {
    return this.peek(0)
  }

  peek(distance: number): Token {
    const token = this.#tokens[Math.min(this.#index + distance, this.#tokens.length - 1)]
    if (token === undefined) throw new Error('a token list always has its end')
    return token
  }

  advance(): Token {
    const token = this.token
    this.#index++
    return token
  }

  /** True when the next tokens are these keywords or symbols. */
  is(...words: string[]): boolean {
    return words.every((word, i) => matches(this.peek(i), word))
  }

  /** Takes the keywords or symbols when all of them are next. */
  accept(...words: string[]): boolean {
    if (!this.is(...words)) return false
    this.#index += words.length
    return true
  }

  /** Takes the first of the words that is next. */
  acceptOneOf<W extends string>(...words: W[]): W | undefined {
    return words.find((word) => this.accept(word))
  }

  expect(...words: string[]): void {
    for (const word of words) {
      if (!this.accept(word)) throw this.expected(/^[A-Z]/.test(word) ? `keyword ${word}` : `"${word}"`)
    }
  }

  expected(what: string): QueryError {
    return errorAt(`Syntax error: Expected ${what} but got ${describe(this.token)}`, this.token.at)
  }

  unexpected(token = this.token): QueryError {
    return errorAt(`Syntax error: Unexpected ${describe(token)}`, token.at)
  }

  /** A form that GoogleSQL has and this stand-in has not. */
  unsupported(what: string, token = this.token): QueryError {
    return errorAt(`Not supported by the local BigQuery: ${what}`, token.at)
  }

  isIdentifier(distance = 0): boolean {
    const token = this.peek(distance)
    return token.kind === 'quoted' || (token.kind === 'name' && !RESERVED.has(token.upper))
  }

  identifier(): string {
    if (!this.isIdentifier()) {
      throw this.token.kind === 'end' ? this.unexpected() : this.expected('identifier')
    }
    return this.advance().text
  }

  /** An alias after an optional AS. */
  alias(): string | undefined {
    if (this.accept('AS')) return this.identifier()
    return this.isIdentifier() ? this.advance().text : undefined
  }

  list<T>(item: () => T): T[] {
    const items = [item()]
    while (this.accept(',')) items.push(item())
    return items
  }

  parenthesized<T>(inner: () => T): T {
    this.expect('(')
    const value = inner()
    this.expect(')')
    return value
  }

  /** Splits `>>` in two, for the end of nested types. */
  closeAngle(): void {
    const token = this.token
    if (!this.is('>>')) return this.expect('>')
    this.#tokens[this.#index] = {
      ...token,
      text: '>',
      start: token.start + 1,
      at: { ...token.at, column: token.at.column + 1 },
    }
  }

  /** Tries a reading of the next tokens; undefined: it failed, and the cursor stands where it stood. */
  attempt<T>(inner: () => T): T | undefined {
    const [index, depth] = [this.#index, this.#depth]
    try {
      return inner()
    } catch (error) {
      if (!(error instanceof QueryError)) throw error
      this.#index = index
      this.#depth = depth
      return undefined
    }
  }

  nested<T>(inner: () => T): T {
    if (++this.#depth > NESTING_MAX) {
      throw errorAt('Syntax error: The query is too deeply nested', this.token.at)
    }
    const value = inner()
    this.#depth--
    return value
  }

  end(): void {
    this.accept(';')
    if (this.token.kind !== 'end') {
      throw errorAt(`Syntax error: Expected end of input but got ${describe(this.token)}`, this.token.at)
    }
  }
}

function matches(token: Token, word: string): boolean {
  return token.kind === 'symbol' ? token.text === word : token.kind === 'name' && token.upper === word
}

function describe(token: Token): string {
  switch (token.kind) {
    case 'end':
      return 'end of statement'
    case 'name':
      return RESERVED.has(token.upper) ? `keyword ${token.upper}` : `identifier "${token.text}"`
    case 'quoted':
      return `identifier \`${token.text}\``
    case 'string':
      return `string literal ${JSON.stringify(token.text)}`
    case 'bytes':
      return 'bytes literal'
    case 'integer':
      return `integer literal "${token.text}"`
    case 'float':
      return `floating point literal "${token.text}"`
    case 'parameter':
      return `"@"`
    case 'symbol':
      return `"${token.text}"`
  }
}
