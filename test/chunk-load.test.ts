import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { suite, type TestContext, test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { getTestServer } from '@google-cloud/functions-framework/testing'
import { crc32c } from '@node-rs/crc32'
import { backfill } from '../functions/backfill/index.ts'
import { type Environment, loadChunk, openEnvironment } from '../functions/chunk-load/index.ts'
import { planOf } from '../functions/chunk-load/plan.ts'
import { carriesRow } from '../functions/chunk-load/settle.ts'
import { startBigQuery } from '../local/bigquery/index.ts'
import { type Call, createFaults, createRecorder, type Faults, type Recorder } from '../local/faults/index.ts'
import { startStorage } from '../local/storage/index.ts'
import { runAudit } from '../shared/audit/index.ts'
import { chunkName, encodeMetadata, encodeRanges, type Ranges, RANGES_KEY, STATE_KEY } from '../shared/chunks/index.ts'
import { parseConfig } from '../shared/config/index.ts'
import { eventually } from './support/eventually.ts'

/** chunk-load on the stand-ins, through the official clients. */
interface Cloud {
  readonly environment: Environment
  readonly faults: Faults
  readonly recorder: Recorder
  readonly config: string
  setTarget(url: string): void
}

const SCHEMA = '[{"name": "n", "type": "INT64", "mode": "REQUIRED"}]'
const PLACES = '[{"name": "n", "type": "INT64"}, {"name": "place", "type": "GEOGRAPHY"}]'
const LINES = ['{"n": 1}', '{"n": "two"}', '{"n": 3}', '', '{"n": 4}'].map((line) => `${line}\n`).join('')
const SOURCE = 'abcdefghijklmnopqrstuvwxyz'
const BUCKET = 'chunks'

async function startCloud(t: TestContext): Promise<Cloud> {
  const dataDir = await mkdtemp(join(tmpdir(), 'millrace-chunks-'))
  const shared = { faults: createFaults(), recorder: createRecorder() }
  const bigquery = await startBigQuery({ ...shared, dataDir: join(dataDir, 'bigquery') })
  const storage = await startStorage({
    ...shared,
    dataDir: join(dataDir, 'storage'),
    buckets: [BUCKET],
    limitUpdates: false,
  })
  const config = join(dataDir, 'millrace.yaml')
  const text = `
project: p
dataset: d
bucket: ${BUCKET}
routes:
  numbers: { schema: numbers.json, table: numbers, partition: { by: day } }
  foreign: { prefix: foreign/, schema: numbers.json, table: foreigners }
  places: { prefix: places/, schema: places.json, table: places }
endpoints: { bigquery: '${bigquery.rest}', bigquery_storage: '${bigquery.grpc}', storage: '${storage.endpoint}' }
`
  await writeFile(join(dataDir, 'numbers.json'), SCHEMA)
  await writeFile(join(dataDir, 'places.json'), PLACES)
  await writeFile(config, text)
  const environment = openEnvironment(parseConfig(text, config), 'chunk-load')
  t.after(async () => {
    environment.warehouse.close()
    await storage.stop()
    await bigquery.stop()
    await rm(dataDir, { recursive: true })
  })
  const clock = { nowMs: () => Date.now(), pause: () => Promise.resolve() }
  const setTarget = (url: string) => storage.deliveries.setTargets([{ bucket: BUCKET, url, form: 'eventarc' }])
  return { ...shared, environment: { ...environment, clock }, config, setTarget }
}

/** Uploads the lines as an agent does. */
async function upload({ environment }: Cloud, ranges: Ranges, source = SOURCE): Promise<string> {
  const content = Buffer.from(LINES)
  const metadata = encodeMetadata({
    route: 'numbers',
    format: 'json',
    framing: 'lines',
    agent: 'host',
    path: '/var/log/numbers.log',
    source,
    start: 0,
    size: content.length,
    events: 4,
    ranges,
    crc32c: (crc32c(content) >>> 0).toString(16).padStart(8, '0'),
  })
  const name = chunkName({ route: 'numbers', firstReadMs: 0, agent: 'host', source, part: 0, format: 'json' })
  await environment.bucket.upload(name, Readable.from([zstdCompressSync(content)]), metadata)
  return name
}

const WHOLE: Ranges = [[0, Buffer.byteLength(LINES)]]

async function select({ environment }: Cloud, sql: string): Promise<unknown[]> {
  return Array.fromAsync(environment.warehouse.query(sql))
}

const numbersIn = async (cloud: Cloud, table = 'numbers') =>
  (await select(cloud, `SELECT n FROM d.${table} ORDER BY n`)).map((row) => Number((row as { n: string }).n))

async function assertLoadedOnce(cloud: Cloud, what: string): Promise<void> {
  assert.deepEqual(await numbersIn(cloud), [1, 3, 4], what)
  const letters = await select(cloud, 'SELECT reason, source, position FROM d.millrace_dead_letters_open')
  assert.deepEqual(letters, [{ reason: 'invalid_value', source: SOURCE, position: '9' }], what)
  const { faults, finished } = await runAudit(cloud.environment.warehouse, cloud.environment.config, { settleMs: 0 })
  assert.deepEqual({ faults, finished }, { faults: 0, finished: 1 }, what)
}

void suite('chunk-load', { timeout: 240_000 }, () => {
  void test('a chunk becomes rows, dead letters and a source, once, however often it is told', async (t) => {
    const cloud = await startCloud(t)
    const name = await upload(cloud, WHOLE)
    const outcomes = await Promise.all([1, 2, 3].map(() => loadChunk(cloud.environment, name)))
    assert(outcomes.some(({ kind }) => kind === 'done'))
    await assertLoadedOnce(cloud, 'three at once')
    assert.deepEqual(await loadChunk(cloud.environment, name), { kind: 'done', what: 'committed' })
    await assertLoadedOnce(cloud, 'and once more')
  })

  void test('rows that BigQuery refuses become dead letters with their own coordinates, the others land', async (t) => {
    const cloud = await startCloud(t)
    const lines = ['POINT(1 1)', 'nowhere', 'POINT(2 2)'].map((place, n) => `${JSON.stringify({ n, place })}\n`)
    const { object } = await cloud.environment.bucket.upload('places/x.json', Readable.from([lines.join('')]), {})
    assert.equal((await loadChunk(cloud.environment, object.name)).what, 'committed 2 rows, 1 dead letters')
    assert.deepEqual(await numbersIn(cloud, 'places'), [0, 2])
    const letters = await select(cloud, 'SELECT reason, position, size FROM d.millrace_dead_letters_open')
    const [position, size] = [lines[0]!.length, lines[1]!.length].map(String)
    assert.deepEqual(letters, [{ reason: 'refused', position, size }])
  })

  void test('a chunk that Kafka carried adds its source alone; an undecided one waits', async (t) => {
    const cloud = await startCloud(t)
    const carried = await upload(cloud, [])
    assert.equal((await loadChunk(cloud.environment, carried)).what, 'Kafka carried it')
    const other = SOURCE.replace('a', 'b')
    const undecided = await upload(cloud, 'undecided', other)
    assert.equal((await loadChunk(cloud.environment, undecided)).what, 'undecided')
    assert.deepEqual(await numbersIn(cloud), [])
    const sources = await select(cloud, 'SELECT source, size, events FROM d.millrace_sources_once')
    assert.deepEqual(sources, [{ source: SOURCE, size: String(WHOLE[0]?.[1]), events: '4' }])
    const object = await cloud.environment.bucket.stat(undecided)
    await cloud.environment.bucket.patch(object!, { [RANGES_KEY]: encodeRanges([[22, Number(WHOLE[0]?.[1])]]) })
    assert.equal((await loadChunk(cloud.environment, undecided)).what, 'committed 2 rows, 0 dead letters')
    assert.deepEqual(await numbersIn(cloud), [3, 4])
  })

  void test('any call may be lost, before or after its effect', { concurrency: 8 }, async (t) => {
    const clean = await startCloud(t)
    await loadChunk(clean.environment, await upload(clean, WHOLE))
    const cases = lossesOf(clean.recorder.calls())
    assert(cases.length >= 20, `${cases.length} cases`)
    const trials = cases.map(({ service, method, nth, when }) =>
      t.test(`${service} ${method} no. ${nth} lost ${when} its effect`, async (inner) => {
        const cloud = await startCloud(inner)
        const name = await upload(cloud, WHOLE)
        cloud.faults.replace([{ service, method, nth, fault: { kind: 'drop', when } }])
        await loadUntilDone(cloud, name)
        assert.equal(cloud.faults.plan()[0]?.struck, 1)
        await assertLoadedOnce(cloud, method)
      }),
    )
    await Promise.all(trials)
  })

  void test('a table that requires a filter on its partitions is asked whether it has a row of a chunk', async (t) => {
    const cloud = await startCloud(t)
    const { environment } = cloud
    const { bucket, config } = environment
    const object = await bucket.stat(await upload(cloud, WHOLE))
    assert.equal((await loadChunk(environment, object!.name, object!.generation)).kind, 'done')
    const plan = planOf(object!, config)
    assert.ok('route' in plan)
    const url = `${config.endpoints.bigquery}/bigquery/v2/projects/p/datasets/d/tables/numbers`
    const body = JSON.stringify({ requirePartitionFilter: true })
    const patched = await fetch(url, { method: 'PATCH', headers: { 'content-type': 'application/json' }, body })
    assert.equal(patched.status, 200)
    await assert.rejects(numbersIn(cloud), /without a filter/)
    assert.equal(await carriesRow(environment, plan), true)
    assert.equal(await carriesRow(environment, { ...plan, source: 'another' }), false)
  })

  void test('an object of somebody else is loaded by its prefix, plain or compressed, and anew when it is overwritten', async (t) => {
    const cloud = await startCloud(t)
    const bucket = cloud.environment.bucket
    await bucket.upload('foreign/a', Readable.from([Buffer.from('{"n": 7}\n{"n": 8}')]), {})
    await bucket.upload('foreign/b.gz', Readable.from([gzipSync('{"n": 9}\n')]), {})
    await bucket.upload('elsewhere', Readable.from([Buffer.from('x')]), {})
    assert.equal((await loadChunk(cloud.environment, 'foreign/a')).what, 'committed 2 rows, 0 dead letters')
    assert.equal((await loadChunk(cloud.environment, 'foreign/b.gz')).what, 'committed 1 rows, 0 dead letters')
    assert.equal((await loadChunk(cloud.environment, 'elsewhere')).what, 'no route has a prefix of its name')
    assert.deepEqual(await numbersIn(cloud, 'foreigners'), [7, 8, 9])
    const { faults } = await runAudit(cloud.environment.warehouse, cloud.environment.config, { settleMs: 0 })
    assert.equal(faults, 0)
  })

  void test('backfill loads what is decided and not committed, and goes on where it stopped', async (t) => {
    const cloud = await startCloud(t)
    const undecided = await upload(cloud, 'undecided')
    await upload(cloud, WHOLE, SOURCE.replace('a', 'b'))
    await cloud.environment.bucket.upload('foreign/a', Readable.from([Buffer.from('{"n": 7}\n')]), {})
    const never = new AbortController().signal
    const stopped = await backfill(cloud.environment, { signal: AbortSignal.abort() })
    assert.deepEqual(stopped, { seen: 0, loaded: 0, waiting: 0, failed: 0, left: 'foreign/a' })
    const first = await backfill(cloud.environment, { signal: never, from: 'foreign/a' })
    assert.deepEqual(first, { seen: 3, loaded: 2, waiting: 1, failed: 0 })
    const object = await cloud.environment.bucket.stat(undecided)
    await cloud.environment.bucket.patch(object!, { [RANGES_KEY]: encodeRanges(WHOLE) })
    const second = await backfill(cloud.environment, { signal: never })
    assert.deepEqual(second, { seen: 3, loaded: 1, waiting: 0, failed: 0 })
    assert.deepEqual(await numbersIn(cloud), [1, 1, 3, 3, 4, 4])
    assert.deepEqual(await numbersIn(cloud, 'foreigners'), [7])
  })

  void test('a damaged chunk is failed with its reason, and not tried again', async (t) => {
    const cloud = await startCloud(t)
    const metadata = (await cloud.environment.bucket.stat(await upload(cloud, WHOLE)))!.metadata as Record<
      string,
      string
    >
    const damaged = { ...metadata, 'millrace-source': SOURCE.replace('a', 'c') }
    await cloud.environment.bucket.upload(
      'damaged',
      Readable.from([zstdCompressSync(Buffer.from('{"n": 5}\n'))]),
      damaged,
    )
    const { kind, what } = await loadChunk(cloud.environment, 'damaged')
    assert.equal(kind, 'done')
    assert.match(what, /failed: crc32c of the content is [0-9a-f]{8}, its metadata say/)
    assert.deepEqual(await numbersIn(cloud), [])
    assert.match((await loadChunk(cloud.environment, 'damaged')).what, /^failed/)
  })

  void test('the function takes the notification of a real upload, and answers rubbish with 400', async (t) => {
    const cloud = await startCloud(t)
    process.env['MILLRACE_CONFIG'] = cloud.config
    await import('../functions/index.ts')
    const server = getTestServer('chunk-load')
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => server.close())
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    cloud.setTarget(url)
    const name = await upload(cloud, WHOLE)
    const committed = async () =>
      (await cloud.environment.bucket.stat(name))?.metadata[STATE_KEY]?.includes('committed')
    await eventually(committed)
    assert.deepEqual(await numbersIn(cloud), [1, 3, 4])
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(url, { method: 'POST', headers, body: '{"no": "event"}' })
    assert.equal(answer.status, 400)
    assert.match(await answer.text(), /neither a CloudEvent nor a Pub\/Sub push/)
  })
})

/** Each method that the function called, at the middle one of its calls; the upload is the test's own. */
function lossesOf(calls: readonly Call[]) {
  const own = calls.filter(({ entry, method }) => entry === 'chunk-load' && !method.startsWith('objects.insert'))
  const byMethod = Object.groupBy(own, ({ method }) => method)
  return Object.values(byMethod).flatMap((all = []) =>
    (['before', 'after'] as const).map((when) => ({ ...all[0]!, nth: Math.ceil((all.length + 1) / 2), when })),
  )
}

/** As notifications do: again after a failure, and again later, when a claim that was left behind has run out. */
async function loadUntilDone({ environment }: Cloud, name: string): Promise<void> {
  for (let skewMs = 0; skewMs < 10 * 660_000; skewMs += 660_000) {
    const clock = { nowMs: () => Date.now() + skewMs, pause: () => Promise.resolve() }
    const outcome = await loadChunk({ ...environment, clock }, name).catch(() => undefined)
    if (outcome?.kind === 'done') return
  }
  assert.fail('never done')
}
