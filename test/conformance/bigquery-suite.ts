import assert from 'node:assert/strict'
import { after, afterEach, before } from 'node:test'
import type { BigQuery } from '@google-cloud/bigquery'
import { type BigQueryWriteClient, protos } from '@google-cloud/bigquery-storage'
import { BigQueryProcess, PROJECT } from './bigquery-process.ts'
import { type AppendResponse, rowType } from './bigquery-rows.ts'

const { StorageError } = protos.google.cloud.bigquery.storage.v1
export const CODES = StorageError.StorageErrorCode

/** The row of most cases, its table, and some of them. */
export const PERSON = rowType({ id: 'int64', name: 'string' })
export const FIELDS = [
  { name: 'id', type: 'INT64', mode: 'REQUIRED' },
  { name: 'name', type: 'STRING' },
]
export const people = (from: number, count: number): Buffer[] =>
  Array.from({ length: count }, (_, at) => PERSON.encode({ id: from + at, name: `p${from + at}` }))

/**
 * One server for the cases of a file. After each case it is killed with kill -9: the rows of every table that the case
 * made must be as they were, and at the end all rows of all cases.
 */
export class WriteSuite {
  server!: BigQueryProcess
  bigquery!: BigQuery
  client!: BigQueryWriteClient
  readonly #acknowledged = new Map<string, unknown[]>()
  readonly #made: string[] = []

  constructor() {
    before(async () => {
      this.server = await BigQueryProcess.start()
      this.reconnect()
      await this.bigquery.createDataset('d')
    })
    afterEach(() => this.#killAndCompare())
    after(async () => {
      for (const [table, rows] of this.#acknowledged) assert.deepEqual(await this.rowsOf(table), rows, table)
      await this.server.dispose()
    })
  }

  async #killAndCompare(): Promise<void> {
    await this.server.faults.clear()
    const made = this.#made.filter((table) => !this.#acknowledged.has(table))
    for (const table of made) this.#acknowledged.set(table, await this.rowsOf(table))
    await this.server.killAndRestart()
    this.reconnect()
    for (const table of made) assert.deepEqual(await this.rowsOf(table), this.#acknowledged.get(table), table)
  }

  reconnect(): void {
    this.bigquery = this.server.bigquery()
    this.client = this.server.writeClient()
  }

  async rowsOf(table: string): Promise<string[]> {
    const [rows] = await this.bigquery.query({ query: `SELECT * FROM d.${table}`, useLegacySql: false })
    return (rows as unknown[]).map((row) => JSON.stringify(row)).sort((a, b) => a.localeCompare(b))
  }

  async count(table: string): Promise<number> {
    const [rows] = await this.bigquery.query({ query: `SELECT COUNT(*) AS n FROM d.${table}`, useLegacySql: false })
    return (rows as { n: number }[])[0]?.n ?? -1
  }

  async newTable(fields: object[] = FIELDS): Promise<{ table: string; parent: string }> {
    const table = `t${this.#made.length + 1}`
    this.#made.push(table)
    await this.bigquery.dataset('d').createTable(table, { schema: { fields } })
    return { table, parent: `projects/${PROJECT}/datasets/d/tables/${table}` }
  }

  async newStream(type: 'COMMITTED' | 'PENDING' = 'COMMITTED', fields: object[] = FIELDS) {
    const { table, parent } = await this.newTable(fields)
    const [stream] = await this.client.createWriteStream({ parent, writeStream: { type } })
    return { table, parent, name: stream.name ?? '', stream }
  }
}

/** How a call failed: its code and text. */
export async function failure(call: Promise<unknown>): Promise<{ code: number; message: string }> {
  try {
    await call
  } catch (error) {
    return { code: (error as { code: number }).code, message: (error as Error).message }
  }
  assert.fail('the call should have failed')
}

/** The StorageError inside an answer of AppendRows. */
export function storageError(response: AppendResponse): { code: number; entity: string; message: string } {
  const detail = response.error?.details[0]
  assert.equal(detail?.type_url, 'type.googleapis.com/google.cloud.bigquery.storage.v1.StorageError')
  const { code, entity, errorMessage } = StorageError.decode(detail?.value ?? Buffer.alloc(0))
  return { code: code as number, entity, message: errorMessage }
}
