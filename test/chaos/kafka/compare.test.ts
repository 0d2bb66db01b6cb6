import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { startBigQuery } from '../../../local/bigquery/index.ts'
import { openCodec } from '../../../shared/codec/index.ts'
import { loadConfig } from '../../../shared/config/index.ts'
import { ensureRouteTables, openWarehouse } from '../../../shared/warehouse/index.ts'
import { comparePlaces } from './compare.ts'
import { EVENT_FIELDS } from './publisher.ts'

/** Of each source the event 0 is broken. */
const SOURCES = [
  { source: 'a', events: 4 },
  { source: 'b', events: 2 },
]

async function openTables(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-compare-'))
  const server = await startBigQuery({ dataDir: folder })
  const endpoints = { bigquery: server.rest, bigquery_storage: server.grpc }
  const events = { topic: 't', schema: 'event.json', table: 'events' }
  const file = join(folder, 'millrace.yaml')
  writeFileSync(join(folder, 'event.json'), JSON.stringify(EVENT_FIELDS))
  const kafka = { brokers: ['k:1'] }
  writeFileSync(file, JSON.stringify({ project: 'p', dataset: 'logs', kafka, endpoints, routes: { events } }))
  const config = loadConfig(file, {})
  const warehouse = openWarehouse(config, 'test')
  t.after(async () => {
    warehouse.close()
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  const route = config.routes['events']!
  await ensureRouteTables(warehouse, config, route, openCodec(route).fields)
  return {
    warehouse,
    execute: async (sql: string) => void (await Array.fromAsync(warehouse.query(sql))),
  }
}

const NOWHERE =
  'CAST(NULL AS STRING) AS kafka_topic, 0 AS kafka_partition, 0 AS kafka_offset, CURRENT_TIMESTAMP() AS ingested_at'

void test('places are compared as sets: nothing foreign hides what is missing', async (t) => {
  const { warehouse, execute } = await openTables(t)
  const addRow = (source: string, position: number, number = position) => {
    const place = `STRUCT('${source}' AS source, ${position} AS position, 1 AS size, ${NOWHERE})`
    return execute(
      `INSERT INTO logs.events (number, text, millrace) VALUES (${number}, REPEAT('x', ${number}), ${place})`,
    )
  }
  const addLetter = (source: string, position: number, number = position) =>
    execute(`INSERT INTO logs.millrace_dead_letters (source, position, bytes, kafka_topic, kafka_partition, kafka_offset)
      VALUES ('${source}', ${position}, CAST('broken ${number}' AS BYTES), '${source}', 0, ${position})`)
  const compared = () => comparePlaces(warehouse, SOURCES)

  for (const [source, position] of [
    ['a', 1],
    ['a', 2],
    ['a', 3],
    ['b', 1],
  ] as const)
    await addRow(source, position)
  for (const source of ['a', 'b']) await addLetter(source, 0)
  assert.deepEqual(await compared(), { missing: 0, duplicates: 0, alien: 0 })

  await execute("DELETE FROM logs.events WHERE millrace.source = 'a' AND millrace.position = 3")
  await addRow('a', 4)
  assert.deepEqual(await compared(), { missing: 1, duplicates: 0, alien: 1 }, 'a place behind the end')
  await addRow('c', 1)
  await addRow('b', 1, 2)
  assert.deepEqual(
    await compared(),
    { missing: 1, duplicates: 0, alien: 3 },
    'a source of nobody, the content of another place',
  )
  await addRow('a', 1)
  await addRow('a', 1)
  assert.deepEqual(await compared(), { missing: 1, duplicates: 2, alien: 3 })
  await addLetter('a', 3)
  await addRow('b', 0) // and with it the view has no letter of that place any more
  assert.deepEqual(await compared(), { missing: 2, duplicates: 2, alien: 5 }, 'a letter for a row, a row for a letter')
})
