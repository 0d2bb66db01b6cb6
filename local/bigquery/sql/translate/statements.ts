import type { Translated, TranslationContext } from '../contract.ts'
import { QueryError } from '../errors.ts'
import { parseStatement } from '../parse/statements.ts'
import type { Query } from '../parse/ast.ts'
import { type Surroundings } from './context.ts'
import { Environment } from './environment.ts'
import { settleNulls, translator } from './queries.ts'
import type { Column } from './scope.ts'
import { fieldOfType } from './types.ts'
import type { TableField } from '../../types.ts'

const NOTHING_AROUND: Surroundings = { ctes: new Map(), views: [] }

/** Translates one statement of any kind. */
export function translateStatement(sql: string, context: TranslationContext): Translated {
  const env = new Environment(context)
  const statement = parseStatement(sql)
  if (statement.kind === 'query') {
    const query = selectOf(statement.query, env)
    return { statementType: 'SELECT', ...query, tables: env.tables }
  }
  throw new QueryError(`Not supported by the local BigQuery: ${statement.kind}`)
}

function selectOf(query: Query, env: Environment): { sql: string; schema: TableField[] } {
  const translated = settleNulls(translator.query(query, { env, surroundings: NOTHING_AROUND }))
  return { sql: translated.sql, schema: schemaOf(translated.columns) }
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
