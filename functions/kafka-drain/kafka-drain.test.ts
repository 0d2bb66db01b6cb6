import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Request, Response } from '@google-cloud/functions-framework'
import { loadConfig } from '../../shared/config/index.ts'
import { createLog } from '../../shared/telemetry/index.ts'
import { eventually } from '../../test/support/eventually.ts'
import { openPipeline, type Pipeline } from '../../test/support/pipeline.ts'
import { drain, kafkaDrain } from './index.ts'

const log = createLog('test')
const route = { visits: 'schema: visit.proto#shop.Visit' }
const events = (count: number) => Array.from({ length: count }, (_, number) => Buffer.from(JSON.stringify({ number })))

async function rowsOf(pipeline: Pipeline): Promise<number> {
  const [row] = await pipeline.query('SELECT COUNT(*) AS n FROM logs.visits')
  return Number(row?.['n'])
}

const writeCalls = ({ recorder }: Pipeline, method: string) =>
  recorder.calls().filter((call) => call.service === 'bigquery-write' && call.method === method).length

void test('a drain takes what is there, says so, and leaves a stream that the next one goes on with', async (t) => {
  const pipeline = await openPipeline(t, { routes: route })
  await pipeline.publish('visits', events(500), { partition: 0 })
  await pipeline.publish('visits', [...events(300), Buffer.from('no json')], { partition: 1, compression: 'gzip' })
  const said: [message: string, of: Record<string, unknown>][] = []
  const info = (of: { metrics?: object }, message: string) => void said.push([message, { ...of.metrics }])
  const first = await drain(pipeline.config, Object.assign(createLog('test'), { info }))
  assert.deepEqual(
    said.map(([message]) => message),
    ['assigned', 'millrace.metrics'],
  )
  const figures = { events: 801, rows: 800, dead_letters: 1, partitions: 2, lag_events: 0 }
  assert.partialDeepStrictEqual(said[1]?.[1], { ...figures, dead_letters_by_reason: { json_syntax: 1 } })
  assert.deepEqual(first, { partitions: 2, events: 801, rows: 800, dead_letters: 1, remaining: 0 })
  assert.equal(await rowsOf(pipeline), 800)

  const created = writeCalls(pipeline, 'CreateWriteStream')
  await pipeline.publish('visits', events(20), { partition: 1 })
  assert.equal((await drain(pipeline.config, log)).rows, 20)
  assert.equal(await rowsOf(pipeline), 820)
  assert.equal(writeCalls(pipeline, 'CreateWriteStream'), created, 'no new stream')
  assert.equal(writeCalls(pipeline, 'FinalizeWriteStream'), 0, 'nothing to take over')
})

void test('a drain with nothing to do calls BigQuery not at all', async (t) => {
  const pipeline = await openPipeline(t, { routes: route })
  await pipeline.publish('visits', events(10))
  await drain(pipeline.config, log)
  const before = pipeline.recorder.calls().length
  const answer = await drain(pipeline.config, log)
  assert.deepEqual(answer, { partitions: 2, events: 0, rows: 0, dead_letters: 0, remaining: 0 })
  assert.equal(pipeline.recorder.calls().length, before)
})

void test('an instance that begins joins without events, so that Kafka goes on remembering the group', async (t) => {
  const pipeline = await openPipeline(t, { routes: route })
  await pipeline.publish('visits', events(10))
  await drain(pipeline.config, log)
  const created = writeCalls(pipeline, 'CreateWriteStream')
  const said: string[] = []
  const listening = Object.assign(createLog('test'), { info: (_: object, message: string) => said.push(message) })
  const answer = await drain(pipeline.config, listening, new Map(), new Map())
  assert.deepEqual(answer, { partitions: 2, events: 0, rows: 0, dead_letters: 0, remaining: 0 })
  assert.deepEqual(said, ['assigned', 'millrace.metrics'], 'it was a member for a moment')
  assert.deepEqual(
    [writeCalls(pipeline, 'CreateWriteStream'), writeCalls(pipeline, 'FinalizeWriteStream')],
    [created, 0],
  )
})

void test('two drains at once take every event once', async (t) => {
  const pipeline = await openPipeline(t, { routes: route })
  await pipeline.publish('visits', events(4000), { partition: 0 })
  await pipeline.publish('visits', events(4000), { partition: 1 })
  await Promise.all([drain(pipeline.config, log), drain(pipeline.config, log)])
  await drain(pipeline.config, log)
  assert.equal(await rowsOf(pipeline), 8000)
})

/** A drain that would wait for its budget hangs, and its test with it. */
const PATIENT = 'budget: 10m'
const WITHIN = { timeout: 90_000 }

