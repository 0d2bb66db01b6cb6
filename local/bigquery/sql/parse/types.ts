import type { TypeName } from './ast.ts'
import { Cursor } from './cursor.ts'

/** Names of types: https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types */
export class TypeParser extends Cursor {
  type(): TypeName {
    return this.nested(() => this.#type())
  }

  #type(): TypeName {
    const at = this.token.at
    if (this.accept('ARRAY')) return { kind: 'array', element: this.angleElement(), at }
    if (this.accept('STRUCT')) {
      this.expect('<')
      const fields = this.is('>') ? [] : this.list(() => this.#structField())
      this.closeAngle()
      return { kind: 'struct', fields, at }
    }
    if (this.is('INTERVAL')) return { kind: 'simple', name: this.advance().upper, at }
    const name = this.identifier().toUpperCase()
    if (!this.accept('(')) return { kind: 'simple', name, at }
    const limits = this.list(() => this.#parameter())
    this.expect(')')
    return { kind: 'simple', name, limits, at }
  }

  /** `<T>` after ARRAY. */
  protected angleElement(): TypeName {
    this.expect('<')
    const element = this.type()
    this.closeAngle()
    return element
  }

  #structField(): { name?: string; type: TypeName } {
    const next = this.peek(1)
    const named = this.isIdentifier() && (next.kind === 'name' || next.kind === 'quoted')
    return named ? { name: this.identifier(), type: this.type() } : { type: this.type() }
  }

  /** The length of STRING(10) or the precision of NUMERIC(10, 2). */
  #parameter(): string {
    if (this.token.kind !== 'integer') throw this.expected('integer literal')
    return this.advance().text
  }
}
