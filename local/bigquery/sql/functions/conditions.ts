import { noSignature, unify } from '../translate/operators.ts'
import { BOOL, coercible, type Typed } from '../translate/types.ts'
import type { FunctionCall, FunctionTable } from './call.ts'

/** Conditional functions: https://cloud.google.com/bigquery/docs/reference/standard-sql/conditional_expressions */
export const CONDITIONS: FunctionTable = {
  COALESCE: 'T... -> T | coalesce($*)',
  IFNULL: 'T, T -> T | coalesce($1, $2)',
  NULLIF: 'T, T -> T | nullif($1, $2)',
  IF: choose,
  ERROR: 'STRING -> INT64 | CAST(error($1) AS BIGINT)',
  // NULL when one of the arguments is, where DuckDB would leave it out.
  GREATEST: (call) => most('greatest', call),
  LEAST: (call) => most('least', call),
}

function choose(call: FunctionCall): Typed {
  call.count(3)
  const [condition, yes, no] = call.args
  if (condition === undefined || yes === undefined || no === undefined || !coercible(condition, BOOL))
    throw call.noSignature()
  const both = unify([yes, no], call.at)
  if (both === undefined) throw noSignature('function', 'IF', call.args, call.at)
  return {
    sql: `(CASE WHEN ${condition.sql} THEN ${both.values[0]?.sql} ELSE ${both.values[1]?.sql} END)`,
    type: both.type,
  }
}

function most(duck: string, call: FunctionCall): Typed {
  const all = unify(call.args, call.at)
  if (all === undefined || all.values.length === 0) throw call.noSignature()
  const missing = all.values.map((value) => `${value.sql} IS NULL`).join(' OR ')
  return {
    sql: `(CASE WHEN ${missing} THEN NULL ELSE ${duck}(${all.values.map((value) => value.sql).join(', ')}) END)`,
    type: all.type,
  }
}
