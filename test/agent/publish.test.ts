import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { positionsGroup } from '../../agent/publish/index.ts'
import { administer } from '../../local/kafka/index.ts'
import { readCommits } from '../../shared/kafka/index.ts'
import { type AgentBench, agentBench } from '../support/agent.ts'
import { consumeTopic } from '../support/consume.ts'
import { eventually } from '../support/eventually.ts'
import { compareLines, lineNumbers, LogWriter } from '../support/log-writer.ts'
import { API, type ProxyAction, startProxy } from '../support/proxy.ts'
import { sharedBroker } from '../support/broker.ts'

async function published({ client, topic }: AgentBench): Promise<number[]> {
  return lineNumbers((await consumeTopic(client, topic)).map(({ value }) => value))
}

async function allPublished(bench: AgentBench, writer: LogWriter): Promise<void> {
  const numbers = await eventually(
    async () => {
      const found = await published(bench)
      return found.length >= writer.count && found
    },
    { what: 'all lines published' },
  )
  assert.deepEqual(compareLines(numbers, writer.count), { missing: 0, doubled: 0, backward: 0, total: writer.count })
}

const LOST: readonly [string, number, ProxyAction][] = [
  ['the connection breaks instead of carrying EndTxn', API.EndTxn, 'cut-before'],
  ['the connection breaks after EndTxn took effect', API.EndTxn, 'cut-after'],
  ['a Produce was stored, its answer is lost', API.Produce, 'cut-after'],
  ['the connection breaks instead of carrying Produce', API.Produce, 'cut-before'],
  ['the positions were stored, their answer is lost', API.TxnOffsetCommit, 'cut-after'],
  ['AddPartitionsToTxn was done, its answer is lost', API.AddPartitionsToTxn, 'cut-after'],
  ['AddOffsetsToTxn was done, its answer is lost', API.AddOffsetsToTxn, 'cut-after'],
  ['an answer of Produce comes 500 ms late', API.Produce, { delayAnswerMs: 500 }],
]

for (const [name, api, action] of LOST) {
  void test(`${name}: nothing is lost or doubled`, async (t) => {
    const proxy = await startProxy((await sharedBroker()).brokers)
    t.after(() => proxy.close())
    const bench = await agentBench(t, { paths: ['app.log'], brokers: proxy.brokers, agent: { linger: '2ms' } })
    const writer = new LogWriter(join(bench.folder, 'app.log'))
    const agent = bench.start()
    for (let round = 0; round < 3; round++) {
      writer.write(50)
      await allPublished(bench, writer)
      const rule = proxy.on(api, action)
      writer.write(50)
      await allPublished(bench, writer)
      assert.ok(rule.hits > 0, 'the fault was met')
    }
    assert.equal(await agent.stop(), 0)
  })
}

void test('an agent with the same id on another host takes over, and the older one stops and says why', async (t) => {
  const bench = await agentBench(t, { paths: ['app.log'] })
  const writer = new LogWriter(join(bench.folder, 'app.log'))
  writer.write(10)
  const older = bench.start()
  await allPublished(bench, writer)
  writeFileSync(bench.config, readFileSync(bench.config, 'utf8').replace('agent.lock', 'other-host.lock'))
  const younger = bench.start()
  await eventually(() => younger.output().includes('started'))
  await eventually(() => {
    writer.write(1)
    return older.process.exitCode !== null
  })
  assert.equal(await older.ended(), 2)
  assert.match(older.output(), /another agent has taken over/)
  await allPublished(bench, writer)
  assert.equal(await younger.stop(), 0)
})

void test('a second agent on the host refuses to start', async (t) => {
  const bench = await agentBench(t, { paths: ['app.log'] })
  const first = bench.start()
  await eventually(() => first.output().includes('started'))
  const second = bench.start()
  assert.equal(await second.ended(), 2)
  assert.match(second.output(), /another agent holds the lock/)
  await first.kill()
  const third = bench.start()
  await eventually(() => third.output().includes('started'))
  assert.equal(await third.stop(), 0)
})

void test('forgotten positions are not guessed: the operator says where to begin', async (t) => {
  const bench = await agentBench(t, { paths: ['app.log'] })
  const writer = new LogWriter(join(bench.folder, 'app.log'))
  writer.write(10)
  const first = bench.start()
  await allPublished(bench, writer)
  assert.equal(await first.stop(), 0)
  await administer(bench.client, (admin) => admin.deleteGroups([positionsGroup(bench.topic)]))
  writer.write(5)

  const second = bench.start()
  assert.equal(await second.ended(), 2)
  assert.match(second.output(), /Kafka has forgotten its positions/)
  const third = bench.start('end')
  const partition = [{ topic: bench.topic, partition: 0 }]
  await eventually(
    async () => (await readCommits(bench.client, positionsGroup(bench.topic), partition))[0]?.metadata || undefined,
  )
  writer.write(5)
  const numbers = await eventually(async () => {
    const found = await published(bench)
    return found.length >= 15 && found
  })
  assert.deepEqual(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 18, 19])
  assert.equal(await third.stop(), 0)
})

void test('a topic that is not there yet does not stop the others', async (t) => {
  const bench = await agentBench(t, { paths: ['app.log'] })
  const config = readFileSync(bench.config, 'utf8')
  const other = config.replace(
    'routes:',
    `routes:\n  other: { topic: ${bench.topic}-other, format: raw, table: other }`,
  )
  writeFileSync(
    bench.config,
    other.replace('  logs:', `  logs:\n    - { path: ${bench.folder}/other.log, route: other }`),
  )
  const writer = new LogWriter(join(bench.folder, 'app.log'))
  writer.write(10)
  new LogWriter(join(bench.folder, 'other.log')).write(10)
  const agent = bench.start()
  await allPublished(bench, writer)
  await eventually(() => agent.output().includes('other cannot be used'))
  assert.equal(await agent.stop(), 0)
})
