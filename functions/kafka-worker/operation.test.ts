import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { freePort } from '../../local/free-port.ts'
import { loadConfig } from '../../shared/config/index.ts'
import { commitFor, type Committed, readCommits } from '../../shared/kafka/index.ts'
import { eventually } from '../../test/support/eventually.ts'
import { openPipeline, type Pipeline, type WorkerProcess } from '../../test/support/pipeline.ts'
import { drain } from '../kafka-drain/index.ts'
import { createLog } from '../../shared/telemetry/index.ts'
import { runWorker } from './index.ts'

const HOUR_MS = 3_600_000
const ROUTE = { visits: 'schema: visit.proto#shop.Visit' }
const visits = (from: number, count: number) =>
  Array.from({ length: count }, (_, index) => Buffer.from(JSON.stringify({ number: from + index, page: '/p' })))

async function expectRows(pipeline: Pipeline, rows: number): Promise<void> {
  const look = async () => {
    const [row] = await pipeline.query('SELECT COUNT(*) AS n, COUNT(DISTINCT number) AS numbers FROM logs.visits')
    return assert.deepEqual(row, { n: `${rows}`, numbers: `${rows}` }) ?? true
  }
  await eventually(look, { what: `${rows} rows, each once` })
}

const commitsOf = ({ kafka, config, topics }: Pipeline, partitions: number): Promise<Committed[]> =>
  readCommits(
    kafka,
    `millrace.${config.name}.worker`,
    Array.from({ length: partitions }, (_, partition) => ({ topic: topics['visits'] ?? '', partition })),
  )

/** How often each method of the Storage Write API was called since the last question. */
function counter({ recorder }: Pipeline): () => Record<string, number> {
  let seen = 0
  return () => {
    const calls = recorder
      .calls()
      .filter(({ service, resource }) => service === 'bigquery-write' && !resource.endsWith('_default'))
    const fresh = calls.slice(seen)
    seen = calls.length
    return Object.fromEntries(
      Map.groupBy(fresh, ({ method }) => method)
        .entries()
        .map(([name, of]) => [name, of.length]),
    )
  }
}

const said = (worker: WorkerProcess, text: string) =>
  eventually(() => worker.log.join('').includes(text), { what: text }).catch((error: unknown) =>
    assert.fail(`${String(error)}\n${worker.log.join('')}`),
  )

/** A log line of the stopped process by its message. */
const lineOf = ({ log }: WorkerProcess, message: string): Record<string, unknown> =>
  log
    .join('')
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .find((line) => line['message'] === message) ?? assert.fail(`no ${message} in ${log.join('')}`)

const FIGURES = [
  'append_ms_p50',
  'append_ms_p99',
  'bytes',
  'dead_letters',
  'dead_letters_by_reason',
  'events',
  'in_flight_bytes',
  'lag_events',
  'lag_seconds',
  'partitions',
  'partitions_stopped',
  'rows',
  'rules',
]

void test('a worker that cannot listen on its port says so, and takes no partition', async (t) => {
  const pipeline = await openPipeline(t, { partitions: 1, routes: ROUTE })
  const taken = createServer().listen(0)
  t.after(() => taken.close())
  await once(taken, 'listening')
  t.after(() => delete process.env['PORT'])
  for (const port of [String((taken.address() as AddressInfo).port), 'abc', '99999']) {
    process.env['PORT'] = port
    const worker = pipeline.worker()
    assert.equal(await worker.ended, 2)
    assert.match(worker.log.join(''), new RegExp(`^cannot listen on port ${port}: .*\\nfix: correct consumer.port`))
  }
})

