import { coerce } from '../translate/casts.ts'
import {
  arrayOf,
  coercible,
  FLOAT64,
  INT64,
  isNumeric,
  scalar,
  type ScalarKind,
  type SqlType,
  supertype,
  type Typed,
} from '../translate/types.ts'
import type { FunctionCall } from './call.ts'

/**
 * A signature is `INT64, STRING -> STRING | duckdb($1, $2)`: the types of the arguments, the type of the result, and
 * DuckDB's text. `T` is any type, the same everywhere; `N` one of INT64, NUMERIC and FLOAT64, the same everywhere;
 * `ANY` is any type by itself; `T[]` is an array; `...` after the last: once or more. `$*` is all arguments, with commas;
 * `$raise<...>` fails with that text (NULL under SAFE).
 */
interface Signature {
  params: string[]
  variadic: boolean
  result: string
  template: string
}

const parsed = new Map<string, Signature>()

function parse(text: string): Signature {
  const known = parsed.get(text)
  if (known !== undefined) return known
  const [, head = '', result = '', template = ''] = /^(.*?)\s*->\s*(\S+)\s*\|\s*(.*)$/s.exec(text) ?? []
  const variadic = head.endsWith('...')
  const params = head === '' ? [] : head.replace(/\.\.\.$/, '').split(/,\s*/)
  const signature = { params, variadic, result, template }
  parsed.set(text, signature)
  return signature
}

/** Translates a call by the first signature that fits its arguments. */
export function applySignatures(texts: readonly string[], call: FunctionCall): Typed {
  // A literal goes where its own type fits before it is coerced: ROUND(2.5) is a FLOAT64, not a NUMERIC.
  const firm = call.args.map(({ sql, type, items }) => ({ sql, type, ...(items && { items }) }))
  for (const args of [firm, call.args]) {
    for (const text of texts) {
      const result = apply(parse(text), args, call)
      if (result !== undefined) return result
    }
  }
  throw call.noSignature()
}

function apply(signature: Signature, args: readonly Typed[], call: FunctionCall): Typed | undefined {
  const { params, variadic } = signature
  if (variadic ? args.length < params.length : args.length !== params.length) return undefined
  const names = args.map((_arg, i) => params[Math.min(i, params.length - 1)] ?? 'ANY')
  const bound = bind(names, args)
  if (bound === undefined) return undefined
  const types = names.map((name, i) => typeFor(name, bound, args[i]?.type))
  if (!args.every((arg, i) => coercible(arg, types[i] ?? arg.type))) return undefined
  const coerced = args.map((arg, i) => coerce(arg, types[i] ?? arg.type, call.at))
  const result = typeFor(signature.result, bound, undefined)
  return { sql: fill(signature.template, coerced, call), type: result }
}

/** What T or N is in this call; undefined when its arguments have nothing in common. */
function bind(names: readonly string[], args: readonly Typed[]): SqlType | undefined {
  const sharing = args.flatMap((arg, i) => shared(names[i] ?? '', arg))
  if (sharing.length === 0) return INT64
  const type = supertype(sharing)
  if (type === undefined) return undefined
  if (!names.includes('N')) return type
  if (!isNumeric(type) || type.kind === 'BIGNUMERIC') return undefined
  return type.kind === 'NULL' ? FLOAT64 : type
}

function shared(name: string, arg: Typed): Typed[] {
  if (name === 'T' || name === 'N') return [arg]
  if (name === 'T[]' && arg.type.kind === 'ARRAY')
    return arg.items === undefined ? [{ sql: '', type: arg.type.element }] : [...arg.items]
  return []
}

function typeFor(name: string, bound: SqlType, own: SqlType | undefined): SqlType {
  if (name === 'T' || name === 'N') return bound
  if (name === 'ANY') return own ?? bound
  if (name === 'T[]') return arrayOf(bound)
  return name.endsWith('[]') ? arrayOf(scalar(name.slice(0, -2) as ScalarKind)) : scalar(name as ScalarKind)
}

function fill(template: string, args: readonly Typed[], call: FunctionCall): string {
  const withArgs = template
    .replaceAll('$*', () => args.map((arg) => arg.sql).join(', '))
    .replace(/\$(\d)/g, (_all, digit: string) => args[Number(digit) - 1]?.sql ?? 'NULL')
  return withArgs.replace(/\$raise<(.*?)>raise\$/g, (_all, message: string) => call.raise(message))
}
