import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { startBigQuery } from '../../local/bigquery/index.ts'
import { compileRoute, RowBuffer } from '../codec/index.ts'
import { parseConfig } from '../config/index.ts'
import { highestOffset } from './highest-offset.ts'
import { openWarehouse } from './warehouse.ts'

void test('the metadata column is found under any name, and no record of the event is taken for it', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'millrace-highest-'))
  const server = await startBigQuery({ dataDir })
  const endpoints = `bigquery: '${server.rest}', bigquery_storage: '${server.grpc}'`
  const config = parseConfig(
    `{ project: p, dataset: d, kafka: { brokers: ['k:1'] }, endpoints: { ${endpoints} },
      routes: { lines: { topic: t, format: raw, table: lines, metadata: group } } }`,
    '/millrace.yaml',
  )
  const warehouse = openWarehouse(config, 'test')
  t.after(async () => {
    warehouse.close()
    await server.stop()
    await rm(dataDir, { recursive: true })
  })
  const route = config.routes['lines']!
  const codec = compileRoute(route)
  const columns = { kafka_topic: 'STRING', kafka_partition: 'INT64', kafka_offset: 'INT64', ingested_at: 'TIMESTAMP' }
  const fields = Object.entries(columns).map(([name, type]) => ({ name, type }))
  const origins = fields.map(({ name: lacking }) => {
    return { name: `without_${lacking}`, type: 'RECORD', fields: fields.filter(({ name }) => name !== lacking) }
  })
  await warehouse.ensureTable(route.table, { fields: [...origins, ...codec.fields] })
  const rows = new RowBuffer(1024)
  const at = { source: null, position: 0, size: 0, kafkaTopic: 't', kafkaPartition: 0, ingestedAtMicros: 5_000_000 }
  for (const kafkaOffset of [3, 7, 9]) codec.encode(Buffer.from('x'), 0, 1, { ...at, kafkaOffset }, rows)
  const stream = await warehouse.createStream(route.table, 'COMMITTED')
  const appender = warehouse.openAppender(stream, codec.descriptor)
  assert.equal((await appender.append(rows.slice(), 0)).kind, 'written')
  appender.close()
  const ask = { kind: 'ask', stream, from: 0, below: 9, since: 5000 } as const
  assert.equal(await highestOffset(warehouse, { topic: 't', partition: 0 }, ask), 7)
  assert.equal(await highestOffset(warehouse, { topic: 't', partition: 0 }, { ...ask, since: 5001 }), null)
})
