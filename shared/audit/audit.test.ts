import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { startBigQuery } from '../../local/bigquery/index.ts'
import { compileRoute, type Origin, RowBuffer } from '../codec/index.ts'
import { type Config, parseConfig } from '../config/index.ts'
import { letterOf } from '../dead-letters/index.ts'
import {
  beside,
  DEAD_LETTERS,
  defaultStream,
  encodeFixedRow,
  ensureRouteTables,
  openWarehouse,
  SOURCES,
  type Warehouse,
} from '../warehouse/index.ts'
import { runAudit } from './index.ts'

/** A line of ten bytes for each event, in sources `a` (finished) and `b` (growing). */
const SIZE = 10
const EVENTS = 5
/** When all of it happened: no test may see a midnight. */
const DAY = '2026-01-15'
const AT_MICROS = Date.parse(`${DAY}T12:00:00Z`) * 1000

interface Cloud {
  readonly config: Config
  readonly warehouse: Warehouse
}

async function startCloud(t: TestContext): Promise<Cloud> {
  const dataDir = await mkdtemp(join(tmpdir(), 'millrace-audit-'))
  const server = await startBigQuery({ dataDir })
  const raw = 'format: raw, partition: { by: day }'
  const routes = `lines: { topic: t, table: lines, ${raw} }, others: { topic: o, table: others, push: true, ${raw} }`
  const endpoints = `bigquery: '${server.rest}', bigquery_storage: '${server.grpc}'`
  const text = `{ project: p, dataset: d, kafka: { brokers: ['k:1'] }, routes: { ${routes} }, endpoints: { ${endpoints} },
    push: { auth: secret, secret: { env: NONE } } }`
  const config = parseConfig(text, '/millrace.yaml')
  const warehouse = openWarehouse(config, 'test')
  t.after(async () => {
    warehouse.close()
    await server.stop()
    await rm(dataDir, { recursive: true })
  })
  return { config, warehouse }
}

/** Source `a`: rows, one dead letter, an end. Source `b`: rows alone. */
async function fill({ config, warehouse }: Cloud): Promise<void> {
  await makeTables({ config, warehouse })
  await appendRows({ config, warehouse }, 'a', [0, 1, 3, 4])
  await appendRows({ config, warehouse }, 'b', [0, 1, 2])
  const { table } = config.routes['lines']!
  const at = originOf('a', 2)
  const letter = letterOf('lines', { reason: 'json_syntax', message: '' }, Buffer.from('x'), at, null)
  // At least once: the view shows one.
  await append(warehouse, defaultStream(beside(table, DEAD_LETTERS.name)), DEAD_LETTERS.descriptor, letter)
  await append(warehouse, defaultStream(beside(table, DEAD_LETTERS.name)), DEAD_LETTERS.descriptor, letter)
  const finished = { source: 'a', start: 0, size: EVENTS * SIZE, events: EVENTS, object: 'o', generation: 1 }
  const source = encodeFixedRow(SOURCES, { ...finished, finished_at: AT_MICROS })
  await append(warehouse, defaultStream(beside(table, SOURCES.name)), SOURCES.descriptor, source)
}

async function makeTables({ config, warehouse }: Cloud): Promise<void> {
  for (const route of Object.values(config.routes))
    await ensureRouteTables(warehouse, config, route, compileRoute(route).fields)
}

async function appendRows({ config, warehouse }: Cloud, source: string, numbers: number[]): Promise<void> {
  const route = config.routes['lines']!
  const codec = compileRoute(route)
  const rows = new RowBuffer(1024)
  const line = Buffer.from('123456789')
  for (const number of numbers) {
    assert.equal(codec.encode(line, 0, line.length, originOf(source, number), rows), undefined)
  }
  await append(warehouse, defaultStream(route.table), codec.descriptor, rows.slice())
}

function originOf(source: string, number: number): Origin {
  const kafka = { kafkaTopic: 't', kafkaPartition: 0, kafkaOffset: number }
  return { source, position: number * SIZE, size: SIZE, ...kafka, ingestedAtMicros: AT_MICROS }
}

async function append(warehouse: Warehouse, stream: string, descriptor: object, rows: Buffer): Promise<void> {
  const appender = warehouse.openAppender(stream, descriptor)
  assert.equal((await appender.append(rows, undefined)).kind, 'written')
  appender.close()
}

