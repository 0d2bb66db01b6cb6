import { errorAt } from '../errors.ts'
import type { CallExpr } from '../parse/ast.ts'
import type { Context, Translator } from '../translate/context.ts'
import { supertype, coercible, FLOAT64, INT64, type SqlType, type Typed } from '../translate/types.ts'
import { coerce } from '../translate/casts.ts'
import { Arguments, completeWindow } from './over.ts'

/** Navigation and numbering functions: https://cloud.google.com/bigquery/docs/reference/standard-sql/navigation_functions */
interface WindowRule {
  ordered: boolean
  call(args: Arguments): { call: string; type: SqlType }
}

/** Translates a function that needs an OVER clause. */
export function callWindow(node: CallExpr, context: Context, translator: Translator): Typed {
  const rule = WINDOWS.get(node.name)
  if (rule === undefined) throw new Error('the caller has looked the function up')
  if (node.over === undefined)
    throw errorAt(`Analytic function ${node.name} cannot be called without an OVER clause`, node.at)
  if (!context.clause.windows) throw errorAt(`Analytic function not allowed in ${context.clause.name}`, node.at)
  if (rule.ordered && completeWindow(node.over, context).orderBy.length === 0) {
    throw errorAt(`Window ORDER BY is required for analytic function ${node.name}`, node.at)
  }
  const args = new Arguments(node, context, translator)
  const { call, type } = rule.call(args)
  return { sql: `${call}${args.over}`, type }
}

function numbering(duck: string, type: SqlType, ordered: boolean): WindowRule {
  return {
    ordered,
    call(args) {
      args.count(0)
      return { call: `${duck}()`, type }
    },
  }
}

function nulls(args: Arguments): string {
  return args.node.nulls === 'IGNORE' ? ' IGNORE NULLS' : ''
}

function shift(duck: 'lag' | 'lead'): WindowRule {
  return {
    ordered: true,
    call(args) {
      args.count(1, 3)
      const value = args.get(0)
      const offset = args.node.args.length > 1 ? args.typed(1, INT64).sql : '1'
      if (args.node.args.length < 3) return { call: `${duck}(${value.sql}, ${offset}${nulls(args)})`, type: value.type }
      const fallback = args.get(2)
      const type = supertype([value, fallback])
      if (type === undefined || !coercible(fallback, type)) throw args.noSignature()
      const [a, b] = [coerce(value, type, args.node.at).sql, coerce(fallback, type, args.node.at).sql]
      return { call: `${duck}(${a}, ${offset}, ${b}${nulls(args)})`, type }
    },
  }
}

function edge(duck: string): WindowRule {
  return {
    ordered: true,
    call(args) {
      args.count(1)
      const value = args.get(0)
      return { call: `${duck}(${value.sql}${nulls(args)})`, type: value.type }
    },
  }
}

const NTH_VALUE: WindowRule = {
  ordered: true,
  call(args) {
    args.count(2)
    const value = args.get(0)
    return { call: `nth_value(${value.sql}, ${args.integer(1)}${nulls(args)})`, type: value.type }
  },
}

const NTILE: WindowRule = {
  ordered: true,
  call(args) {
    args.count(1)
    return { call: `ntile(${args.integer(0)})`, type: INT64 }
  },
}

function percentile(duck: string, continuous: boolean): WindowRule {
  return {
    ordered: false,
    call(args) {
      args.count(2)
      if (args.node.nulls === 'RESPECT')
        throw errorAt(`Not supported by the local BigQuery: ${args.node.name} with RESPECT NULLS`, args.node.at)
      const value = continuous ? args.typed(0, FLOAT64) : args.get(0)
      return { call: `${duck}(${value.sql}, ${args.typed(1, FLOAT64).sql})`, type: value.type }
    },
  }
}

export const WINDOWS: ReadonlyMap<string, WindowRule> = new Map<string, WindowRule>([
  ['CUME_DIST', numbering('cume_dist', FLOAT64, true)],
  ['DENSE_RANK', numbering('dense_rank', INT64, true)],
  ['FIRST_VALUE', edge('first_value')],
  ['LAG', shift('lag')],
  ['LAST_VALUE', edge('last_value')],
  ['LEAD', shift('lead')],
  ['NTH_VALUE', NTH_VALUE],
  ['NTILE', NTILE],
  ['PERCENTILE_CONT', percentile('quantile_cont', true)],
  ['PERCENTILE_DISC', percentile('quantile_disc', false)],
  ['PERCENT_RANK', numbering('percent_rank', FLOAT64, true)],
  ['RANK', numbering('rank', INT64, true)],
  ['ROW_NUMBER', numbering('row_number', INT64, false)],
])
