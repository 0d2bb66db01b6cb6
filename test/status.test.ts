import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { suite, type TestContext, test } from 'node:test'
import { pageOf } from '../cli/status-page.ts'
import { startBigQuery } from '../local/bigquery/index.ts'
import { freePort } from '../local/free-port.ts'
import { startStorage } from '../local/storage/index.ts'
import { type Bucket, chunkName, encodeMetadata, encodeState, openBucket, STATE_KEY } from '../shared/chunks/index.ts'
import { parseConfig } from '../shared/config/index.ts'
import { createTopics } from '../local/kafka/index.ts'
import { BatchBuilder, connectKafka, type KafkaClient, openProducer } from '../shared/kafka/index.ts'
import type { StatusReport } from '../shared/status/report.ts'
import { sharedBroker } from './support/broker.ts'
import { millrace } from './support/command.ts'
import { eventually } from './support/eventually.ts'

const MAIN = join(import.meta.dirname, '..', 'cli', 'main.ts')
const BUCKET = 'status-chunks'
const HOUR_MS = 3_600_000
/** One time for all chunks: those of two days would not be in the order of their names. */
const NOW = Date.now()

interface Cloud {
  readonly folder: string
  readonly topic: string
  readonly client: KafkaClient
  readonly bucket: Bucket
  start(command: string): ChildProcess
  status(...options: string[]): Promise<{ code: number | null; answer: StatusReport & { wrong: string[] } }>
}

/** The whole pipeline: a broker, the stand-ins, a configuration, and a way to start an agent and a worker. */
async function startCloud(t: TestContext): Promise<Cloud> {
  const broker = await sharedBroker()
  const folder = mkdtempSync(join(tmpdir(), 'millrace-status-'))
  for (const name of ['bigquery', 'storage']) mkdirSync(join(folder, name))
  const bigQuery = await startBigQuery({ dataDir: join(folder, 'bigquery') })
  const storage = await startStorage({ dataDir: join(folder, 'storage'), buckets: [BUCKET] })
  const topic = broker.unique('status')
  const text = JSON.stringify({
    name: `s-${topic.slice(-12)}`,
    project: 'p',
    dataset: 'd',
    bucket: BUCKET,
    kafka: { brokers: [broker.brokers] },
    consumer: { flush_after: '50ms', session_timeout: '6s' },
    push: { auth: 'secret', secret: { env: 'NOT_ASKED_FOR' } },
    routes: {
      lines: { topic, schema: 'lines.json', table: 'lines' },
      pushed: { push: true, topic: `${topic}-elsewhere`, schema: 'lines.json', table: 'pushed' },
    },
    agent: {
      id: topic,
      logs: [{ path: 'app.log', route: 'lines' }],
      lock_file: 'agent.lock',
      port: await freePort(),
    },
    endpoints: { bigquery: bigQuery.rest, bigquery_storage: bigQuery.grpc, storage: storage.endpoint },
  })
  writeFileSync(join(folder, 'lines.json'), '[{"name": "n", "type": "INT64"}]')
  writeFileSync(join(folder, 'millrace.yaml'), text)
  const client = connectKafka({ brokers: [broker.brokers], auth: 'none', tls: false }, 'status-test')
  await createTopics(client, [{ topic, partitions: 2 }])
  const children: ChildProcess[] = []
  t.after(async () => {
    for (const child of children) child.kill('SIGKILL')
    await client.close()
    await storage.stop()
    await bigQuery.stop()
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  })
  return {
    folder,
    topic,
    client,
    bucket: openBucket(parseConfig(text, join(folder, 'millrace.yaml')), 'test'),
    start(command) {
      const child = spawn(process.execPath, [MAIN, command], { cwd: folder, stdio: 'ignore' })
      children.push(child)
      return child
    },
    // Whoever has no answer within 5 s is told as unreachable: on a busy machine the services, too, for once.
    status: (...options) =>
      eventually(async () => {
        const { code, stdout, stderr } = await millrace(folder, ['status', ...options])
        assert.equal(stderr, '')
        const answer = JSON.parse(stdout) as StatusReport & { wrong: string[] }
        const { agent: _, ...unreachable } = answer.unreachable
        assert.deepEqual(unreachable, {})
        return { code, answer }
      }),
  }
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit')
  if (child.kill('SIGTERM')) await ended
}

/** Records that have been there for an hour. */
async function publishOld({ client, topic }: Cloud, partition: number, count: number): Promise<void> {
  const builder = new BatchBuilder(10_000)
  const value = Buffer.from('{"n": 1}')
  for (let i = 0; i < count; i++) builder.append(null, value, 0, value.length, Date.now() - HOUR_MS)
  const producer = await openProducer(client, { transactionalId: `${topic}-old`, timeoutMs: 10_000 })
  await producer.transact([{ topic, partition, batch: await builder.seal('none') }], [])
  await producer.close()
}

async function uploadChunk({ bucket, topic: agent }: Cloud, letter: string, ranges: 'undecided' | [], state?: object) {
  const source = letter.repeat(26)
  const name = chunkName({ route: 'lines', firstReadMs: NOW, agent, source, part: 0, format: 'json' })
  const plain = {
    route: 'lines',
    format: 'json',
    framing: 'lines',
    agent,
    path: '/app.log',
    start: 0,
    size: 5,
    events: 1,
  }
  const { object } = await bucket.upload(
    name,
    Readable.from([Buffer.from('any')]),
    encodeMetadata({ ...plain, source, ranges, crc32c: '00000000' }),
  )
  if (!state) return name
  const text = encodeState(`${bucket.name}/${name}#${object.generation}`, state as Parameters<typeof encodeState>[1])
  assert.equal((await bucket.patch(object, { [STATE_KEY]: text })).kind, 'patched')
  return name
}

