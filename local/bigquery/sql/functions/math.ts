import { divide, guardZero } from '../translate/operators.ts'
import { INT64, type Typed } from '../translate/types.ts'
import type { FunctionCall, FunctionTable } from './call.ts'

const DOUBLE_FUNCTION = (duck: string): string => `FLOAT64 -> FLOAT64 | ${duck}($1)`
/** Whole numbers become FLOAT64, NUMERIC stays what it is. */
const rounding = (duck: string): readonly string[] => [
  `INT64 -> FLOAT64 | ${duck}(CAST($1 AS DOUBLE))`,
  `NUMERIC -> NUMERIC | CAST(${duck}($1) AS DECIMAL(38,9))`,
  `FLOAT64 -> FLOAT64 | ${duck}($1)`,
]
const checked = (op: '+' | '-' | '*'): readonly string[] => [
  `INT64, INT64 -> INT64 | TRY($1 ${op} $2)`,
  `NUMERIC, NUMERIC -> NUMERIC | TRY(CAST($1 ${op} $2 AS DECIMAL(38,9)))`,
  `FLOAT64, FLOAT64 -> FLOAT64 | ($1 ${op} $2)`,
]

/** Mathematical functions: https://cloud.google.com/bigquery/docs/reference/standard-sql/mathematical_functions */
export const MATH: FunctionTable = {
  ABS: 'N -> N | abs($1)',
  ACOS: DOUBLE_FUNCTION('acos'),
  ASIN: DOUBLE_FUNCTION('asin'),
  ATAN: DOUBLE_FUNCTION('atan'),
  ATAN2: 'FLOAT64, FLOAT64 -> FLOAT64 | atan2($1, $2)',
  BIT_COUNT: 'INT64 -> INT64 | CAST(bit_count($1) AS BIGINT)',
  CEIL: rounding('ceil'),
  CEILING: rounding('ceil'),
  COS: DOUBLE_FUNCTION('cos'),
  DIV: (call) => integerDivision(call, '//', 'DIV'),
  EXP: DOUBLE_FUNCTION('exp'),
  FLOOR: rounding('floor'),
  GENERATE_UUID: '-> STRING | CAST(uuid() AS VARCHAR)',
  IEEE_DIVIDE: "FLOAT64, FLOAT64 -> FLOAT64 | CASE WHEN $2 = 0 AND $1 = 0 THEN 'nan'::DOUBLE ELSE $1 / $2 END",
  IS_INF: 'FLOAT64 -> BOOL | isinf($1)',
  IS_NAN: 'FLOAT64 -> BOOL | isnan($1)',
  LN: DOUBLE_FUNCTION('ln'),
  LOG: ['FLOAT64 -> FLOAT64 | ln($1)', 'FLOAT64, FLOAT64 -> FLOAT64 | (ln($1) / ln($2))'],
  LOG10: DOUBLE_FUNCTION('log10'),
  MOD: (call) => integerDivision(call, '%', 'MOD'),
  POW: 'FLOAT64, FLOAT64 -> FLOAT64 | pow($1, $2)',
  POWER: 'FLOAT64, FLOAT64 -> FLOAT64 | pow($1, $2)',
  RAND: '-> FLOAT64 | random()',
  ROUND: [
    ...rounding('round'),
    'INT64, INT64 -> FLOAT64 | round(CAST($1 AS DOUBLE), CAST($2 AS INTEGER))',
    'NUMERIC, INT64 -> NUMERIC | CAST(round($1, CAST($2 AS INTEGER)) AS DECIMAL(38,9))',
    'FLOAT64, INT64 -> FLOAT64 | round($1, CAST($2 AS INTEGER))',
  ],
  SAFE_ADD: checked('+'),
  SAFE_DIVIDE: (call) => {
    call.count(2)
    const [left, right] = call.args
    if (left === undefined || right === undefined) throw call.noSignature()
    return divide(left, right, call.at, true)
  },
  SAFE_MULTIPLY: checked('*'),
  SAFE_NEGATE: ['INT64 -> INT64 | TRY(-$1)', 'FLOAT64 -> FLOAT64 | (-$1)'],
  SAFE_SUBTRACT: checked('-'),
  SIGN: ['INT64 -> INT64 | CAST(sign($1) AS BIGINT)', 'FLOAT64 -> FLOAT64 | CAST(sign($1) AS DOUBLE)'],
  SIN: DOUBLE_FUNCTION('sin'),
  SQRT: DOUBLE_FUNCTION('sqrt'),
  TAN: DOUBLE_FUNCTION('tan'),
  TRUNC: [...rounding('trunc'), 'FLOAT64, INT64 -> FLOAT64 | (trunc($1 * pow(10, $2)) / pow(10, $2))'],
}

function integerDivision(call: FunctionCall, op: '//' | '%', name: string): Typed {
  call.count(2)
  const [left, right] = [call.typed(0, INT64), call.typed(1, INT64)]
  const sql = `${left.sql} ${op} ${right.sql}`
  const known = right.literal?.text
  if (known !== undefined && BigInt(known) !== 0n) return { sql: `(${sql})`, type: INT64 }
  return { sql: guardZero(left, right, sql, name === 'DIV' ? '/' : '%', call.safe), type: INT64 }
}
