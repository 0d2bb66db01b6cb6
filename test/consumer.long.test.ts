import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { administer, createTopics, startKafka } from '../local/kafka/index.ts'
import { eventually } from './support/eventually.ts'
import { openPipeline, type Pipeline } from './support/pipeline.ts'

const SCHEMA = 'schema: visit.proto#shop.Visit'
/** After so long the same trouble is told again. */
const MINUTE_MS = 60_000
const visits = (from: number, count: number) =>
  Array.from({ length: count }, (_, index) => Buffer.from(JSON.stringify({ number: from + index, page: '/p' })))

async function expectRows(pipeline: Pipeline, rows: number, timeoutMs?: number): Promise<void> {
  const look = async () => {
    const [row] = await pipeline.query('SELECT COUNT(*) AS n, COUNT(DISTINCT number) AS numbers FROM logs.visits')
    return assert.deepEqual(row, { n: `${rows}`, numbers: `${rows}` }) ?? true
  }
  await eventually(look, { ...(timeoutMs && { timeoutMs }), what: `${rows} rows, each once` })
}

void test('quota errors for a minute: nothing is lost, the lag goes, and the log says it in one line a partition', async (t) => {
  const pipeline = await openPipeline(t, { routes: { visits: SCHEMA } })
  const quota = { kind: 'error', code: 'RESOURCE_EXHAUSTED', inBand: true } as const
  const worker = pipeline.worker()
  let published = 0
  const publish = async () => {
    for (const partition of [0, 1])
      await pipeline.publish('visits', visits(published + partition * 50, 50), { partition })
    published += 100
  }
  await publish()
  await expectRows(pipeline, published)
  pipeline.faults.add({ method: 'AppendRows', times: 100_000, fault: quota })
  for (const until = Date.now() + MINUTE_MS; Date.now() < until; await delay(100)) await publish()
  pipeline.faults.clear()
  await expectRows(pipeline, published)
  const lines = (text: string) =>
    worker.log
      .join('')
      .split('\n')
      .filter((line) => line.includes(text))
      .map((line) => JSON.parse(line) as { partition: number; time: string })
  const waits = Map.groupBy(lines('appends wait'), ({ partition }) => partition)
  assert.deepEqual(new Set(waits.keys()), new Set([0, 1]))
  for (const told of waits.values()) {
    const times = told.map(({ time }) => Date.parse(time))
    // A machine that stood still may have made it more than a minute.
    assert.ok(
      times.slice(1).every((time, index) => time - times[index]! > 59_000),
      'one line a minute and partition',
    )
  }
  await eventually(() => lines('"millrace.metrics"').length > 0, { timeoutMs: 90_000, what: 'metrics each minute' })
  assert.equal(await worker.kill('SIGTERM'), 0)
})

void test('a topic that comes later, and partitions that are added, are found within half a minute, from their start', async (t) => {
  const pipeline = await openPipeline(t, { partitions: 1, routes: { visits: `${SCHEMA}, from: end`, late: SCHEMA } })
  const topic = pipeline.topics['visits'] ?? ''
  const late = `${pipeline.topics['late']}-missing`
  pipeline.retarget('late', late)
  const worker = pipeline.worker()
  await eventually(() => worker.log.join('').includes('the topic does not exist'))
  await eventually(() => worker.log.join('').includes('"first-start"'))
  await pipeline.publish('visits', visits(0, 10))
  await expectRows(pipeline, 10)
  await administer(pipeline.kafka, (admin) => admin.createPartitions({ topicPartitions: [{ topic, count: 2 }] }))
  await createTopics(pipeline.kafka, [{ topic: late, partitions: 1 }])
  await eventually(() => pipeline.publish('visits', visits(10, 10), { partition: 1 }).then(() => true), {
    what: 'a leader',
  })
  await pipeline.publish('late', visits(0, 5))
  await expectRows(pipeline, 20, 60_000).catch((error: unknown) =>
    assert.fail(`${String(error)}\n${worker.log.join('')}`),
  )
  await eventually(async () => (await pipeline.query('SELECT number FROM logs.late')).length === 5)
  await eventually(() => worker.log.join('').includes('a partition was added'))
})

void test('a broker that takes little metadata of a commit: the worker ends and says what to do; fewer in flight go on', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'millrace-little-metadata-'))
  const kafka = await startKafka({ dataDir, properties: { 'offset.metadata.max.bytes': '260' } })
  t.after(() => rmSync(dataDir, { recursive: true, force: true, maxRetries: 3 }))
  t.after(() => kafka.stop())
  const broker = { brokers: kafka.brokers, unique: (base: string) => base }
  const consumer = 'flush_bytes: 16KiB'
  const pipeline = await openPipeline(t, { partitions: 1, broker, consumer, routes: { visits: SCHEMA } })
  for (let from = 0; from < 20_000; from += 1000) await pipeline.publish('visits', visits(from, 1000))
  const worker = pipeline.worker()
  assert.equal(await worker.ended, 2)
  assert.match(
    worker.log.join(''),
    /metadata .*too large\nfix: set offset.metadata.max.bytes .*or lower consumer.in_flight\n/,
  )
  const text = readFileSync(pipeline.configFile, 'utf8')
  writeFileSync(pipeline.configFile, text.replace(consumer, `${consumer}, in_flight: 1`))
  const fewer = pipeline.worker()
  await expectRows(pipeline, 20_000, 60_000).catch((error: unknown) =>
    assert.fail(`${String(error)}\n${fewer.log.join('')}`),
  )
  assert.equal(await fewer.kill('SIGTERM'), 0)
})