void suite('millrace status', { timeout: 300_000 }, () => {
  test('what agents, consumer, bucket and warehouse know; what is wrong; who cannot be asked', async (t) => {
    const cloud = await startCloud(t)
    const { folder, topic, status } = cloud
    const good = '{"n": 1}\n{"n": 2}\n'
    writeFileSync(join(folder, 'app.log'), good)
    const agent = cloud.start('agent')
    const worker = cloud.start('worker')

    await t.test('all well', async () => {
      const { code, answer } = await eventually(
        async () => {
          const now = await status()
          const { partitions } = now.answer.consumer!
          const isTaken = partitions.some(({ end }) => end > 2) && partitions.every(({ lag }) => lag === 0)
          return now.code === 0 && isTaken && now
        },
        { timeoutMs: 60_000 },
      )
      assert.deepEqual([code, answer.wrong], [0, []])
      assert.equal((await millrace(folder, ['check', '--connect'])).code, 0)
      const { agent, positions, consumer, chunks, dead_letters } = answer
      const { source, ...open } = agent!.open[0]!
      assert.deepEqual(open, {
        route: 'lines',
        path: join(folder, 'app.log'),
        position: good.length,
        size: good.length,
        lag_bytes: 0,
        lag_seconds: 0,
        carrier: 'kafka',
        finished: false,
        chunks: [],
      })
      const { partition: _, ...position } = positions![0]!
      assert.deepEqual(position, { agent: topic, topic, source, position: good.length, retired: false })
      const { group, members, partitions } = consumer!
      assert.deepEqual([group, members], [`millrace.s-${topic.slice(-12)}.worker`, 1])
      assert.deepEqual(
        partitions.map(({ late }) => late),
        [0, 0],
      )
      assert.deepEqual([chunks!.seen, dead_letters], [0, []])
    })

    await t.test('a dead letter, unless that many may be', async () => {
      appendFileSync(join(folder, 'app.log'), '{"n": "two"}\n')
      const { answer } = await eventually(async () => {
        const now = await status()
        return now.code === 1 && now
      })
      assert.deepEqual(answer.wrong, ['dead letters: 1 events of the last day have no row'])
      const [letter] = answer.dead_letters!
      assert.deepEqual([letter?.route, letter?.reason, letter?.letters], ['lines', 'invalid_value', 1])
      assert.equal((await status('--dead-letters', '1')).code, 0)
    })

    await t.test('an agent that does not answer, and records that nobody takes', async () => {
      await Promise.all([end(worker), end(agent)])
      const [position] = (await status()).answer.positions!
      const other = 1 - position!.partition
      await publishOld(cloud, other, 3)
      const { code, answer } = await eventually(async () => {
        const now = await status('--dead-letters', '1') // the end is behind the transaction's marker soon
        return now.answer.consumer!.partitions[other]!.lag === 4 && now
      })
      const group = `millrace.s-${topic.slice(-12)}.worker`
      const late = `${topic}/${other}: 3 records have waited for more than 300 s for group ${group}, which has no member now`
      assert.deepEqual([code, answer.wrong], [1, ['agent cannot be asked', late]])
      assert.match(answer.unreachable['agent']!, /no agent answers at .*\/status: connect ECONNREFUSED/)
      assert.deepEqual((await status('--dead-letters', '1', '--late', '7200')).answer.wrong, ['agent cannot be asked'])
    })

    await t.test('chunks', async () => {
      await uploadChunk(cloud, 'a', [], { state: 'committed', rows: 1, deadLetters: 0 })
      const failed = await uploadChunk(cloud, 'b', [], { state: 'failed', reason: 'no such column' })
      const undecided = await uploadChunk(cloud, 'c', 'undecided')
      const waiting = await uploadChunk(cloud, 'd', [])
      const { answer } = await status('--dead-letters', '1', '--late', '7200')
      assert.deepEqual(answer.wrong, ['agent cannot be asked', 'chunks: 1 could not be loaded'])
      const { since: _, listed, ...counts } = answer.chunks!
      assert.deepEqual(counts, { seen: 4, undecided: 1, waiting: 1, failed: 1 })
      assert.deepEqual(
        listed.map(({ object, state, late, reason }) => ({ object, state, late, reason })),
        [
          { object: failed, state: 'failed', late: true, reason: 'no such column' },
          { object: undecided, state: 'undecided', late: false, reason: undefined },
          { object: waiting, state: 'waiting', late: false, reason: undefined },
        ],
      )
      const page = pageOf(answer, answer.wrong)
      for (const line of [
        /^agent cannot be asked: no agent/m,
        new RegExp(`^agents in Kafka\n {2}agent .*\n {2}${topic} +${topic} +1 +0 +0 +31$`, 'm'),
        new RegExp(`^ {2}${topic} +[01] .* 4 +0$`, 'm'),
        new RegExp(`^ {2}${failed.slice(0, 40)}.* failed +\\d+ +true +no such column$`, 'm'),
        /^ {2}lines +invalid_value +1 +20/m,
        /^wrong:\n {2}agent cannot be asked\n {2}chunks: 1 could not be loaded\n$/m,
      ]) {
        assert.match(page, line)
      }
    })
  })

  test('used wrongly: exit 2', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-status-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const { code, stderr } = await millrace(folder, ['status', '--late', 'soon'])
    assert.deepEqual([code, stderr], [2, '--late soon: not a whole number\nfix: write it as --late 300\n'])
  })
})
