import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { BigQuery } from '@google-cloud/bigquery'
import { OAuth2Client } from 'google-auth-library'
import { RowBuffer, type RowCodec } from '../../shared/codec/index.ts'
import { parseConfig } from '../../shared/config/index.ts'
import { openWarehouse, type Warehouse } from '../../shared/warehouse/index.ts'
import { bigQueryFor } from './command.ts'
import { NOWHERE } from './rows.ts'

// The client would look for a machine of Google's to ask for credentials; there is none, and none is needed.
process.env['METADATA_SERVER_DETECTION'] ??= 'none'

/** Rows on their whole way: into a new table through the product's own writer, and out of it by SQL. */
export interface ReadBack {
  readonly warehouse: Warehouse
  /** Encodes the events, appends them to a table of the codec's columns, and answers its name; every event is a row. */
  load(codec: RowCodec, events: readonly Buffer[]): Promise<string>
  /** The rows in the order of the events, by the official client, values as text; NULLs and empty arrays left out. */
  read(table: string): Promise<Record<string, unknown>[]>
}

export async function openReadBack(t: TestContext): Promise<ReadBack> {
  const { server, endpoints } = await bigQueryFor(t)
  const text = `{ project: ppp-ppp, dataset: d, bucket: bbb, routes: { x: { format: raw, table: x } }, ${endpoints} }`
  const config = parseConfig(text, join('/', 'millrace.yaml'))
  const warehouse = openWarehouse(config, 'test')
  t.after(() => warehouse.close())
  const authClient = new OAuth2Client()
  authClient.setCredentials({ access_token: 'local' })
  const client = new BigQuery({ projectId: 'ppp-ppp', apiEndpoint: server.rest, authClient, autoRetry: false })
  let tables = 0
  return {
    warehouse,
    async load(codec, events) {
      const table = `t${++tables}`
      const name = { project: 'ppp-ppp', dataset: 'd', table }
      await warehouse.ensureTable(name, { fields: codec.fields, ownColumn: 'millrace' })
      const appender = warehouse.openAppender(await warehouse.createStream(name, 'COMMITTED'), codec.descriptor)
      const answer = await appender.append(encode(codec, events), 0)
      assert.deepEqual(answer, { kind: 'written', offset: 0 })
      appender.close()
      return table
    },
    async read(table) {
      const query = `SELECT * EXCEPT (millrace) FROM d.${table} ORDER BY millrace.position`
      const [rows] = await client.query({ query, wrapIntegers: true })
      return rows.map((row) => plain(row) as Record<string, unknown>)
    },
  }
}

function encode(codec: RowCodec, events: readonly Buffer[]): Buffer {
  const out = new RowBuffer(64)
  events.forEach((event, position) => {
    const origin = { ...NOWHERE, source: 's', position, size: 1 }
    assert.equal(codec.encode(event, 0, event.length, origin, out), undefined, event.toString('latin1'))
  })
  return out.slice()
}

/** What the client makes of a value, as text: numbers and times are objects of its own. */
function plain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Buffer.isBuffer(value)) return value.toString('base64')
  if (Array.isArray(value)) return value.map(plain)
  if (value.constructor.name === 'Big') return (value as { toFixed(): string }).toFixed()
  if (value.constructor.name === 'BigQueryTimestamp') return inMicros(value as { value: string })
  if (value.constructor !== Object) return (value as { value: unknown }).value
  const kept = Object.entries(value).map(([name, item]) => [name, plain(item)] as const)
  return Object.fromEntries(kept.filter(([, item]) => item !== null && !(Array.isArray(item) && item.length === 0)))
}

/** The client writes three, six or nine digits. */
function inMicros({ value }: { value: string }): string {
  return value.replace(/\.(\d+)Z$/, (_, digits: string) => `.${digits.slice(0, 6).padEnd(6, '0')}Z`)
}
