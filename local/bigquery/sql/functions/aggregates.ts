import { errorAt } from '../errors.ts'
import type { CallExpr } from '../parse/ast.ts'
import type { Context, Translator } from '../translate/context.ts'
import { requireComparable } from '../translate/operators.ts'
import { arrayOf, BOOL, FLOAT64, INT64, isNumeric, type SqlType, STRING, type Typed } from '../translate/types.ts'
import { coerce } from '../translate/casts.ts'
import { Arguments } from './over.ts'

/** Aggregate functions: https://cloud.google.com/bigquery/docs/reference/standard-sql/aggregate_functions */
interface Aggregate {
  /** DuckDB's call, to which a FILTER and an OVER may be added. */
  call: string
  filter?: string
  type: SqlType
  /** What is done to the result. */
  wrap?: (sql: string) => string
}
type Rule = (args: Arguments) => Aggregate

/** Translates an aggregate function, with or without OVER. */
export function callAggregate(node: CallExpr, context: Context, translator: Translator): Typed {
  checkPlace(node, context)
  const rule = AGGREGATES.get(node.name)
  if (rule === undefined) throw new Error('the caller has looked the function up')
  const { grouping } = context
  const mark = grouping.loose.length
  const args = new Arguments(node, context, translator)
  const { call, filter, type, wrap = (sql) => sql } = rule(args)
  if (node.over === undefined) {
    grouping.grouped = true
    grouping.loose.length = mark
  }
  const filtered = filter === undefined ? '' : ` FILTER (WHERE ${filter})`
  return { sql: wrap(`${call}${filtered}${args.over}`), type }
}

function checkPlace(node: CallExpr, { clause }: Context): void {
  if (node.over !== undefined) {
    if (!clause.windows) throw errorAt(`Analytic function not allowed in ${clause.name}`, node.at)
  } else if (!clause.aggregates) {
    if (clause.name === 'an aggregate function') throw errorAt('Aggregations of aggregations are not allowed', node.at)
    throw errorAt(`Aggregate function ${node.name} not allowed in ${clause.name}`, node.at)
  }
}

function count(args: Arguments): Aggregate {
  if (args.node.star) return { call: 'count(*)', type: INT64 }
  args.count(1)
  const value = args.get(0)
  if (args.node.distinct) requireComparable(value.type, true, args.node.at)
  return { call: `count(${distinct(args)}${value.sql})`, type: INT64 }
}

function distinct(args: Arguments): string {
  return args.node.distinct ? 'DISTINCT ' : ''
}

function countIf(args: Arguments): Aggregate {
  args.count(1)
  return { call: `count(CASE WHEN ${args.typed(0, BOOL).sql} THEN 1 END)`, type: INT64 }
}

/** DuckDB sums integers to 128 bits; the cast brings BigQuery's overflow back. */
function sum(args: Arguments): Aggregate {
  const value = numeric(args)
  const type = value.type.kind === 'NULL' ? INT64 : value.type
  const call = `sum(${distinct(args)}${value.sql})`
  if (type.kind === 'FLOAT64') return { call, type }
  return { call, type, wrap: (sql) => `CAST(${sql} AS ${type.kind === 'INT64' ? 'BIGINT' : 'DECIMAL(38,9)'})` }
}

function numeric(args: Arguments): Typed {
  args.count(1)
  const value = args.get(0)
  if (!isNumeric(value.type) || value.type.kind === 'BIGNUMERIC') throw args.noSignature()
  return value.type.kind === 'NULL' ? coerce(value, INT64, args.node.at) : value
}

function average(args: Arguments): Aggregate {
  const value = numeric(args)
  const call = `avg(${distinct(args)}${value.sql})`
  if (value.type.kind !== 'NUMERIC') return { call, type: FLOAT64 }
  return { call, type: value.type, wrap: (sql) => `CAST(${sql} AS DECIMAL(38,9))` }
}

function statistics(duck: string): Rule {
  return (args) => {
    const value = coerce(numeric(args), FLOAT64, args.node.at)
    return { call: `${duck}(${distinct(args)}${value.sql})`, type: FLOAT64 }
  }
}

function pair(duck: string): Rule {
  return (args) => {
    args.count(2)
    return { call: `${duck}(${args.typed(0, FLOAT64).sql}, ${args.typed(1, FLOAT64).sql})`, type: FLOAT64 }
  }
}

function extreme(duck: 'min' | 'max'): Rule {
  return (args) => {
    args.count(1)
    const value = args.get(0)
    requireComparable(value.type, false, args.node.at)
    return { call: `${duck}(${value.sql})`, type: value.type }
  }
}

function anyValue(args: Arguments): Aggregate {
  args.count(1)
  const value = args.get(0)
  const having = args.having()
  if (having === undefined) return { call: `any_value(${value.sql})`, type: value.type }
  requireComparable(having.by.type, false, args.node.at)
  return { call: `arg_${having.most.toLowerCase()}_null(${value.sql}, ${having.by.sql})`, type: value.type }
}

function extremeBy(duck: string): Rule {
  return (args) => {
    args.count(2)
    const value = args.get(0)
    const by = args.get(1)
    requireComparable(by.type, false, args.node.at)
    return { call: `${duck}(${value.sql}, ${by.sql})`, type: value.type }
  }
}

