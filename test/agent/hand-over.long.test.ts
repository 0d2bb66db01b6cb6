import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { parse, stringify } from 'yaml'
import { backfill } from '../../functions/backfill/index.ts'
import { openEnvironment } from '../../functions/chunk-load/index.ts'
import { type RunningKafka, startKafka } from '../../local/kafka/index.ts'
import { runAudit } from '../../shared/audit/index.ts'
import { loadConfig } from '../../shared/config/index.ts'
import { bucketBench, type BucketBench } from '../support/agent-bucket.ts'
import { bigQueryFor, millrace } from '../support/command.ts'
import { consumeTopic } from '../support/consume.ts'
import { eventually } from '../support/eventually.ts'
import { compareLines, lineNumbers, LogWriter } from '../support/log-writer.ts'

/** The lines that reach the table: those in the topic, and those in the ranges that chunks carry. */
async function carried({ bench, chunks }: BucketBench): Promise<number[]> {
  const values = (await consumeTopic(bench.client, bench.topic)).map(({ value }) => value)
  for (const { metadata, text } of await chunks()) {
    assert.notEqual(metadata.ranges, 'undecided')
    for (const [from, to] of metadata.ranges === 'undecided' ? [] : metadata.ranges) {
      values.push(
        ...text
          .slice(from - metadata.start, to - metadata.start)
          .split('\n')
          .slice(0, -1),
      )
    }
  }
  return lineNumbers(values)
}

async function allCarried(bucket: BucketBench, writer: LogWriter): Promise<void> {
  const numbers = await eventually(
    async () => {
      const found = await carried(bucket)
      return found.length >= writer.count && found
    },
    { what: 'every line carried' },
  )
  const found = compareLines(numbers, writer.count)
  assert.deepEqual({ ...found, backward: 0 }, { missing: 0, doubled: 0, backward: 0, total: writer.count })
}

/** The topic is drained and the chunks are loaded: rows equal lines, and the audit finds no fault. */
async function assertLoadedOnce(t: TestContext, { bench }: BucketBench, writer: LogWriter): Promise<void> {
  const { server } = await bigQueryFor(t)
  const config = parse(readFileSync(bench.config, 'utf8')) as { endpoints: object }
  Object.assign(config.endpoints, { bigquery: server.rest, bigquery_storage: server.grpc })
  writeFileSync(bench.config, stringify(config))
  const drained = await millrace(bench.folder, ['drain'])
  assert.equal(drained.code, 0, drained.stderr)
  assert.equal((JSON.parse(drained.stdout) as { remaining: number }).remaining, 0, drained.stdout)
  const environment = openEnvironment(loadConfig(bench.config, {}), 'backfill')
  t.after(() => environment.warehouse.close())
  // About two seconds a chunk: an object takes one update of its metadata a second.
  const { failed, waiting, left } = await backfill(environment, { signal: AbortSignal.timeout(240_000) })
  assert.deepEqual({ failed, waiting, left }, { failed: 0, waiting: 0, left: undefined })
  for await (const { name, metadata } of environment.bucket.list('lines/'))
    assert.match(metadata['millrace-state'] ?? '', /committed/, name)
  const rows = await Array.fromAsync(environment.warehouse.query('SELECT line FROM logs.lines'))
  const found = compareLines(lineNumbers(rows.map(({ line }) => line as string)), writer.count)
  assert.deepEqual({ ...found, backward: 0 }, { missing: 0, doubled: 0, backward: 0, total: writer.count })
  const { faults, finished } = await runAudit(environment.warehouse, environment.config, { settleMs: 0 })
  assert.equal(faults, 0)
  assert.ok(finished > 0)
}

async function brokerOfItsOwn(t: TestContext): Promise<RunningKafka> {
  const dataDir = mkdtempSync(join(tmpdir(), 'millrace-kafka-'))
  const kafka = await startKafka({ dataDir, say: () => undefined })
  t.after(async () => {
    await kafka.stop()
    rmSync(dataDir, { recursive: true, force: true })
  })
  return kafka
}

for (const [name, handoverAfter] of [
  ['published when it is back, and deleted files are handed over', '1h'],
  ['handed over when it is back too late', '100ms'],
] as const) {
  void test(`Kafka away, the agent killed twice, files deleted: ${name}`, async (t) => {
    const kafka = await brokerOfItsOwn(t)
    const bucket = await bucketBench(t, {
      paths: ['app.log'],
      ownBroker: kafka.brokers,
      agent: { finish_after: '300ms', handover_after: handoverAfter },
    })
    const { bench, chunks } = bucket
    const writer = new LogWriter(join(bench.folder, 'app.log'))
    writer.write(100)
    let agent = bench.start()
    await eventually(async () => (await consumeTopic(bench.client, bench.topic)).length === 100)

    await kafka.kill()
    writer.write(50)
    for (let round = 1; round <= 3; round++) {
      writer.rotate()
      writer.write(70)
      await eventually(async () => (await chunks()).length === round, { what: `chunk ${round}` })
      assert.ok((await chunks()).every(({ metadata }) => metadata.ranges === 'undecided'))
      if (round < 3) {
        await agent.kill()
        rmSync(`${writer.path}.1`)
        agent = bench.start()
      }
    }
    assert.ok(existsSync(`${writer.path}.1`), 'one finished file is still there')
    await kafka.restart()

    await allCarried(bucket, writer)
    const ranges = (await chunks()).map(({ metadata }) => JSON.stringify(metadata.ranges))
    assert.equal(ranges.includes('[[12000,18000]]'), true, `the part that was not published of the first: ${ranges}`)
    assert.equal(ranges.includes('[]'), handoverAfter === '1h', `the file that is still there: ${ranges}`)
    assert.equal(await agent.stop(), 0)
    await assertLoadedOnce(t, bucket, writer)
  })
}

