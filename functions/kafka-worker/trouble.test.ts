import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { loadConfig } from '../../shared/config/index.ts'
import { administer, createTopics } from '../../local/kafka/index.ts'
import { commitFor, readCommits } from '../../shared/kafka/index.ts'
import { sharedBroker } from '../../test/support/broker.ts'
import { eventually } from '../../test/support/eventually.ts'
import { openPipeline, type Pipeline, VISIT_PROTO, type WorkerProcess } from '../../test/support/pipeline.ts'
import { API, startProxy } from '../../test/support/proxy.ts'
import { createLog } from '../../shared/telemetry/index.ts'
import { drain } from '../kafka-drain/index.ts'
import { parseAcceptLoss, runWorker } from './index.ts'

const MINUTE_MS = 60_000
const ROUTE = { visits: 'schema: visit.proto#shop.Visit' }
const visits = (from: number, count: number, page = '/p') =>
  Array.from({ length: count }, (_, index) => Buffer.from(JSON.stringify({ number: from + index, page })))

/** A worker in this process; stopped by the function that is returned, and at the end of the test. */
function start(t: TestContext, { configFile }: Pipeline): () => Promise<void> {
  const stop = new AbortController()
  const running = runWorker(loadConfig(configFile, {}), { signal: stop.signal })
  running.catch(() => undefined)
  const end = async () => {
    stop.abort()
    await running
  }
  t.after(end)
  return end
}

async function counts(pipeline: Pipeline): Promise<string> {
  const [row] = await pipeline.query(`SELECT COUNT(*) AS n, COUNT(DISTINCT number) AS numbers,
    (SELECT COUNT(*) FROM logs.millrace_dead_letters_open) AS letters FROM logs.visits`)
  return `${row?.['n']} rows, ${row?.['numbers']} numbers, ${row?.['letters']} letters`
}

async function expectCounts(pipeline: Pipeline, expected: string): Promise<void> {
  await eventually(async () => assert.equal(await counts(pipeline), expected) ?? true, { what: expected })
}

/** How many lines of a worker's log have this message. */
const lines = ({ log }: WorkerProcess, message: string): number => log.join('').split(`"${message}`).length - 1

/** Rows land, and their owner never hears of it, nor commits it: then it dies. */
async function landUnanswered(pipeline: Pipeline, values: readonly Buffer[], expected: string): Promise<void> {
  pipeline.faults.add({ method: 'AppendRows', times: 1000, fault: { kind: 'hang', landAfterMs: 0 } })
  const worker = pipeline.worker()
  await pipeline.publish('visits', values)
  await expectCounts(pipeline, expected)
  await worker.kill('SIGKILL')
  pipeline.faults.clear()
}