function arrayAgg(args: Arguments): Aggregate {
  args.count(1)
  const value = args.get(0)
  if (value.type.kind === 'ARRAY') throw errorAt('The argument to ARRAY_AGG must not be an array type', args.node.at)
  const { limit, node } = args
  return {
    call: `list(${distinct(args)}${value.sql}${args.orderBy})`,
    type: arrayOf(value.type),
    ...(node.nulls === 'IGNORE' && { filter: `${value.sql} IS NOT NULL` }),
    ...(limit !== undefined && { wrap: (sql) => `(${sql})[1:${limit}]` }),
  }
}

function arrayConcatAgg(args: Arguments): Aggregate {
  args.count(1)
  const value = args.get(0)
  if (value.type.kind !== 'ARRAY') throw args.noSignature()
  const { limit } = args
  const cut = limit === undefined ? '' : `[1:${limit}]`
  return {
    call: `list(${value.sql}${args.orderBy})`,
    filter: `${value.sql} IS NOT NULL`,
    type: value.type,
    wrap: (sql) => `flatten((${sql})${cut})`,
  }
}

function stringAgg(args: Arguments): Aggregate {
  args.count(1, 2)
  const value = args.typed(0, STRING)
  const separator = args.node.args.length === 2 ? args.typed(1, STRING).sql : "','"
  const { limit, orderBy } = args
  if (limit === undefined)
    return { call: `string_agg(${distinct(args)}${value.sql}, ${separator}${orderBy})`, type: STRING }
  return {
    call: `list(${distinct(args)}${value.sql}${orderBy})`,
    filter: `${value.sql} IS NOT NULL`,
    type: STRING,
    wrap: (sql) => `array_to_string((${sql})[1:${limit}], ${separator})`,
  }
}

/** Exact, which an approximation may be. */
function approxCountDistinct(args: Arguments): Aggregate {
  args.count(1)
  const value = args.get(0)
  requireComparable(value.type, true, args.node.at)
  return { call: `count(DISTINCT ${value.sql})`, type: INT64 }
}

const QUANTILES_MAX = 10_000

function approxQuantiles(args: Arguments): Aggregate {
  args.count(2)
  const value = args.get(0)
  requireComparable(value.type, false, args.node.at)
  if (args.node.nulls === 'RESPECT')
    throw errorAt('Not supported by the local BigQuery: APPROX_QUANTILES with RESPECT NULLS', args.node.at)
  const number = args.integer(1)
  if (number < 1 || number > QUANTILES_MAX)
    throw errorAt('APPROX_QUANTILES: the number of quantiles is out of range', args.node.at)
  const positions = Array.from({ length: number + 1 }, (_unused, i) => i / number)
  return { call: `quantile_disc(${distinct(args)}${value.sql}, [${positions.join(', ')}])`, type: arrayOf(value.type) }
}

/** The most frequent values with their counts; exact, NULL among them. */
function approxTopCount(args: Arguments): Aggregate {
  args.count(2)
  const value = args.get(0)
  requireComparable(value.type, true, args.node.at)
  const number = args.integer(1)
  const type: SqlType = arrayOf({
    kind: 'STRUCT',
    fields: [
      { name: 'value', type: value.type },
      { name: 'count', type: INT64 },
    ],
  })
  const counted = `list_transform(map_entries(histogram({'v': ${value.sql}})), lambda e: {'count': CAST(e.value AS BIGINT), 'value': e.key.v})`
  const sorted = `list_sort(${counted}, 'DESC', 'NULLS LAST')[1:${number}]`
  return { call: `list_transform(${sorted}, lambda e: {'value': e.value, 'count': e.count})`, type }
}

function logical(duck: string): Rule {
  return (args) => {
    args.count(1)
    return { call: `${duck}(${args.typed(0, BOOL).sql})`, type: BOOL }
  }
}

function bits(duck: string): Rule {
  return (args) => {
    args.count(1)
    return { call: `${duck}(${args.typed(0, INT64).sql})`, type: INT64 }
  }
}

export const AGGREGATES: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ['ANY_VALUE', anyValue],
  ['APPROX_COUNT_DISTINCT', approxCountDistinct],
  ['APPROX_QUANTILES', approxQuantiles],
  ['APPROX_TOP_COUNT', approxTopCount],
  ['ARRAY_AGG', arrayAgg],
  ['ARRAY_CONCAT_AGG', arrayConcatAgg],
  ['AVG', average],
  ['BIT_AND', bits('bit_and')],
  ['BIT_OR', bits('bit_or')],
  ['BIT_XOR', bits('bit_xor')],
  ['CORR', pair('corr')],
  ['COUNT', count],
  ['COUNTIF', countIf],
  ['COVAR_POP', pair('covar_pop')],
  ['COVAR_SAMP', pair('covar_samp')],
  ['LOGICAL_AND', logical('bool_and')],
  ['LOGICAL_OR', logical('bool_or')],
  ['MAX', extreme('max')],
  ['MAX_BY', extremeBy('arg_max_null')],
  ['MIN', extreme('min')],
  ['MIN_BY', extremeBy('arg_min_null')],
  ['STDDEV', statistics('stddev_samp')],
  ['STDDEV_POP', statistics('stddev_pop')],
  ['STDDEV_SAMP', statistics('stddev_samp')],
  ['STRING_AGG', stringAgg],
  ['SUM', sum],
  ['VARIANCE', statistics('var_samp')],
  ['VAR_POP', statistics('var_pop')],
  ['VAR_SAMP', statistics('var_samp')],
])