void test('a worker says start, assignment, stop and nothing else; health and every figure are at its port', async (t) => {
  const port = await freePort()
  const pipeline = await openPipeline(t, { consumer: `port: ${port}`, routes: ROUTE })
  const get = async (path: string) => fetch(`http://127.0.0.1:${port}${path}`)
  await pipeline.publish('visits', [...visits(0, 40), Buffer.from('no json')])
  pipeline.faults.add({ method: 'tables.get', fault: { kind: 'delay', ms: HOUR_MS } })
  const worker = pipeline.worker()
  await eventually(async () => (await get('/live')).status === 200, { what: 'alive' })
  assert.equal((await get('/ready')).status, 503)
  await eventually(() => pipeline.faults.plan()[0]?.struck === 1, { what: 'a start that waits' })
  pipeline.clock.advance(HOUR_MS)
  await eventually(async () => (await get('/ready')).status === 200, { what: 'ready' })
  assert.equal((await get('/nowhere')).status, 404)
  await expectRows(pipeline, 40)
  const metrics = await eventually(
    async () => {
      const text = await (await get('/metrics')).text()
      return text.includes('millrace_rows 40\n') && text
    },
    { what: 'rows in the metrics' },
  )
  assert.match(metrics, /^millrace_dead_letters_by_reason\{name="json_syntax"\} 1$/m)
  assert.match(metrics, /^millrace_rules\{name="first-start"\} 2$/m)
  assert.deepEqual(new Set(metrics.matchAll(/^millrace_([a-z_0-9]+)/gm).map(([, name]) => name)), new Set(FIGURES))
  const written = async () => {
    const [commit] = await commitsOf(pipeline, 1)
    return (commit?.offset ?? 0) > 40 && commit?.metadata.includes('"intents":[],"clean":true')
  }
  await eventually(written, { what: 'a clean commit, without another append' })
  assert.equal(await worker.kill('SIGTERM'), 0)
  const lines = worker.log
    .join('')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  assert.ok(lines.every((line) => typeof line['severity'] === 'string' && typeof line['time'] === 'string'))
  const told = lines.filter(({ severity }) => severity === 'INFO').map(({ message }) => message)
  assert.deepEqual(new Set(told), new Set(['assigned', 'started', 'stopped']))
  assert.equal(told.length, 3)
  assert.deepEqual(new Set(Object.keys(lineOf(worker, 'stopped')['metrics'] as object)), new Set(FIGURES))
})

/** A worker in this process, until the test ends; gives one of its figures. */
async function startMeasured(t: TestContext, { configFile }: Pipeline): Promise<(name: string) => Promise<number>> {
  const stop = new AbortController()
  const port = await freePort()
  const config = loadConfig(configFile, {})
  const running = runWorker({ ...config, consumer: { ...config.consumer, port } }, { signal: stop.signal })
  t.after(async () => {
    stop.abort()
    await running
  })
  return async (name) => {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    return Number(new RegExp(`^millrace_${name} (.*)$`, 'm').exec(text)?.[1])
  }
}

void test('lag is the age of what waits, and goes when the service takes rows again', async (t) => {
  const pipeline = await openPipeline(t, { partitions: 1, routes: ROUTE })
  pipeline.faults.add({
    method: 'AppendRows',
    times: 1000,
    fault: { kind: 'error', code: 'RESOURCE_EXHAUSTED', inBand: true },
  })
  t.after(() => pipeline.faults.clear())
  await pipeline.publish('visits', visits(0, 30))
  const figure = await startMeasured(t, pipeline)
  await eventually(async () => (await figure('lag_seconds')) > 1, { what: 'a lag of more than a second' })
  assert.ok((await figure('lag_events')) >= 30)
  await eventually(async () => (await figure('in_flight_bytes')) > 0, { what: 'bytes that wait' })
  pipeline.faults.clear()
  await expectRows(pipeline, 30)
  await eventually(async () => (await figure('lag_events')) + (await figure('lag_seconds')) === 0, { what: 'no lag' })
})

