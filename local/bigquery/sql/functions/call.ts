import { errorAt, type Position, type QueryError } from '../errors.ts'
import type { CallExpr, Expr } from '../parse/ast.ts'
import { coerce, raise } from '../translate/casts.ts'
import type { Context, Translator } from '../translate/context.ts'
import { noSignature } from '../translate/operators.ts'
import { coercible, type SqlType, type Typed, typeText } from '../translate/types.ts'

/** One function call while it is translated. */
export class FunctionCall {
  readonly node: CallExpr
  readonly context: Context
  readonly translator: Translator
  #args: Typed[] | undefined

  constructor(node: CallExpr, context: Context, translator: Translator) {
    this.node = node
    this.context = context
    this.translator = translator
  }

  get at(): Position {
    return this.node.at
  }

  get name(): string {
    return this.node.name
  }

  get safe(): boolean {
    return this.node.safe
  }

  /** The arguments as expressions; not for functions with date parts, which are none. */
  get args(): Typed[] {
    this.#args ??= this.node.args.map((arg) => this.translate(arg))
    return this.#args
  }

  translate(expr: Expr): Typed {
    return this.translator.expression(expr, this.context)
  }

  /** An argument that must be given, as its expression. */
  argument(index: number): Expr {
    const arg = this.node.args[index]
    if (arg === undefined) throw this.noSignature()
    return arg
  }

  /** An argument of a type, coerced; refused when it is missing or another. */
  typed(index: number, type: SqlType): Typed {
    const value = this.translate(this.argument(index))
    if (!coercible(value, type)) throw this.mismatch(index, type, value)
    return coerce(value, type, this.at)
  }

  /** The number of arguments must be within these bounds. */
  count(min: number, max = min): void {
    const { length } = this.node.args
    if (length < min || length > max) throw this.noSignature()
  }

  /** The text of an argument that must be a literal or a parameter. */
  constant(index: number, what: string): string {
    const { literal } = this.translate(this.argument(index))
    if (literal === undefined || literal.kind === 'NULL') {
      throw errorAt(
        `Not supported by the local BigQuery: ${this.name} with a ${what} that is no literal or parameter`,
        this.at,
      )
    }
    return literal.text
  }

  /** DuckDB text that fails with a message, or NULL under SAFE. */
  raise(messageSql: string): string {
    return raise(messageSql, this.safe)
  }

  noSignature(): QueryError {
    let args: Typed[]
    try {
      args = this.args
    } catch {
      return errorAt(`No matching signature for function ${this.name}`, this.at)
    }
    if (args.length === 0) return errorAt(`No matching signature for function ${this.name} with no arguments`, this.at)
    return noSignature('function', this.name, args, this.at)
  }

  mismatch(index: number, wanted: SqlType, value: Typed): QueryError {
    const types = `expected ${typeText(wanted)}, found ${typeText(value.type)}`
    return errorAt(`No matching signature for function ${this.name}: argument ${index + 1}: ${types}`, this.at)
  }
}

/** A function of the allow-list: its signatures (see `signatures.ts`), or code for what a signature cannot say. */
export type ScalarFunction = string | readonly string[] | ((call: FunctionCall) => Typed)
export type FunctionTable = Readonly<Record<string, ScalarFunction>>
