import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { duckType, type TableField } from '../../types.ts'
import type { Cell, ResolvedTable, ResultRow, TranslationContext } from '../contract.ts'
import type { Answer } from './case.ts'

const VISITS: TableField[] = [
  { name: 'id', type: 'INTEGER', mode: 'REQUIRED' },
  { name: 'country', type: 'STRING' },
  { name: 'ts', type: 'TIMESTAMP' },
  { name: 'bytes', type: 'INTEGER' },
  { name: 'tags', type: 'STRING', mode: 'REPEATED' },
  { name: 'extra', type: 'JSON' },
  {
    name: 'millrace',
    type: 'RECORD',
    fields: [
      { name: 'source', type: 'STRING' },
      { name: 'position', type: 'INTEGER' },
      { name: 'size', type: 'INTEGER' },
    ],
  },
]
const SOURCES: TableField[] = [
  { name: 'source', type: 'STRING' },
  { name: 'size', type: 'INTEGER' },
]

const ROWS = `
  (1, 'DE', '2024-01-01 00:00:00+00', 100, ['a', 'b'], '{"agent": {"name": "curl"}, "n": 5}', {source: 's1', position: 0, size: 10}),
  (2, 'FR', '2024-01-01 10:30:00.123456+00', 200, [], NULL, {source: 's1', position: 10, size: 5}),
  (3, NULL, '2024-01-02 12:00:00+00', 50, ['c'], '{"n": null}', {source: 's2', position: 3, size: 7}),
  (4, 'DE', '2024-01-02 23:59:59.999999+00', 400, [], NULL, NULL)`

const TABLES: Readonly<Record<string, ResolvedTable>> = {
  visits: { kind: 'table', duckName: '"d"."visits"', fields: VISITS },
  millrace_sources: { kind: 'table', duckName: '"d"."millrace_sources"', fields: SOURCES, partitionTime: true },
  by_country: { kind: 'view', query: 'SELECT country, COUNT(*) AS n FROM d.visits GROUP BY country' },
  top_country: { kind: 'view', query: 'SELECT * FROM `p.d.by_country` ORDER BY n DESC LIMIT 1' },
  self_view: { kind: 'view', query: 'SELECT * FROM d.self_view' },
}

/** The tables that the known answers speak about. */
export const CONTEXT: TranslationContext = {
  project: 'p',
  defaultDataset: { project: 'p', dataset: 'd' },
  nowMs: Date.UTC(2024, 0, 1, 20),
  resolveTable: (project, dataset, table) =>
    ['p', 'dash-ed-project'].includes(project) && dataset === 'd' ? TABLES[table] : undefined,
  listTables: (project, dataset) =>
    project === 'p' && dataset === 'd'
      ? [
          { table: 'visits', type: 'BASE TABLE' },
          { table: 'millrace_sources', type: 'BASE TABLE' },
          { table: 'by_country', type: 'VIEW' },
        ]
      : undefined,
}

/** A database of its own with these tables. The session's zone is odd on purpose: answers may not depend on it. */
export async function openFixture(timeZone = 'UTC'): Promise<{ connection: DuckDBConnection; close(): void }> {
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  await connection.run(`SET TimeZone = '${timeZone}'; CREATE SCHEMA d`)
  await connection.run(`CREATE TABLE d.visits (${columns(VISITS)}); INSERT INTO d.visits VALUES ${ROWS}`)
  await connection.run(`CREATE TABLE d.millrace_sources (${columns(SOURCES)}, "_PARTITIONTIME" TIMESTAMPTZ)`)
  await connection.run(
    `INSERT INTO d.millrace_sources SELECT *, '2024-01-01 00:00:00+00' FROM (VALUES ('s1', 15), ('s2', 7), ('s3', 1))`,
  )
  const close = () => {
    connection.closeSync()
    instance.closeSync()
  }
  return { connection, close }
}

function columns(fields: readonly TableField[]): string {
  return fields.map((field) => `"${field.name}" ${duckType(field)}`).join(', ')
}

/** Rows as the tables of answers write them. */
export async function answersOf(chunks: AsyncIterable<ResultRow[]>): Promise<Answer[][]> {
  const rows: Answer[][] = []
  for await (const chunk of chunks) rows.push(...chunk.map((row) => row.f.map(({ v }) => plain(v))))
  return rows
}

function plain(cell: Cell): Answer {
  if (cell === null || typeof cell === 'string') return cell
  return (Array.isArray(cell) ? cell : cell.f).map(({ v }) => plain(v))
}