void test('while BigQuery does not say what the former owner has written, the lag is told', async (t) => {
  const pipeline = await openPipeline(t, { partitions: 1, routes: ROUTE })
  await pipeline.publish('visits', visits(0, 30))
  // They land, and their owner never hears of it: a commit that says so would leave nothing to ask.
  pipeline.faults.add({ method: 'AppendRows', fault: { kind: 'hang', landAfterMs: 0 } })
  const former = pipeline.worker()
  await expectRows(pipeline, 30)
  await former.kill('SIGKILL')
  const fault = { kind: 'error', code: 'PERMISSION_DENIED' } as const
  pipeline.faults.add({ method: 'FinalizeWriteStream', times: 1000, fault })
  await pipeline.publish('visits', visits(30, 40))
  const figure = await startMeasured(t, pipeline)
  const lag = () => figure('lag_events').catch(() => NaN) // its port is not open at once
  await eventually(async () => (await lag()) >= 40, { what: 'a lag of at least what came since' })
  assert.equal(await figure('rows'), 0)
  pipeline.faults.clear()
  await expectRows(pipeline, 70)
  await eventually(async () => (await lag()) === 0, { what: 'no lag' })
})

void test('SIGTERM under load: exit 0 within stop_within, clean commits, and the next one goes on with the same streams', async (t) => {
  const pipeline = await openPipeline(t, { consumer: 'flush_bytes: 16KiB, stop_within: 30s', routes: ROUTE })
  const calls = counter(pipeline)
  pipeline.faults.add({ method: 'AppendRows', nth: 5, times: 20, fault: { kind: 'delay', ms: 150 } })
  const worker = pipeline.worker()
  for (const partition of [0, 1]) await pipeline.publish('visits', visits(partition * 5000, 5000), { partition })
  await said(worker, 'assigned')
  const appends = () => pipeline.recorder.calls().filter(({ method }) => method === 'AppendRows')
  const streams = () => new Set(appends().map(({ resource }) => resource)).size
  await eventually(() => appends().length > 5 && streams() === 2, { what: 'appends of both partitions' })
  const begun = performance.now()
  assert.equal(await worker.kill('SIGTERM'), 0)
  assert.ok(performance.now() - begun < 30_000)
  for (const { metadata } of await commitsOf(pipeline, 2)) assert.match(metadata, /"intents":\[\],"clean":true/)
  assert.equal(calls()['CreateWriteStream'], 2)

  const next = pipeline.worker()
  await expectRows(pipeline, 10_000)
  await said(next, 'assigned')
  const { CreateWriteStream = 0, FinalizeWriteStream = 0 } = calls()
  assert.deepEqual({ CreateWriteStream, FinalizeWriteStream }, { CreateWriteStream: 0, FinalizeWriteStream: 0 })
  assert.equal(next.log.join('').split('"assigned"').length - 1, 1, 'one rebalance')
})

void test('SIGTERM while BigQuery does not answer: ends as stop_within says, and nothing is lost', {
  timeout: 100_000,
}, async (t) => {
  const consumer = 'stop_within: 3s, answer_within: 5m'
  const pipeline = await openPipeline(t, { partitions: 1, consumer, routes: ROUTE })
  pipeline.faults.add({ method: 'AppendRows', fault: { kind: 'hang', landAfterMs: HOUR_MS } })
  await pipeline.publish('visits', visits(0, 100))
  const worker = pipeline.worker()
  await eventually(() => pipeline.recorder.calls().some(({ method }) => method === 'AppendRows'))
  const begun = performance.now()
  await worker.kill('SIGTERM') // the answer would take five minutes
  assert.ok(performance.now() - begun < 10_000)
  pipeline.worker()
  await expectRows(pipeline, 100)
  pipeline.clock.advance(HOUR_MS) // the append lands, too late
  await expectRows(pipeline, 100)
})