/** How long Kafka is away amid steady writing, in seconds: each of three lives uploads after ten of them. */
const OUTAGE_S = Number(process.env['MILLRACE_TEST_OUTAGE_S'] ?? 45)

/** Writes and rotates steadily until the signal, and deletes the oldest files as soon as `isSafe` says so of their text. */
async function writeSteadily(writer: LogWriter, signal: AbortSignal, isSafe: (text: string) => Promise<boolean>) {
  let deleted = 0
  for (let beat = 1; !signal.aborted; beat++) {
    writer.write(1 + (beat % 9))
    if (beat % 60 === 0) writer.rotate()
    if (beat % 60 === 30) {
      let oldest = 0
      while (existsSync(`${writer.path}.${oldest + 1}`)) oldest++
      if (oldest > 1 && (await isSafe(readFileSync(`${writer.path}.${oldest}`, 'utf8')))) {
        rmSync(`${writer.path}.${oldest}`)
        deleted++
      }
    }
    await delay(25) // the pace of the writer
  }
  return deleted
}

for (const handoverAfter of ['1h', '1s']) {
  void test(`Kafka away amid steady writing, handover_after ${handoverAfter}: rows equal lines`, async (t) => {
    const kafka = await brokerOfItsOwn(t)
    const agent = { finish_after: '300ms', handover_after: handoverAfter }
    const bucket = await bucketBench(t, { paths: ['app.log'], ownBroker: kafka.brokers, agent })
    const { bench, chunks } = bucket
    const writer = new LogWriter(join(bench.folder, 'app.log'))
    const end = new AbortController()
    const isSafe = async (text: string) => (await chunks()).some((chunk) => chunk.text === text)
    const writing = writeSteadily(writer, end.signal, isSafe)
    let running = bench.start()
    await eventually(async () => (await consumeTopic(bench.client, bench.topic)).length > 100)
    await kafka.kill()
    for (let third = 1; third <= 3; third++) {
      await delay((OUTAGE_S * 1000) / 3)
      if (third === 3) break
      await running.kill()
      running = bench.start()
    }
    await kafka.restart()
    await eventually(async () => (await chunks()).some(({ metadata }) => metadata.ranges !== 'undecided'), {
      timeoutMs: 60_000,
    })
    end.abort()
    assert.ok((await writing) > 1, 'files were deleted meanwhile')
    await allCarried(bucket, writer)
    const handed = (await chunks()).filter(({ metadata: { ranges } }) => ranges !== 'undecided' && ranges.length > 0)
    assert.ok(handed.length > 0, `${handed.length} chunks were handed over`)
    assert.equal(await running.stop(), 0)
    await assertLoadedOnce(t, bucket, writer)
  })
}

void test('an agent is killed with an undecided chunk, its file is lost: adopted; a life that was frozen is fenced', async (t) => {
  const kafka = await brokerOfItsOwn(t)
  const agent = { finish_after: '300ms' }
  const bucket = await bucketBench(t, { paths: ['app.log'], ownBroker: kafka.brokers, agent })
  const { bench, chunks } = bucket
  const ranges = async () => (await chunks()).map(({ metadata }) => metadata.ranges)
  const adopt = () => millrace(bench.folder, ['adopt', bench.topic])
  const writer = new LogWriter(join(bench.folder, 'app.log'))
  writer.write(100)
  const first = bench.start()
  await eventually(async () => (await consumeTopic(bench.client, bench.topic)).length === 100)
  await kafka.kill()
  writer.write(50)
  writer.rotate()
  writer.write(70)
  await eventually(async () => (await ranges()).includes('undecided'), { what: 'the chunk' })
  await first.kill()
  rmSync(`${writer.path}.1`)
  await kafka.restart()

  // It is in touch with Kafka and not with the bucket, so it decides nothing.
  const good = readFileSync(bench.config, 'utf8')
  writeFileSync(bench.config, good.replace(/storage: http.*/, 'storage: http://127.0.0.1:1'))
  const frozen = bench.start()
  await eventually(async () => (await consumeTopic(bench.client, bench.topic)).length === 170)
  frozen.process.kill('SIGSTOP')
  writeFileSync(bench.config, good)
  assert.deepEqual(await ranges(), ['undecided'])

  const adopted = await adopt()
  assert.equal(adopted.code, 0, adopted.stderr)
  const answer = { agent: bench.topic, undecided: 1, carried_by_kafka: 0, handed_over: 1, left: 0 }
  assert.deepEqual(JSON.parse(adopted.stdout), answer)
  assert.deepEqual(await ranges(), [[[12000, 18000]]])
  assert.deepEqual(JSON.parse((await adopt()).stdout), { ...answer, undecided: 0, handed_over: 0 })

  frozen.process.kill('SIGCONT')
  writer.write(5)
  assert.equal(await frozen.ended(), 2)
  assert.match(frozen.output(), /another agent has taken over/)
  const anew = bench.start()
  await allCarried(bucket, writer)
  assert.equal(await anew.stop(), 0)
})
