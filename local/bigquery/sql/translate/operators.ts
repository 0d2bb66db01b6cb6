import { errorAt, type Position, type QueryError } from '../errors.ts'
import { coerce, raise, textOf } from './casts.ts'
import { literal } from './literals.ts'
import {
  BOOL,
  FLOAT64,
  INT64,
  isNumeric,
  scalar,
  type SqlType,
  STRING,
  supertype,
  type Typed,
  typeText,
} from './types.ts'

/** Operators: https://cloud.google.com/bigquery/docs/reference/standard-sql/operators */

export function noSignature(
  kind: 'operator' | 'function',
  name: string,
  args: readonly Typed[],
  at: Position,
): QueryError {
  const types = args.map((arg) => (arg.type.kind === 'NULL' ? 'NULL' : typeText(arg.type)))
  return errorAt(`No matching signature for ${kind} ${name} for argument types: ${types.join(', ')}`, at)
}

/** Brings all values to their common type; undefined: they have none. */
export function unify(values: readonly Typed[], at: Position): { values: Typed[]; type: SqlType } | undefined {
  const type = supertype(values)
  return type && { values: values.map((value) => coerce(value, type, at)), type }
}

export function unary(op: '-' | '+' | '~' | 'NOT', operand: Typed, at: Position): Typed {
  const { kind } = operand.type
  if (op === 'NOT' && (kind === 'BOOL' || kind === 'NULL')) return { sql: `(NOT ${operand.sql})`, type: BOOL }
  if (op === '~' && kind === 'INT64') return { sql: `(~${operand.sql})`, type: INT64 }
  if ((op === '-' || op === '+') && isNumeric(operand.type) && kind !== 'BIGNUMERIC') return signed(op, operand)
  throw noSignature('operator', op, [operand], at)
}

function signed(op: '-' | '+', operand: Typed): Typed {
  if (op === '+') return operand
  const { literal: known } = operand
  const negative = known && known.kind !== 'NULL' ? literal(known.kind, negate(known.text)) : undefined
  return negative ?? { sql: `(-${operand.sql})`, type: operand.type }
}

function negate(text: string): string {
  return text.startsWith('-') ? text.slice(1) : `-${text}`
}

export function binary(op: string, left: Typed, right: Typed, at: Position): Typed {
  switch (op) {
    case '=':
    case '!=':
    case '<':
    case '>':
    case '<=':
    case '>=':
    case 'IS DISTINCT FROM':
    case 'IS NOT DISTINCT FROM':
      return compare(op, left, right, at)
    case '||':
      return concatenate([left, right], 'operator', at)
    case '&':
    case '|':
    case '^':
    case '<<':
    case '>>':
      return bitwise(op, left, right, at)
    case '/':
      return divide(left, right, at)
    default:
      return temporal(op, left, right) ?? arithmetic(op, left, right, at)
  }
}

/** AND and OR take Booleans alone. */
export function logical(op: 'AND' | 'OR', left: Typed, right: Typed, at: Position): void {
  if (!isBool(left) || !isBool(right)) throw noSignature('operator', op, [left, right], at)
}

function isBool(value: Typed): boolean {
  return value.type.kind === 'BOOL' || value.type.kind === 'NULL'
}

export function compare(op: string, left: Typed, right: Typed, at: Position): Typed {
  const both = unify([left, right], at)
  if (both === undefined) throw noSignature('operator', op, [left, right], at)
  const equality = op === '=' || op === '!=' || op.startsWith('IS')
  requireComparable(both.type, equality, at)
  return { sql: `(${both.values[0]?.sql} ${op} ${both.values[1]?.sql})`, type: BOOL }
}

/** Arrays, JSON and GEOGRAPHY cannot be compared; BIGNUMERIC is text here, which only tells equality. */
export function requireComparable(type: SqlType, equality: boolean, at: Position): void {
  const text = typeText(type)
  const never = type.kind === 'ARRAY' || type.kind === 'JSON' || type.kind === 'GEOGRAPHY'
  if (never) throw errorAt(`${equality ? 'Equality' : 'Less than'} is not defined for arguments of type ${text}`, at)
  if (equality) {
    if (type.kind === 'STRUCT') for (const field of type.fields) requireComparable(field.type, true, at)
    return
  }
  if (type.kind === 'STRUCT') throw errorAt(`Less than is not defined for arguments of type ${text}`, at)
  if (type.kind === 'BIGNUMERIC')
    throw errorAt('Not supported by the local BigQuery: the order of BIGNUMERIC values', at)
}

