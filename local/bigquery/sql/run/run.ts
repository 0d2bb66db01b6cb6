import type { DuckDBConnection, DuckDBResult } from '@duckdb/node-api'
import type { TableField } from '../../types.ts'
import type { DmlStats, QueryResult, ResultRow, TimestampFormat, Translated, TranslatedDml } from '../contract.ts'
import { QueryError } from '../errors.ts'
import { cellWriter } from './cells.ts'
import { failureOf } from './failures.ts'

export interface RunOptions {
  /** How TIMESTAMP values are written; seconds with a fraction when absent, as the REST API does. */
  timestampFormat?: TimestampFormat
}

/**
 * Runs a translated statement. The rows of a SELECT are produced while they are read: memory stays flat, and the
 * connection is busy until the last chunk. A statement that changes rows has done so when the promise resolves.
 */
export async function runTranslated(
  connection: DuckDBConnection,
  translated: Translated,
  options: RunOptions,
): Promise<QueryResult> {
  if ('orReplace' in translated || 'fields' in translated) {
    throw new QueryError(`${translated.statementType} changes the catalog, not the rows`)
  }
  try {
    if (translated.statementType !== 'SELECT') return await changeRows(connection, translated)
    const result = await connection.stream(translated.sql)
    const format = options.timestampFormat ?? 'FLOAT64'
    return { schema: translated.schema, chunks: rowChunks(result, translated.schema, format) }
  } catch (thrown) {
    throw failureOf(thrown)
  }
}

async function* rowChunks(
  result: DuckDBResult,
  schema: readonly TableField[],
  format: TimestampFormat,
): AsyncGenerator<ResultRow[]> {
  const writers = schema.map((field) => cellWriter(field, format))
  try {
    for (
      let chunk = await result.fetchChunk();
      chunk !== null && chunk.rowCount > 0;
      chunk = await result.fetchChunk()
    ) {
      const columns = writers.map((writer, i) => chunk.getColumnValues(i).map(writer))
      yield Array.from({ length: chunk.rowCount }, (_unused, row) => ({
        f: columns.map((column) => ({ v: column[row] ?? null })),
      }))
    }
  } catch (thrown) {
    throw failureOf(thrown)
  }
}

async function changeRows(connection: DuckDBConnection, dml: TranslatedDml): Promise<QueryResult> {
  for (const guard of dml.guards) {
    const reader = await connection.runAndReadAll(guard.sql)
    if (reader.currentRowCount > 0) throw new QueryError(guard.message)
  }
  const stats: DmlStats = { insertedRowCount: 0, updatedRowCount: 0, deletedRowCount: 0 }
  if (dml.statementType === 'MERGE') await countActions(await connection.stream(dml.sql), stats)
  else {
    const result = await connection.run(dml.sql)
    stats[COUNTED[dml.statementType]] = result.rowsChanged
  }
  return { schema: [], chunks: noChunks(), dml: stats }
}

const COUNTED = {
  INSERT: 'insertedRowCount',
  UPDATE: 'updatedRowCount',
  DELETE: 'deletedRowCount',
  TRUNCATE_TABLE: 'deletedRowCount',
} as const

/** A MERGE returns one word for each row that it touched. */
async function countActions(result: DuckDBResult, stats: DmlStats): Promise<void> {
  for (let chunk = await result.fetchChunk(); chunk !== null && chunk.rowCount > 0; chunk = await result.fetchChunk()) {
    for (const action of chunk.getColumnValues(0)) {
      if (action === 'INSERT') stats.insertedRowCount++
      else if (action === 'UPDATE') stats.updatedRowCount++
      else if (action === 'DELETE') stats.deletedRowCount++
    }
  }
}

async function* noChunks(): AsyncGenerator<ResultRow[]> {}
