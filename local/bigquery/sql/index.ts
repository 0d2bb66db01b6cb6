import type { DuckDBConnection } from '@duckdb/node-api'
import type { QueryResult, Translated, TranslationContext } from './contract.ts'
import { type RunOptions, runTranslated } from './run/run.ts'
import { translateStatement } from './translate/statements.ts'

export * from './contract.ts'
export { QueryError } from './errors.ts'
export { knownFunctions } from './functions/index.ts'
export type { RunOptions } from './run/run.ts'

/**
 * Translates one GoogleSQL statement for DuckDB. The parser, the resolver of names and types, and the tables of functions
 * are the allow-list: nothing reaches DuckDB that they do not know. Throws a `QueryError` in BigQuery's words.
 */
export function translateQuery(sql: string, context: TranslationContext): Translated {
  return translateStatement(sql, context)
}

/** Runs a translated statement; errors of the run are `QueryError`s too. */
export function runQuery(
  connection: DuckDBConnection,
  translated: Translated,
  options: RunOptions = {},
): Promise<QueryResult> {
  return runTranslated(connection, translated, options)
}