void test('a rolling redeploy, the new one first: every hand-over is clean', async (t) => {
  const pipeline = await openPipeline(t, { routes: ROUTE })
  await pipeline.publish('visits', visits(0, 50))
  await pipeline.publish('visits', visits(50, 50), { partition: 1 })
  const old = pipeline.worker()
  await expectRows(pipeline, 100)
  const calls = counter(pipeline)
  calls()
  const fresh = pipeline.worker()
  await said(fresh, 'assigned')
  assert.equal(await old.kill('SIGTERM'), 0)
  await pipeline.publish('visits', visits(100, 50))
  await pipeline.publish('visits', visits(150, 50), { partition: 1 })
  await expectRows(pipeline, 200)
  const { CreateWriteStream = 0, FinalizeWriteStream = 0 } = calls()
  assert.deepEqual({ CreateWriteStream, FinalizeWriteStream }, { CreateWriteStream: 0, FinalizeWriteStream: 0 })
})

void test('a take-over costs one Finalize and one CreateWriteStream for each partition', async (t) => {
  const pipeline = await openPipeline(t, { routes: ROUTE })
  pipeline.faults.add({ method: 'AppendRows', times: 2, fault: { kind: 'hang', landAfterMs: 60_000 } })
  await pipeline.publish('visits', visits(0, 50))
  await pipeline.publish('visits', visits(50, 50), { partition: 1 })
  const worker = pipeline.worker()
  const calls = counter(pipeline)
  await eventually(() => pipeline.recorder.calls().filter(({ method }) => method === 'AppendRows').length >= 2)
  await worker.kill('SIGKILL')
  calls()
  pipeline.faults.clear()
  const heir = pipeline.worker()
  await expectRows(pipeline, 100)
  const { AppendRows, ...rest } = calls()
  assert.deepEqual(rest, { FinalizeWriteStream: 2, CreateWriteStream: 2 }, heir.log.join(''))
  assert.equal(AppendRows, 2)
})

void test('a stream of a machine whose clock is ahead is gone on with at once, and no row is older than it', async (t) => {
  const pipeline = await openPipeline(t, { partitions: 1, routes: ROUTE })
  await pipeline.publish('visits', visits(0, 5))
  await drain(pipeline.config, createLog('test'))
  const group = `millrace.${pipeline.config.name}.drain`
  const at = { topic: pipeline.topics['visits'] ?? '', partition: 0 }
  const [commit = assert.fail()] = await readCommits(pipeline.kafka, group, [at])
  const created = Date.now() + 3_600_000
  const log = { ...(JSON.parse(commit.metadata) as object), created }
  await commitFor(pipeline.kafka, group, [{ ...commit, metadata: JSON.stringify(log) }])
  await pipeline.publish('visits', visits(5, 5))
  assert.equal((await drain(pipeline.config, createLog('test'))).remaining, 0)
  const ahead = `millrace.ingested_at >= TIMESTAMP_MILLIS(${created})`
  assert.deepEqual(await pipeline.query(`SELECT COUNT(*) AS n FROM logs.visits WHERE ${ahead}`), [{ n: '5' }])
})

void test('an operator sends the group back: a new start there, and the log says so', async (t) => {
  const pipeline = await openPipeline(t, { partitions: 1, routes: ROUTE })
  const topic = pipeline.topics['visits'] ?? ''
  await pipeline.publish('visits', visits(0, 20))
  const first = pipeline.worker()
  await expectRows(pipeline, 20)
  assert.equal(await first.kill('SIGTERM'), 0)
  // As kafka-consumer-groups.sh --reset-offsets does it: without metadata, while the group has no members.
  await commitFor(pipeline.kafka, `millrace.${pipeline.config.name}.worker`, [
    { topic, partition: 0, offset: 5, metadata: '' },
  ])
  const second = pipeline.worker()
  await said(second, 'offsets-reset')
  await eventually(async () => {
    const [row] = await pipeline.query('SELECT COUNT(*) AS n, COUNT(DISTINCT number) AS numbers FROM logs.visits')
    return assert.deepEqual(row, { n: '35', numbers: '20' }) ?? true
  })
  assert.match(String(second.log.join('')), /a commit without metadata: begins at 5/)
})