const run = ({ warehouse, config }: Cloud, options = {}) => runAudit(warehouse, config, { settleMs: 0, ...options })

void suite('audit', () => {
  void test('rows and dead letters tile their sources', async (t) => {
    const cloud = await startCloud(t)
    await fill(cloud)
    assert.deepEqual(await run(cloud), { sources: 2, finished: 1, events: 8, faults: 0, listed: [] })
    assert.equal((await run(cloud, { day: DAY })).sources, 2)
    assert.equal((await run(cloud, { day: '2001-01-01' })).sources, 0)
  })

  void test('a planted loss is a gap', async (t) => {
    const cloud = await startCloud(t)
    await fill(cloud)
    await execute(cloud, "DELETE FROM d.lines WHERE millrace.source = 'b' AND millrace.position = 10")
    const { faults, listed } = await run(cloud)
    assert.equal(faults, 1)
    assert.deepEqual(listed, [{ kind: 'gap', source: 'b', from: 10, to: 20 }])
    assert.equal((await run(cloud, { day: DAY })).faults, 1)
  })

  void test('a planted double is an overlap', async (t) => {
    const cloud = await startCloud(t)
    await fill(cloud)
    await execute(
      cloud,
      "INSERT INTO d.lines SELECT * FROM d.lines WHERE millrace.source = 'b' AND millrace.position = 10",
    )
    const { faults, listed } = await run(cloud)
    assert.equal(faults, 1)
    assert.deepEqual(listed, [{ kind: 'overlap', source: 'b', from: 10, to: 20 }])
  })

  void test('a lost tail shows only where the end is known', async (t) => {
    const cloud = await startCloud(t)
    await fill(cloud)
    await execute(cloud, 'DELETE FROM d.lines WHERE millrace.position >= 20')
    assert.deepEqual((await run(cloud)).listed, [{ kind: 'gap', source: 'a', from: 30, to: 50 }])
    await execute(cloud, "DELETE FROM d.lines WHERE millrace.source = 'a'")
    await execute(cloud, 'DELETE FROM d.millrace_dead_letters WHERE TRUE')
    assert.deepEqual((await run(cloud)).listed, [{ kind: 'gap', source: 'a', from: 0, to: 50 }])
  })

  void test('an event behind the end of its source is found', async (t) => {
    const cloud = await startCloud(t)
    await fill(cloud)
    await appendRows(cloud, 'a', [5])
    assert.deepEqual((await run(cloud)).listed, [{ kind: 'beyond the end', source: 'a', from: 50, to: 60 }])
  })

  void test('tables that require a filter on their partitions are proven, too, and their views answer', async (t) => {
    const cloud = await startCloud(t)
    await fill(cloud)
    const body = JSON.stringify({ requirePartitionFilter: true })
    for (const { table } of Object.values(cloud.config.routes)) {
      const url = `${cloud.config.endpoints.bigquery}/bigquery/v2/projects/p/datasets/d/tables/${table.table}`
      const patched = await fetch(url, { method: 'PATCH', headers: { 'content-type': 'application/json' }, body })
      assert.equal(patched.status, 200)
    }
    await assert.rejects(execute(cloud, 'SELECT COUNT(*) FROM d.lines'), /without a filter over column/)
    await makeTables(cloud) // as each start of a consumer does
    assert.deepEqual(await run(cloud), { sources: 2, finished: 1, events: 8, faults: 0, listed: [] })
    const sql =
      'SELECT (SELECT COUNT(*) FROM d.millrace_dead_letters_open) AS letters, (SELECT COUNT(*) FROM d.others_once) AS once'
    assert.deepEqual(await Array.fromAsync(cloud.warehouse.query(sql)), [{ letters: '1', once: '0' }])
  })

  void test('where nothing has been carried there is nothing to prove', async (t) => {
    const cloud = await startCloud(t)
    const none = { sources: 0, finished: 0, events: 0, faults: 0, listed: [] }
    await ensureRouteTables(
      cloud.warehouse,
      cloud.config,
      cloud.config.routes['others']!,
      compileRoute(cloud.config.routes['others']!).fields,
    )
    assert.deepEqual(await run(cloud), none)
  })
})

async function execute({ warehouse }: Cloud, sql: string): Promise<void> {
  for await (const _row of warehouse.query(sql)) assert.fail('rows of a statement')
}