/** `projects/millrace-test/datasets/logs/` + path. */
async function rest({ bigQuery }: Pipeline, method: string, path: string, body?: object): Promise<void> {
  const response = await fetch(`${bigQuery.rest}/bigquery/v2/projects/millrace-test/datasets${path}`, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body ? { body: JSON.stringify(body) } : {}),
  })
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${await response.text()}`)
}

void test('records that are no events: tombstones, empty values, foreign keys, too long ones', async (t) => {
  const pipeline = await openPipeline(t, { partitions: 1, routes: ROUTE })
  await pipeline.publish('visits', visits(0, 3), { keys: false })
  await pipeline.publish('visits', [Buffer.alloc(0), Buffer.from('[1]')], { keys: false })
  await pipeline.publish('visits', [Buffer.alloc(0)], {
    headers: () => [{ key: 'millrace-dead', value: Buffer.from('too_long') }],
  })
  // A stranger's header of that name marks nothing.
  const strange = [{ key: 'millrace-dead', value: Buffer.from('"no\nreason"'.repeat(1000)) }]
  await pipeline.publish('visits', visits(3, 1), { keys: false, headers: () => strange })
  start(t, pipeline)
  await expectCounts(pipeline, '4 rows, 4 numbers, 3 letters')
  const letters = await pipeline.query('SELECT reason, source, kafka_offset FROM logs.millrace_dead_letters_open')
  assert.deepEqual(new Set(letters.map(({ reason }) => reason)), new Set(['too_long', 'truncated', 'wrong_type']))
  assert.equal(letters.filter(({ source }) => source !== undefined).length, 1)
})

void test('a record of 9 MB between small ones', async (t) => {
  const pipeline = await openPipeline(t, { partitions: 1, routes: ROUTE })
  const topic = `${pipeline.topics['visits']}-large`
  const config = { 'max.message.bytes': String(16 * 1024 * 1024) }
  await createTopics(pipeline.kafka, [{ topic, partitions: 1, config }])
  pipeline.retarget('visits', topic)
  const large = Buffer.from(JSON.stringify({ number: 5, page: 'x'.repeat(9 * 1024 * 1024 - 200) }))
  await pipeline.publish('visits', [...visits(0, 5), large, ...visits(6, 5)])
  start(t, pipeline)
  await expectCounts(pipeline, '11 rows, 11 numbers, 0 letters')
})

void test('rows that BigQuery refuses become dead letters, and the rows around them land once', async (t) => {
  // GEOGRAPHY is a text that only BigQuery can judge.
  const pipeline = await openPipeline(t, { partitions: 1, routes: { visits: 'schema: place.json' } })
  const fields = [
    { name: 'number', type: 'INT64' },
    { name: 'place', type: 'GEOGRAPHY' },
  ]
  writeFileSync(join(pipeline.folder, 'place.json'), JSON.stringify(fields))
  const visit = (number: number, place: string) => Buffer.from(JSON.stringify({ number, place }))
  for (let batch = 0; batch < 5; batch++) {
    const good = Array.from({ length: 100 }, (_, index) => visit(batch * 101 + index, `POINT(${index} 1)`))
    await pipeline.publish('visits', [...good, visit(batch * 101 + 100, 'nowhere')])
  }
  const worker = pipeline.worker()
  await expectCounts(pipeline, '500 rows, 500 numbers, 5 letters')
  assert.equal(lines(worker, 'BigQuery refuses '), 1)
  const [letter] = await pipeline.query('SELECT reason, message FROM logs.millrace_dead_letters_open LIMIT 1')
  assert.equal(letter?.['reason'], 'refused')
})

void test('a column that is added meanwhile, and spreads late', async (t) => {
  const pipeline = await openPipeline(t, { routes: ROUTE })
  await pipeline.publish('visits', visits(0, 50))
  const stop = start(t, pipeline)
  await expectCounts(pipeline, '50 rows, 50 numbers, 0 letters')
  await stop()
  writeFileSync(join(pipeline.folder, 'visit.proto'), VISIT_PROTO.replace('}', 'string city = 5; }'))
  pipeline.faults.add({ method: 'tables.patch', fault: { kind: 'late-columns', forMs: MINUTE_MS } })
  await pipeline.publish('visits', visits(50, 50))
  await pipeline.publish('visits', [Buffer.from('{"number":100,"city":"Ulm"}')], { partition: 1 })
  const worker = pipeline.worker()
  const waiting = () => lines(worker, 'appends wait: Input schema has more fields')
  await eventually(() => waiting() === 2, { what: 'a line for each of two partitions' })
  pipeline.clock.advance(MINUTE_MS)
  await expectCounts(pipeline, '101 rows, 101 numbers, 0 letters')
  assert.equal(lines(worker, 'changed the table millrace-test.logs.visits: gained city'), 1)
  assert.equal(waiting(), 2, 'no more of them')
  assert.deepEqual(await pipeline.query("SELECT number FROM logs.visits WHERE city = 'Ulm'"), [{ number: '100' }])
})

void test('a table that is deleted meanwhile is made again, and takes what follows', async (t) => {
  const pipeline = await openPipeline(t, { partitions: 1, routes: ROUTE })
  await pipeline.publish('visits', visits(0, 50))
  const worker = pipeline.worker()
  await expectCounts(pipeline, '50 rows, 50 numbers, 0 letters')
  const made = 'made the table millrace-test.logs.visits'
  assert.equal(lines(worker, made), 1)
  await rest(pipeline, 'DELETE', '/logs/tables/visits')
  await pipeline.publish('visits', visits(50, 30))
  await eventually(async () => (await counts(pipeline)) === '30 rows, 30 numbers, 0 letters')
  assert.equal(lines(worker, made), 2)
})

void test('a table that is deleted and made again under load: what follows is there once, without a gap', async (t) => {
  const pipeline = await openPipeline(t, { partitions: 1, consumer: 'flush_bytes: 8KiB', routes: ROUTE })
  start(t, pipeline)
  const { bigQuery } = pipeline
  const tables = `${bigQuery.rest}/bigquery/v2/projects/millrace-test/datasets/logs/tables`
  let published = 0
  const publishMore = async (rounds: number) => {
    for (let round = 0; round < rounds; round++, published += 100)
      await pipeline.publish('visits', visits(published, 100))
  }
  await publishMore(20)
  await expectCounts(pipeline, '2000 rows, 2000 numbers, 0 letters')
  const { schema, tableReference } = (await (await fetch(`${tables}/visits`)).json()) as Record<string, unknown>
  await Promise.all([
    publishMore(40),
    rest(pipeline, 'DELETE', '/logs/tables/visits').then(() =>
      // The worker may be quicker.
      rest(pipeline, 'POST', '/logs/tables', { schema, tableReference }).catch((error: unknown) =>
        assert.match(String(error), /409/),
      ),
    ),
  ])
  const held = async () => {
    const [row] = await pipeline.query(
      'SELECT COUNT(*) AS n, COUNT(DISTINCT number) AS numbers, MIN(number) AS first, MAX(number) AS last FROM logs.visits',
    )
    const { n, numbers, first, last } = Object.fromEntries(Object.entries(row ?? {}).map(([k, v]) => [k, Number(v)]))
    assert.deepEqual({ n, last }, { n: numbers, last: published - 1 })
    assert.equal(n, published - Number(first), 'no gap')
    return true
  }
  await eventually(held, { what: 'everything from some event on' })
})

void test('a topic that is made again under a worker, and is longer than before, stops with an alarm', async (t) => {
  const shared = await sharedBroker()
  const proxy = await startProxy(shared.brokers)
  const broker = { ...shared, brokers: proxy.brokers }
  const pipeline = await openPipeline(t, { partitions: 1, broker, routes: ROUTE })
  t.after(() => proxy.close())
  const topic = pipeline.topics['visits'] ?? ''
  const worker = pipeline.worker()
  await pipeline.publish('visits', visits(0, 20))
  await expectCounts(pipeline, '20 rows, 20 numbers, 0 letters')
  // In its next generation the topic is there again, however long that takes.
  const joining = proxy.on(API.JoinGroup, 'hold')
  await administer(pipeline.kafka, (admin) => admin.deleteTopics({ topics: [topic] }))
  await eventually(() => joining.hits === 1, { what: 'a worker that has noticed' })
  const again = () => createTopics(pipeline.kafka, [{ topic, partitions: 1 }]).then(() => true)
  await eventually(again, { what: 'the topic' })
  await pipeline.publish('visits', visits(20, 50))
  joining.release()
  const alarm = () => /the topic was made again: the group was at 2[01]/.test(worker.log.join(''))
  await eventually(alarm, { what: 'an alarm' }).catch(() => assert.fail(worker.log.join('')))
  assert.equal(await worker.kill('SIGTERM'), 0)
  assert.equal(await counts(pipeline), '20 rows, 20 numbers, 0 letters')
  start(t, pipeline)
  await expectCounts(pipeline, '70 rows, 70 numbers, 0 letters')
})

void test('a commit beyond the end stops the partition, however the topic grows; --accept-loss goes on, in a drain too', async (t) => {
  const pipeline = await openPipeline(t, { partitions: 1, routes: ROUTE })
  const at = { topic: pipeline.topics['visits'] ?? '', partition: 0 }
  const group = `millrace.${pipeline.config.name}.drain`
  const drained = async (...accept: string[]) =>
    (await drain(pipeline.config, createLog('test'), parseAcceptLoss(accept[0]))).rows
  await pipeline.publish('visits', visits(0, 20))
  assert.equal(await drained(), 20)
  const [commit] = await readCommits(pipeline.kafka, group, [at])
  await commitFor(pipeline.kafka, group, [{ ...at, offset: 40, metadata: commit?.metadata ?? '' }])
  await pipeline.publish('visits', visits(20, 5))
  assert.equal(await drained(), 0)
  // Offsets 0 to 19, a marker, 21 to 25, a marker, 27 to 56, a marker.
  await pipeline.publish('visits', visits(25, 30))
  assert.equal(await drained(), 0)
  assert.deepEqual([await drained(`${at.topic}/0@21`), await counts(pipeline)], [35, '55 rows, 55 numbers, 0 letters'])
})

void test('a log that is not clean, its stream expired, its route with another table: each event in one of the two', async (t) => {
  const pipeline = await openPipeline(t, { partitions: 1, routes: ROUTE })
  await landUnanswered(pipeline, visits(0, 20), '20 rows, 20 numbers, 0 letters')
  pipeline.clock.advance(4 * 24 * 3_600_000)
  const text = readFileSync(pipeline.configFile, 'utf8')
  writeFileSync(pipeline.configFile, text.replace('table: visits,', 'table: visits2, metadata: origin,'))
  await pipeline.publish('visits', visits(20, 5))
  const second = pipeline.worker()
  const numbers = async () =>
    (await pipeline.query('SELECT number FROM logs.visits2 ORDER BY number')).map(({ number }) => number)
  await eventually(async () => assert.deepEqual(await numbers(), ['20', '21', '22', '23', '24']) ?? true).catch(
    (error: unknown) => assert.fail(`${String(error)}\n${second.log.join('')}`),
  )
  assert.match(second.log.join(''), /expired-asked/)
})

void test('dead letters whose stream hangs go again as soon as answer_within says', async (t) => {
  const pipeline = await openPipeline(t, { partitions: 1, routes: ROUTE, consumer: 'answer_within: 1s' })
  const resource = '*/millrace_dead_letters/*'
  pipeline.faults.add({ method: 'AppendRows', resource, fault: { kind: 'hang' } })
  await pipeline.publish('visits', [Buffer.from('no visit'), ...visits(0, 1)])
  start(t, pipeline)
  await expectCounts(pipeline, '1 rows, 1 numbers, 1 letters')
  // Once more at least: on a machine that was stopped meanwhile the second answer may be late, too.
  assert.ok(pipeline.recorder.calls().filter((call) => call.resource.includes('/millrace_dead_letters/')).length >= 2)
})

void test('a quota that is used up for a while only delays', async (t) => {
  const pipeline = await openPipeline(t, { routes: ROUTE })
  const quota = { kind: 'error', code: 'RESOURCE_EXHAUSTED', inBand: true } as const
  pipeline.faults.add({ method: 'AppendRows', times: 3, fault: quota })
  pipeline.faults.add({ method: 'CreateWriteStream', fault: { kind: 'error', code: 'RESOURCE_EXHAUSTED' } })
  await pipeline.publish('visits', visits(0, 200))
  await pipeline.publish('visits', visits(200, 200), { partition: 1 })
  start(t, pipeline)
  await expectCounts(pipeline, '400 rows, 400 numbers, 0 letters')
})

void test('a table that requires a filter on its partitions answers the question that a lost stream needs', async (t) => {
  const routes = { visits: `${ROUTE.visits}, partition: { by: day }` }
  const pipeline = await openPipeline(t, { partitions: 1, routes })
  await landUnanswered(pipeline, visits(0, 20), '20 rows, 20 numbers, 0 letters')
  await rest(pipeline, 'PATCH', '/logs/tables/visits', { requirePartitionFilter: true })
  await assert.rejects(pipeline.query('SELECT number FROM logs.visits'), /without a filter over column/)
  pipeline.clock.advance(4 * 24 * 3_600_000)
  await pipeline.publish('visits', visits(20, 5))
  const second = pipeline.worker()
  const rows = () =>
    pipeline.query('SELECT number FROM logs.visits WHERE _PARTITIONTIME IS NULL OR _PARTITIONTIME IS NOT NULL')
  await eventually(async () => (await rows()).length >= 25).catch(() => undefined)
  assert.equal((await rows()).length, 25, second.log.join(''))
  assert.match(second.log.join(''), /expired-asked/)
})

void test('a stream that expired before its owner came back', async (t) => {
  const pipeline = await openPipeline(t, { partitions: 1, routes: ROUTE })
  await pipeline.publish('visits', visits(0, 20))
  const stop = start(t, pipeline)
  await expectCounts(pipeline, '20 rows, 20 numbers, 0 letters')
  await stop()
  pipeline.clock.advance(4 * 24 * 3_600_000)
  await pipeline.publish('visits', visits(20, 20))
  start(t, pipeline)
  await expectCounts(pipeline, '40 rows, 40 numbers, 0 letters')
})

void test('records that retention took stop the partition with an alarm, until the operator accepts the loss', async (t) => {
  const pipeline = await openPipeline(t, { partitions: 1, routes: ROUTE })
  const topic = pipeline.topics['visits'] ?? ''
  await pipeline.publish('visits', visits(0, 20))
  const stop = start(t, pipeline)
  await expectCounts(pipeline, '20 rows, 20 numbers, 0 letters')
  await stop()
  // Offsets 0 to 19 and a marker; now 21 to 40, of which those from 30 on remain.
  await pipeline.publish('visits', visits(20, 20))
  await administer(pipeline.kafka, async (admin) => {
    await admin.fetchTopicOffsets(topic) // kafkajs looks for the leader only among topics that it has met
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '30' }] })
  })

  const stopped = pipeline.worker()
  await eventually(() => stopped.log.join('').includes('records-lost'), { what: 'an alarm' })
  assert.equal(await stopped.kill('SIGTERM'), 0)
  assert.equal(await counts(pipeline), '20 rows, 20 numbers, 0 letters')

  const going = pipeline.worker('--accept-loss', `${topic}/0@30`)
  await expectCounts(pipeline, '31 rows, 31 numbers, 0 letters').catch(() => assert.fail(going.log.join('')))
})

void test('records that retention took while a partition was paused: what was fetched before is carried, and the alarm says the rest', async (t) => {
  const consumer = 'flush_bytes: 1KiB, queue_bytes: 8KiB, fetch_bytes: 1KiB'
  const pipeline = await openPipeline(t, { partitions: 1, consumer, routes: ROUTE })
  const topic = pipeline.topics['visits'] ?? ''
  const quota = { kind: 'error', code: 'RESOURCE_EXHAUSTED', inBand: true } as const
  pipeline.faults.add({ method: 'AppendRows', times: 100_000, fault: quota })
  const worker = pipeline.worker()
  for (let i = 0; i < 8; i++) await pipeline.publish('visits', visits(i * 100, 100, '/p'.padEnd(80, 'x')))
  const log = () => worker.log.join('')
  await eventually(() => log().includes('"rule":"quota"'), { what: 'a quota' })
  await administer(pipeline.kafka, async (admin) => {
    await admin.fetchTopicOffsets(topic)
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '700' }] })
  })
  pipeline.faults.clear()
  const alarm = () => /"durable":(\d+),"message":"stopped: offsets (\d+) to 699 are no longer/.exec(log()) ?? undefined
  const [, durable, from] = await eventually(alarm, { what: 'an alarm' })
  assert.equal(durable, from)
  // A transaction of 100 records has a marker.
  const carried = Number(from) - Math.floor(Number(from) / 101)
  await expectCounts(pipeline, `${carried} rows, ${carried} numbers, 0 letters`)
})
