import type { DuckDBConnection } from '@duckdb/node-api'
import type { QueryResult, TimestampFormat, Translated, TranslationContext } from './contract.ts'
import { QueryError } from './errors.ts'

export * from './contract.ts'
export { QueryError } from './errors.ts'

/**
 * Translates one GoogleSQL statement for DuckDB. What is not on the allow-list of forms and functions is refused.
 * Throws a `QueryError` in BigQuery's words.
 */
export function translateQuery(_sql: string, _context: TranslationContext): Translated {
  throw new QueryError('translateQuery is not built yet')
}

/** Runs a translated statement. The connection must be in time zone UTC; errors of the run are `QueryError`s too. */
export function runQuery(
  _connection: DuckDBConnection,
  _translated: Translated,
  _options?: { timestampFormat?: TimestampFormat },
): Promise<QueryResult> {
  return Promise.reject(new QueryError('runQuery is not built yet'))
}
