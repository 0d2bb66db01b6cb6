import { errorAt, type Position } from '../errors.ts'

/** Lexical structure: https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical */
export interface Token {
  kind: 'name' | 'quoted' | 'string' | 'bytes' | 'integer' | 'float' | 'parameter' | 'symbol' | 'end'
  /** A name as it was written, the contents of a literal, a symbol. For a string the value after its escapes. */
  text: string
  /** A name in upper case, for keywords; empty for anything that cannot be one. */
  upper: string
  at: Position
  start: number
  end: number
}

const SYMBOLS = [
  '<=>',
  '<<',
  '>>',
  '<=',
  '>=',
  '!=',
  '<>',
  '||',
  '=>',
  '|>',
  '+=',
  '-=',
  ...'<>=+-*/%~^&|()[]{},.;:?!$',
]
const WORD = /[A-Za-z_][A-Za-z0-9_]*/y
const NUMBER = /0[xX][0-9a-fA-F]+|(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?/y
const PARAMETER = /@(?:[A-Za-z_][A-Za-z0-9_]*|`[^`]+`)/y
const BLANK = /(?:\s+|--[^\n]*|#[^\n]*|\/\*[\s\S]*?\*\/)+/y
const STRING_START = /([rR]?[bB]?|[bB][rR])("""|'''|"|')/y

/** Cuts a statement into tokens; the last one is `end`. Throws BigQuery's `Syntax error: ...`. */
export function tokenize(sql: string): Token[] {
  return new Lexer(sql).run()
}

class Lexer {
  readonly #sql: string
  readonly #lineStarts: number[] = [0]
  readonly #tokens: Token[] = []
  #offset = 0

  constructor(sql: string) {
    this.#sql = sql
    for (let i = sql.indexOf('\n'); i >= 0; i = sql.indexOf('\n', i + 1)) this.#lineStarts.push(i + 1)
  }

  run(): Token[] {
    this.#match(BLANK)
    while (this.#offset < this.#sql.length) {
      this.#next()
      this.#match(BLANK)
    }
    this.#push('end', '', this.#sql.length)
    return this.#tokens
  }

  #next(): void {
    const start = this.#offset
    const string = this.#match(STRING_START)
    if (string !== undefined) return this.#string(start, string)
    if (this.#sql[start] === '`') return this.#quotedName(start)
    const parameter = this.#match(PARAMETER)
    if (parameter !== undefined) return this.#push('parameter', parameter.slice(1).replaceAll('`', ''), start)
    // After a dot a number is a part of a path: `project.dataset.2024`.
    const number = this.#match(NUMBER)
    if (number !== undefined) return this.#push(/^0[xX]|^[0-9]+$/.test(number) ? 'integer' : 'float', number, start)
    const word = this.#match(WORD)
    if (word !== undefined) return this.#push('name', word, start)
    const symbol = SYMBOLS.find((candidate) => this.#sql.startsWith(candidate, start))
    if (symbol === undefined) {
      throw errorAt(`Syntax error: Illegal input character "${this.#sql[start]}"`, this.#position(start))
    }
    this.#offset += symbol.length
    this.#push('symbol', symbol, start)
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#offset
    const found = pattern.exec(this.#sql)?.[0]
    if (found !== undefined) this.#offset += found.length
    return found
  }

  #push(kind: Token['kind'], text: string, start: number): void {
    const upper = kind === 'name' ? text.toUpperCase() : ''
    this.#tokens.push({ kind, text, upper, at: this.#position(start), start, end: this.#offset })
  }

  #position(offset: number): Position {
    let line = this.#tokens.at(-1)?.at.line ?? 1
    while ((this.#lineStarts[line] ?? Infinity) <= offset) line++
    return { line, column: offset - (this.#lineStarts[line - 1] ?? 0) + 1 }
  }

  #quotedName(start: number): void {
    const end = this.#sql.indexOf('`', start + 1)
    if (end < 0) throw errorAt('Syntax error: Unclosed identifier literal', this.#position(start))
    if (end === start + 1) throw errorAt('Syntax error: Invalid empty identifier', this.#position(start))
    this.#offset = end + 1
    this.#push('quoted', this.#sql.slice(start + 1, end), start)
  }

  #string(start: number, opening: string): void {
    const quote = opening.replace(/^[rRbB]*/, '')
    const prefix = opening.slice(0, opening.length - quote.length).toLowerCase()
    const bodyStart = this.#offset
    const end = this.#closing(quote, start, prefix.includes('b'))
    const body = this.#sql.slice(bodyStart, end)
    this.#offset = end + quote.length
    const value = prefix.includes('r') ? body : unescape(body, prefix.includes('b'), this.#position(start))
    this.#push(prefix.includes('b') ? 'bytes' : 'string', value, start)
  }

  #closing(quote: string, start: number, bytes: boolean): number {
    for (let i = this.#offset; i < this.#sql.length; i++) {
      if (this.#sql[i] === '\\') i++
      else if (this.#sql.startsWith(quote, i)) return i
      else if (this.#sql[i] === '\n' && quote.length === 1) break
    }
    const kind = `${quote.length === 3 ? 'triple-quoted ' : ''}${bytes ? 'bytes' : 'string'}`
    throw errorAt(`Syntax error: Unclosed ${kind} literal`, this.#position(start))
  }
}

const SIMPLE_ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  '?': '?',
  '"': '"',
  "'": "'",
  '`': '`',
}
const ESCAPE = /\\(?:[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|([\s\S]))/g

const CODE_POINT_MAX = 0x10ffff

function character(code: number, at: Position): string {
  if (code > CODE_POINT_MAX) throw errorAt('Syntax error: Illegal escape sequence: not a code point of Unicode', at)
  return String.fromCodePoint(code)
}

/** Resolves the escapes of a literal. A bytes literal becomes a string of one character (0 to 255) for each byte. */
function unescape(body: string, bytes: boolean, at: Position): string {
  const plain = bytes ? Buffer.from(body, 'utf8').toString('latin1') : body
  return plain.replace(ESCAPE, (_all, hex, short, long, octal, other) => {
    const code = hex ?? short ?? long
    if (code !== undefined) return character(Number.parseInt(code, 16), at)
    if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8))
    const simple = SIMPLE_ESCAPES[other]
    if (simple === undefined) throw errorAt(`Syntax error: Illegal escape sequence: \\${other}`, at)
    return simple
  })
}
