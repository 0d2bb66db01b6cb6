import type { Translated, TranslatedView, TranslationContext } from '../contract.ts'
import { QueryError } from '../errors.ts'
import { parseStatement } from '../parse/statements.ts'
import type { Query, Statement } from '../parse/ast.ts'
import { alterColumn } from './alter.ts'
import { translateDml } from './dml.ts'
import { Environment } from './environment.ts'
import { NOTHING_AROUND, settleNulls, translator } from './queries.ts'
import type { Column } from './scope.ts'
import { fieldOfType } from './types.ts'
import { quoteIdentifier, type TableField } from '../../types.ts'
import type { TranslatedQuery } from './context.ts'
import { rangeOf } from './from.ts'

/** Translates one statement of any kind. */
export function translateStatement(sql: string, context: TranslationContext): Translated {
  try {
    return translated(sql, context)
  } catch (error) {
    // A chain of some thousand operators is deeper than the stack; BigQuery has its limits too.
    if (error instanceof RangeError) throw new QueryError('Query is too complex: its expressions are nested too deeply')
    throw error
  }
}

function translated(sql: string, context: TranslationContext): Translated {
  const env = new Environment(context)
  const statement = parseStatement(sql)
  if (statement.kind === 'query') {
    const query = selectOf(statement.query, env)
    return { statementType: 'SELECT', ...query, tables: env.tables }
  }
  if (statement.kind === 'createView' || statement.kind === 'dropView') return viewStatement(statement, env)
  if (statement.kind === 'alterColumn') return alterColumn(statement, env)
  const dml = translateDml(statement, env)
  return { ...dml, tables: env.tables }
}

type ViewStatement = Extract<Statement, { kind: 'createView' | 'dropView' }>

/** CREATE VIEW is translated for its schema and its mistakes; its text is what the catalog keeps. */
function viewStatement(statement: ViewStatement, env: Environment): TranslatedView {
  const target = env.tableName(statement.target.path, false)
  const { tolerant } = statement
  if (statement.kind === 'dropView')
    return { statementType: 'DROP_VIEW', target, orReplace: false, tolerant, tables: [] }
  const inside = { ctes: new Map(), views: [`${target.project}.${target.dataset}.${target.table}`] }
  const { columns } = outermost(translator.query(statement.query, { env, surroundings: inside }), env)
  const nameless = columns.findIndex((column) => column.name === undefined)
  if (nameless >= 0) throw new QueryError(`CREATE VIEW columns must be named, but column ${nameless + 1} has no name`)
  const { orReplace, text: query } = statement
  return {
    statementType: 'CREATE_VIEW',
    target,
    query,
    schema: schemaOf(columns),
    orReplace,
    tolerant,
    tables: env.tables,
  }
}

function selectOf(query: Query, env: Environment): { sql: string; schema: TableField[] } {
  const whole = outermost(translator.query(query, { env, surroundings: NOTHING_AROUND }), env)
  return { sql: whole.sql, schema: schemaOf(whole.columns) }
}

/** A query as its reader sees it: the row of a SELECT AS STRUCT shows its fields, an untyped NULL is an INT64. */
function outermost(query: TranslatedQuery, env: Environment): TranslatedQuery {
  if (!query.isValue || query.columns[0]?.type.kind !== 'STRUCT') return settleNulls(query)
  const alias = env.fresh('v')
  const { columns } = rangeOf(query.columns, true, alias, undefined)
  const named = columns.map((column, i) => ({ ...column, sql: quoteIdentifier(`_col_${i + 1}`) }))
  const items = columns.map((column, i) => `${column.sql} AS ${named[i]?.sql}`)
  return settleNulls({
    sql: `SELECT ${items.join(', ')} FROM (${query.sql}) AS ${alias}`,
    columns: named,
    isValue: false,
  })
}

/** The result's schema: columns without a name are f0_, f1_ and so on; doubles are refused. */
function schemaOf(columns: readonly Column[]): TableField[] {
  let anonymous = 0
  const fields = columns.map((column) => fieldOfType(column.name ?? `f${anonymous++}_`, column.type))
  const names = fields.map((field) => field.name.toLowerCase())
  const doubles = fields.filter((field, i) => names.indexOf(field.name.toLowerCase()) !== i).map((field) => field.name)
  if (doubles.length > 0) {
    throw new QueryError(
      `Duplicate column names in the result are not supported. Found duplicate(s): ${doubles.join(', ')}`,
    )
  }
  return fields
}