void test('a route whose events nearly all fail stops after stop_after dead letters; the others go on', async (t) => {
  const pipeline = await openPipeline(t, {
    partitions: 1,
    consumer: 'flush_bytes: 4KiB',
    routes: { visits: 'schema: visit.proto#shop.Visit', wrong: 'schema: visit.proto#shop.Visit, stop_after: 200' },
  })
  const broken = Array.from({ length: 2000 }, (_, index) =>
    Buffer.from(index % 150 === 0 ? '{"number":1}' : `<event number="${index}"/>`),
  )
  await pipeline.publish('wrong', broken)
  const worker = pipeline.worker()
  await said(worker, 'dead letters, and hardly a row: json_syntax')
  await pipeline.publish('visits', visits(0, 30))
  await expectRows(pipeline, 30)
  assert.equal(await worker.kill('SIGTERM'), 0)
  const { rows } = lineOf(worker, 'stopped')['metrics'] as { rows: number }
  const [row] = await pipeline.query(
    'SELECT (SELECT COUNT(*) FROM logs.wrong) AS made, COUNT(*) AS n FROM logs.millrace_dead_letters_open',
  )
  assert.equal(row?.['made'], `${rows - 30}`)
  assert.ok(Number(row?.['n']) < 700, `${row?.['n']} dead letters`)
})

void test('dead letters are durable before their intent: a death before that leaves them to the next owner', async (t) => {
  const pipeline = await openPipeline(t, { partitions: 1, routes: ROUTE })
  pipeline.faults.add({
    method: 'AppendRows',
    resource: '*millrace_dead_letters*',
    times: 100,
    fault: { kind: 'hang' },
  })
  await pipeline.publish('visits', [...visits(0, 10), Buffer.from('no json'), ...visits(10, 10)])
  const worker = pipeline.worker()
  const isLetter = ({ method, resource }: { method: string; resource: string }) =>
    method === 'AppendRows' && resource.includes('millrace_dead_letters')
  await eventually(() => pipeline.recorder.calls().some(isLetter), { what: 'a letter is under way' })
  const [commit] = await commitsOf(pipeline, 1)
  assert.ok((commit?.offset ?? 0) <= 0)
  assert.doesNotMatch(commit?.metadata ?? '', /"intents":\[\[/)
  await worker.kill('SIGKILL')
  pipeline.faults.clear()
  assert.equal((await pipeline.query('SELECT number FROM logs.visits')).length, 0)
  pipeline.worker()
  await expectRows(pipeline, 20)
  const letters = await pipeline.query('SELECT kafka_offset FROM logs.millrace_dead_letters_open')
  assert.deepEqual(letters, [{ kafka_offset: '10' }])
})

void test("a table of the user's own is refused with the fix, and nothing is read", async (t) => {
  const pipeline = await openPipeline(t, { partitions: 1, routes: ROUTE })
  const { project, dataset } = pipeline.config.routes['visits']?.table ?? assert.fail()
  const fields = [{ name: 'number', type: 'INT64' }] as const
  await pipeline.warehouse.ensureTable({ project, dataset, table: 'visits' }, { fields })
  await pipeline.publish('visits', visits(0, 5))
  const config = loadConfig(pipeline.configFile, {})
  const refused = /was not made by Millrace/
  await assert.rejects(runWorker(config, { signal: new AbortController().signal }), refused)
  await assert.rejects(drain(config, createLog('test')), refused)
  const view = { description: '', sql: 'SELECT 1 AS number, STRUCT(1 AS kafka_offset) AS millrace' }
  await pipeline.warehouse.ensureView({ name: { project, dataset, table: 'seen' }, ...view })
  writeFileSync(pipeline.configFile, readFileSync(pipeline.configFile, 'utf8').replace('table: visits', 'table: seen'))
  await assert.rejects(drain(loadConfig(pipeline.configFile, {}), createLog('test')), /logs\.seen is a view/)
  const taken = pipeline.warehouse.ensureView({ name: { project, dataset, table: 'visits' }, ...view })
  await assert.rejects(taken, /logs\.visits is a table, and a view/)
})
