import { errorAt } from '../errors.ts'
import { concatenate } from '../translate/operators.ts'
import type { Expr } from '../parse/ast.ts'
import { arrayOf, scalar, STRING } from '../translate/types.ts'
import type { FunctionCall, FunctionTable } from './call.ts'
import { intervalOf } from './date-parts.ts'
import { instantOf, localOf } from '../translate/zones.ts'

/** Array functions: https://cloud.google.com/bigquery/docs/reference/standard-sql/array_functions */
export const ARRAYS: FunctionTable = {
  ARRAY_CONCAT: (call) => {
    if (call.args.length === 0 || call.args.some((arg) => arg.type.kind !== 'ARRAY')) throw call.noSignature()
    return concatenate(call.args, 'function', call.at)
  },
  ARRAY_FIRST:
    "T[] -> T | CASE WHEN len($1) = 0 THEN $raise<'ARRAY_FIRST cannot get the first element of an empty array'>raise$ ELSE $1[1] END",
  ARRAY_LAST:
    "T[] -> T | CASE WHEN len($1) = 0 THEN $raise<'ARRAY_LAST cannot get the last element of an empty array'>raise$ ELSE $1[-1] END",
  ARRAY_LENGTH: 'T[] -> INT64 | len($1)',
  ARRAY_REVERSE: 'T[] -> T[] | list_reverse($1)',
  ARRAY_TO_STRING: (call) => {
    call.count(2, 3)
    const [array, separator] = [call.args[0], call.typed(1, STRING).sql]
    if (array?.type.kind !== 'ARRAY') throw call.noSignature()
    if (array.type.element.kind !== 'STRING' && array.type.element.kind !== 'NULL') throw call.noSignature()
    const nothing = call.args.length === 3 ? call.typed(2, STRING).sql : undefined
    const items =
      nothing === undefined ? array.sql : `list_transform(${array.sql}, lambda item: coalesce(item, ${nothing}))`
    return { sql: `array_to_string(${items}, ${separator})`, type: STRING }
  },
  GENERATE_ARRAY: [
    'INT64, INT64 -> INT64[] | generate_series($1, $2)',
    "INT64, INT64, INT64 -> INT64[] | CASE WHEN $3 = 0 THEN $raise<'Sequence step cannot be 0.'>raise$ ELSE generate_series($1, $2, $3) END",
  ],
  GENERATE_DATE_ARRAY: (call) => {
    call.count(2, 3)
    const [first, last] = [call.typed(0, scalar('DATE')).sql, call.typed(1, scalar('DATE')).sql]
    const step =
      call.node.args.length === 3
        ? stepOf(call, call.argument(2), ['DAY', 'WEEK', 'MONTH', 'QUARTER', 'YEAR'])
        : 'to_days(1)'
    const series = `generate_series(CAST(${first} AS TIMESTAMP), CAST(${last} AS TIMESTAMP), ${step})`
    return { sql: `CAST(${series} AS DATE[])`, type: arrayOf(scalar('DATE')) }
  },
  GENERATE_TIMESTAMP_ARRAY: (call) => {
    call.count(3)
    const [first, last] = [call.typed(0, scalar('TIMESTAMP')).sql, call.typed(1, scalar('TIMESTAMP')).sql]
    const step = stepOf(call, call.argument(2), ['MICROSECOND', 'MILLISECOND', 'SECOND', 'MINUTE', 'HOUR', 'DAY'])
    const series = `generate_series(${localOf(first)}, ${localOf(last)}, ${step})`
    return {
      sql: `list_transform(${series}, lambda moment: ${instantOf('moment')})`,
      type: arrayOf(scalar('TIMESTAMP')),
    }
  },
}

function stepOf(call: FunctionCall, expr: Expr, units: readonly string[]): string {
  if (expr.kind !== 'interval' || !units.includes(expr.unit)) {
    throw errorAt(`${call.name} needs INTERVAL with one of ${units.join(', ')}`, call.at)
  }
  return intervalOf(expr, (inner) => call.translate(inner)).sql
}