/** Texts and bytes are NULL when a part is; arrays too. */
export function concatenate(values: readonly Typed[], kind: 'operator' | 'function', at: Position): Typed {
  const both = unify(values, at)
  const name = kind === 'operator' ? '||' : 'CONCAT'
  if (both === undefined) throw noSignature(kind, name, values, at)
  const { type } = both
  if (type.kind !== 'STRING' && type.kind !== 'BYTES' && type.kind !== 'NULL' && type.kind !== 'ARRAY') {
    throw noSignature(kind, name, values, at)
  }
  return { sql: `(${both.values.map((value) => value.sql).join(' || ')})`, type: type.kind === 'NULL' ? STRING : type }
}

function bitwise(op: string, left: Typed, right: Typed, at: Position): Typed {
  if (left.type.kind !== 'INT64' || right.type.kind !== 'INT64') throw noSignature('operator', op, [left, right], at)
  const sql = op === '^' ? `xor(${left.sql}, ${right.sql})` : `(${left.sql} ${op} ${right.sql})`
  return { sql, type: INT64 }
}

function numericOperands(
  op: string,
  left: Typed,
  right: Typed,
  at: Position,
): { values: [Typed, Typed]; type: SqlType } {
  const both = isNumeric(left.type) && isNumeric(right.type) ? unify([left, right], at) : undefined
  if (both === undefined) throw noSignature('operator', op, [left, right], at)
  const type = both.type.kind === 'NULL' ? INT64 : both.type
  if (type.kind === 'BIGNUMERIC') throw errorAt('Not supported by the local BigQuery: arithmetic with BIGNUMERIC', at)
  return { values: [coerce(left, type, at), coerce(right, type, at)], type }
}

function arithmetic(op: string, left: Typed, right: Typed, at: Position): Typed {
  if (op !== '+' && op !== '-' && op !== '*') throw noSignature('operator', op, [left, right], at)
  const { values, type } = numericOperands(op, left, right, at)
  const sql = `(${values[0].sql} ${op} ${values[1].sql})`
  return { sql: type.kind === 'NUMERIC' ? `CAST(${sql} AS DECIMAL(38,9))` : sql, type }
}

/** Division gives FLOAT64 (or NUMERIC), never an integer, and fails on zero. */
export function divide(left: Typed, right: Typed, at: Position, safe = false): Typed {
  const { values, type } = numericOperands('/', left, right, at)
  const [numerator, denominator] = type.kind === 'INT64' ? values.map((value) => coerce(value, FLOAT64, at)) : values
  const quotient = `${numerator?.sql} / ${denominator?.sql}`
  const result = type.kind === 'NUMERIC' ? scalar('NUMERIC') : FLOAT64
  const sql = result.kind === 'NUMERIC' ? `CAST(${quotient} AS DECIMAL(38,9))` : quotient
  const known = right.literal?.text
  if (known !== undefined && Number(known) !== 0) return { sql: `(${sql})`, type: result }
  return { sql: guardZero(left, right, sql, '/', safe), type: result }
}

export function guardZero(left: Typed, right: Typed, sql: string, op: string, safe: boolean): string {
  const message = `'division by zero: ' || ${textOf(left) ?? "''"} || ' ${op} ' || ${textOf(right) ?? "''"}`
  return `CASE WHEN ${right.sql} = 0 THEN ${raise(`coalesce(${message}, 'division by zero')`, safe)} ELSE ${sql} END`
}

/** Dates and times plus and minus days and intervals. */
function temporal(op: string, left: Typed, right: Typed): Typed | undefined {
  if (op !== '+' && op !== '-') return undefined
  const [a, b] = [left.type.kind, right.type.kind]
  if (op === '+' && (a === 'INTERVAL' || a === 'INT64') && b !== a && TEMPORAL.includes(b))
    return temporal(op, right, left)
  if (a === 'DATE' && b === 'INT64')
    return { sql: `(${left.sql} ${op} CAST(${right.sql} AS INTEGER))`, type: left.type }
  if (b === 'INTERVAL' && TEMPORAL.includes(a)) {
    return { sql: `(${left.sql} ${op} ${right.sql})`, type: a === 'DATE' ? scalar('DATETIME') : left.type }
  }
  if (a === 'INTERVAL' && b === 'INTERVAL') return { sql: `(${left.sql} ${op} ${right.sql})`, type: left.type }
  if (op === '-' && a === b && (a === 'TIMESTAMP' || a === 'DATETIME')) {
    return { sql: `to_microseconds(epoch_us(${left.sql}) - epoch_us(${right.sql}))`, type: scalar('INTERVAL') }
  }
  if (op === '-' && a === 'DATE' && b === 'DATE') {
    return { sql: `to_days(CAST(${left.sql} - ${right.sql} AS INTEGER))`, type: scalar('INTERVAL') }
  }
  return undefined
}

const TEMPORAL: readonly string[] = ['DATE', 'DATETIME', 'TIMESTAMP', 'TIME']
