import type { DuckDBConnection } from '@duckdb/node-api'
import { type ResultRow, runQuery } from '../sql/index.ts'
import { quoteIdentifier, type TableField } from '../types.ts'
import { duckName } from '../warehouse/warehouse.ts'
import { type Context, fieldsOf, snapshot, tableOf } from './context.ts'
import { invalid } from './errors.ts'
import { etagOf } from './etag.ts'
import { type Answer, count, flag, type Request } from './exchange.ts'
import { startOf, tokenOf } from './page.ts'
import { withTimestamps } from './timestamps.ts'

/** Rows of one answer. */
const PAGE_ROWS_MAX = 50_000
/** Bytes of one answer, as JSON. */
const PAGE_BYTES_MAX = 10 * 1000 * 1000

/** GET tables/T/data: rows in the order in which they came, by pages. */
export async function listTableData(context: Context, request: Request): Promise<Answer> {
  const table = tableOf(context, request)
  if (table.body.view) throw invalid('Cannot list a table of type VIEW.')
  const parameters = request.query
  const start = parameters.get('pageToken')
    ? startOf(parameters.get('pageToken'))
    : (count(parameters.get('startIndex')) ?? 0)
  const limit = Math.min(count(parameters.get('maxResults')) ?? PAGE_ROWS_MAX, PAGE_ROWS_MAX)
  const fields = selected(fieldsOf(table.body), parameters.get('selectedFields'))
  const connection = await snapshot(context, [table])
  try {
    const rows = await read(connection, duckName(table.uid), fields, start, limit)
    const total = await countRows(connection, duckName(table.uid))
    const next = start + rows.length
    const form = flag(parameters, 'formatOptions.useInt64Timestamp') ? 'micros' : 'seconds'
    return {
      json: {
        kind: 'bigquery#tableDataList',
        etag: etagOf([table.uid, total, start]),
        totalRows: String(total),
        ...(rows.length > 0 && { rows: withTimestamps(rows, fields, form) }),
        ...(next < total && rows.length > 0 && { pageToken: tokenOf(next) }),
      },
    }
  } finally {
    connection.closeSync()
  }
}

function selected(fields: readonly TableField[], names: string | null): TableField[] {
  if (names === null || names === '') return [...fields]
  const wanted = new Set(names.toLowerCase().split(','))
  return fields.filter((field) => wanted.has(field.name.toLowerCase()))
}

async function read(
  connection: DuckDBConnection,
  name: string,
  fields: TableField[],
  start: number,
  limit: number,
): Promise<ResultRow[]> {
  const columns = fields.map((field) => quoteIdentifier(field.name)).join(', ')
  const sql = `SELECT ${columns} FROM ${name} ORDER BY rowid LIMIT ${limit} OFFSET ${start}`
  const translated = { statementType: 'SELECT', sql, schema: fields, tables: [] } as const
  const { chunks } = await runQuery(connection, { ...translated, tables: [] }, { timestampFormat: 'INT64' })
  const page: ResultRow[] = []
  let bytes = 0
  for await (const rows of chunks) {
    for (const row of rows) {
      bytes += JSON.stringify(row).length
      if (bytes > PAGE_BYTES_MAX && page.length > 0) return page
      page.push(row)
    }
  }
  return page
}

async function countRows(connection: DuckDBConnection, name: string): Promise<number> {
  const counted = await connection.runAndReadAll(`SELECT count(*) FROM ${name}`)
  return Number(counted.getRows()[0]?.[0] ?? 0)
}