void test(
  'a drain that has no partition ends at once: another has them all, or the topic is not there',
  WITHIN,
  async (t) => {
    const pipeline = await openPipeline(t, { partitions: 1, consumer: PATIENT, routes: route })
    await pipeline.publish('visits', events(2000))
    await Promise.all([drain(pipeline.config, log), drain(pipeline.config, log)])
    await drain(pipeline.config, log)
    assert.equal(await rowsOf(pipeline), 2000)
    pipeline.retarget('visits', `${pipeline.topics['visits']}-missing`)
    const config = loadConfig(pipeline.configFile, {})
    const answer = await drain(config, log, new Map(), new Map())
    assert.deepEqual(answer, { partitions: 0, events: 0, rows: 0, dead_letters: 0, remaining: 0 })
  },
)

void test('a drain ends at the offsets that it saw at its start, however much comes meanwhile', WITHIN, async (t) => {
  const pipeline = await openPipeline(t, { partitions: 1, consumer: PATIENT, routes: route })
  let [number, ended] = [0, false]
  const publish = () =>
    pipeline.publish(
      'visits',
      Array.from({ length: 50 }, () => Buffer.from(JSON.stringify({ number: number++ }))),
    )
  await publish()
  const publishing = (async () => {
    while (!ended) await publish()
  })()
  const first = await drain(pipeline.config, log).finally(() => (ended = true))
  await publishing
  assert.ok(first.rows >= 50, `${first.rows} rows`)
  assert.equal(first.remaining, 0)
  assert.equal((await drain(pipeline.config, log)).remaining, 0)
  assert.equal(await rowsOf(pipeline), number)
})

void test('a drain ends with its budget, says what remains, and the next one takes it', WITHIN, async (t) => {
  const pipeline = await openPipeline(t, { partitions: 1, consumer: 'budget: 8s', routes: route })
  const quota = { kind: 'error', code: 'RESOURCE_EXHAUSTED', inBand: true } as const
  pipeline.faults.add({ method: 'AppendRows', times: 100_000, fault: quota })
  await pipeline.publish('visits', events(500))
  const answer = await drain(pipeline.config, log)
  assert.ok(answer.rows === 0 && answer.remaining >= 500, JSON.stringify(answer))
  pipeline.faults.clear()
  const { rows, remaining } = await drain(pipeline.config, log)
  assert.deepEqual({ rows, remaining }, { rows: 500, remaining: 0 })
  assert.equal(await rowsOf(pipeline), 500)
})

void test('the mode may change there and back: each goes on where the other ended, and not while it runs', async (t) => {
  const pipeline = await openPipeline(t, { routes: route })
  const numbers = (from: number, count: number) =>
    Array.from({ length: count }, (_, index) => Buffer.from(JSON.stringify({ number: from + index })))
  const seen = async (expected: string) => {
    const [row] = await pipeline.query('SELECT COUNT(*) AS n, COUNT(DISTINCT number) AS numbers FROM logs.visits')
    return assert.equal(`${row?.['n']} ${row?.['numbers']}`, expected) ?? true
  }
  let total = 0
  for (let round = 0; round < 2; round++) {
    for (const partition of [0, 1]) await pipeline.publish('visits', numbers(total + partition * 50, 50), { partition })
    total += 100
    const worker = pipeline.worker()
    await eventually(() => seen(`${total} ${total}`), { what: 'the worker has carried them' })
    await assert.rejects(drain(pipeline.config, log), /a worker of .* is running/)
    assert.equal(await worker.kill('SIGTERM'), 0)
    await pipeline.publish('visits', numbers(total, 100))
    total += 100
    assert.equal((await drain(pipeline.config, log)).rows, 100)
    await seen(`${total} ${total}`)
  }
})

/** What the function answers to a call of Cloud Scheduler. */
async function call({ configFile }: Pipeline): Promise<[status: number, body: unknown]> {
  const answer: [number, unknown] = [0, undefined]
  const response = {
    status: (code: number) => Object.assign(response, (answer[0] = code) && {}),
    json: (body: unknown) => void (answer[1] = body),
  }
  process.env['MILLRACE_CONFIG'] = configFile
  await kafkaDrain({} as Request, response as unknown as Response)
  delete process.env['MILLRACE_CONFIG']
  return answer
}

void test('the function answers 200 and what was done; 500 and why when it has failed, and goes on with the next call', async (t) => {
  const pipeline = await openPipeline(t, { partitions: 1, routes: route })
  await pipeline.publish('visits', events(5))
  pipeline.faults.add({ method: 'tables.get', fault: { kind: 'error', code: 'PERMISSION_DENIED', message: 'no' } })
  const [status, body] = await call(pipeline)
  assert.equal(status, 500)
  assert.match((body as { error: string }).error, /^BigQuery and the tables of route visits: .*no/)
  assert.deepEqual(await call(pipeline), [200, { partitions: 1, events: 5, rows: 5, dead_letters: 0, remaining: 0 }])
})
