import { errorAt } from '../errors.ts'
import type { CallExpr } from '../parse/ast.ts'
import type { Context, Translator } from '../translate/context.ts'
import type { Typed } from '../translate/types.ts'
import { AGGREGATES, callAggregate } from './aggregates.ts'
import { ARRAYS } from './arrays.ts'
import { FunctionCall, type FunctionTable } from './call.ts'
import { CONDITIONS } from './conditions.ts'
import { DATES } from './dates.ts'
import { JSON_FUNCTIONS } from './json.ts'
import { MATH } from './math.ts'
import { applySignatures } from './signatures.ts'
import { STRINGS } from './strings.ts'
import { TIMESTAMPS } from './timestamps.ts'
import { callWindow, WINDOWS } from './windows.ts'

/** The allow-list of scalar functions: what is not in a table is refused. */
const SCALARS: ReadonlyMap<string, FunctionTable[string]> = new Map(
  [STRINGS, MATH, DATES, TIMESTAMPS, JSON_FUNCTIONS, ARRAYS, CONDITIONS].flatMap((table) => Object.entries(table)),
)

/** Every function that the stand-in knows. */
export function knownFunctions(): string[] {
  return [...SCALARS.keys(), ...AGGREGATES.keys(), ...WINDOWS.keys()].sort()
}

/** Translates a call of any kind. Throws BigQuery's `Function not found`. */
export function callFunction(node: CallExpr, context: Context, translator: Translator): Typed {
  const { name, safe, at } = node
  if (AGGREGATES.has(name) && !safe) return callAggregate(node, context, translator)
  if (WINDOWS.has(name) && !safe) return callWindow(node, context, translator)
  const scalar = SCALARS.get(name)
  if (scalar === undefined) throw errorAt(`Function not found: ${safe ? 'SAFE.' : ''}${name}`, at)
  refuseModifiers(node)
  const call = new FunctionCall(node, context, translator)
  const value =
    typeof scalar === 'function' ? scalar(call) : applySignatures(typeof scalar === 'string' ? [scalar] : scalar, call)
  return safe ? { sql: `TRY(${value.sql})`, type: value.type } : value
}

function refuseModifiers(node: CallExpr): void {
  const { name, at } = node
  if (node.over !== undefined) throw errorAt(`Function ${name} does not support an OVER clause`, at)
  if (node.star) throw errorAt('Argument * can only be used in COUNT(*)', at)
  const [named] = node.named
  if (named !== undefined)
    throw errorAt(`Named argument ${named.name.toLowerCase()} is not supported by function ${name}`, at)
  const modified =
    node.distinct || node.orderBy.length > 0 || node.limit !== undefined || node.nulls !== undefined || node.having
  if (modified)
    throw errorAt(`Function ${name} is not an aggregate function: DISTINCT, ORDER BY, LIMIT and NULLS do not apply`, at)
}
