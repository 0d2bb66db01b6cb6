import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { parse, stringify } from 'yaml'
import { runAgent } from '../../agent/index.ts'
import { positionsGroup } from '../../agent/publish/index.ts'
import { administer, createTopics, startKafka } from '../../local/kafka/index.ts'
import { loadConfig } from '../../shared/config/index.ts'
import { readCommits } from '../../shared/kafka/index.ts'
import { type AgentBench, agentBench } from '../support/agent.ts'
import { sharedBroker } from '../support/broker.ts'
import { consumeTopic } from '../support/consume.ts'
import { eventually } from '../support/eventually.ts'
import { compareLines, lineNumbers, LogWriter } from '../support/log-writer.ts'
import { API, startProxy } from '../support/proxy.ts'

/** All tests of the suite together, on a machine that does other things, too. */
const SUITE_MS = 600_000

/** Every line that was written, each once; in which order the files were read is nobody's business. */
async function allPublished(bench: AgentBench, { count }: LogWriter, topic = bench.topic): Promise<void> {
  const numbers = await eventually(
    async () => {
      const found = lineNumbers((await consumeTopic(bench.client, topic)).map(({ value }) => value))
      return found.length >= count && found
    },
    { what: `${count} lines in ${topic}` },
  )
  const { missing, doubled } = compareLines(numbers, count)
  assert.deepEqual({ missing, doubled }, { missing: 0, doubled: 0 })
}

async function metadataOf({ client, topic }: AgentBench, group: number): Promise<string> {
  const [commit] = await readCommits(client, positionsGroup(topic, group), [{ topic, partition: 0 }])
  return commit!.metadata
}

/** Gives the bench a second log with a topic of its own. */
async function addTopic(bench: AgentBench, name: string, config: Record<string, string> = {}): Promise<string> {
  const topic = `${bench.topic}-${name}`
  const create = () => createTopics(bench.client, [{ topic, partitions: 1, config }]).then(() => true)
  await eventually(create) // a broker that has just started may not know its own topic yet
  const file = parse(readFileSync(bench.config, 'utf8')) as {
    routes: Record<string, object>
    agent: { logs: object[] }
  }
  file.routes[name] = { ...file.routes['lines'], topic }
  file.agent.logs.push({ path: join(bench.folder, `${name}.log`), route: name })
  writeFileSync(bench.config, stringify(file))
  return topic
}

void suite('the agent on a real broker', { timeout: SUITE_MS }, () => {
  test('positions that do not fit into one commit go to further groups in the same transaction; nothing is lost or doubled', async (t) => {
    const proxy = await startProxy((await sharedBroker()).brokers)
    t.after(() => proxy.close())
    const bench = await agentBench(t, { paths: ['app-*.log'], brokers: proxy.brokers })
    const writer = new LogWriter('')
    const writeAll = (files: number) => {
      for (let file = 0; file < files; file++)
        appendFileSync(join(bench.folder, `app-${String.fromCharCode(97 + (file % 26))}x${file}.log`), writer.lines(2))
    }
    writeAll(200)
    const agent = bench.start()
    await allPublished(bench, writer)
    const groups = await Promise.all([0, 1, 2].map((group) => metadataOf(bench, group)))
    assert.ok(
      groups.every((metadata) => metadata.length > 100),
      'three groups hold positions',
    )

    // One transaction changes entries of all groups; it ends between the first group's commit and the second's.
    const skip = 1
    const rule = proxy.on(API.TxnOffsetCommit, 'cut-before', { skip })
    writeAll(200)
    await allPublished(bench, writer)
    assert.equal(rule.hits, 1)
    await agent.kill()
    writeAll(230)
    const again = bench.start()
    await allPublished(bench, writer)
    assert.equal(await again.stop(), 0)
  })

  test('an idle agent writes its positions anew each day, before Kafka forgets them', async (t) => {
    const bench = await agentBench(t, { paths: ['app.log'] })
    const writer = new LogWriter(join(bench.folder, 'app.log'))
    writer.write(10)
    const now = Date.now.bind(Date)
    let ahead = 0
    t.mock.method(Date, 'now', () => now() + ahead)
    const stop = new AbortController()
    const read = () => loadConfig(bench.config)
    const running = runAgent(read(), { signal: stop.signal, read })
    await allPublished(bench, writer)
    const commits = async () => {
      const written = await consumeTopic(bench.client, '__consumer_offsets')
      return written.filter(({ key }) => key?.includes(positionsGroup(bench.topic)))
    }
    const before = await commits()
    const metadata = await metadataOf(bench, 0)
    ahead = 25 * 3_600_000
    const after = await eventually(async () => {
      const found = await commits()
      return found.length > before.length && found
    })
    assert.ok(after.at(-1)!.timestampMs > before.at(-1)!.timestampMs, 'the broker keeps it for seven more days')
    assert.equal(await metadataOf(bench, 0), metadata)
    assert.equal((await consumeTopic(bench.client, bench.topic)).length, writer.count, 'no record was published for it')
    stop.abort()
    await running
  })

  test('batches shrink to what a topic takes, an event that is too large becomes a dead letter, other topics take theirs', async (t) => {
    const bench = await agentBench(t, { paths: ['app.log'], agent: { compression: 'none' } })
    const topic = await addTopic(bench, 'small', { 'max.message.bytes': '65536' })
    const small = new LogWriter(join(bench.folder, 'small.log'))
    small.write(3000, 200)
    const agent = bench.start()
    await allPublished(bench, small, topic)
    const large = `line ${small.count} ${'x'.repeat(100_000)}\n`
    appendFileSync(small.path, large)
    writeFileSync(join(bench.folder, 'app.log'), large)
    small.count++
    small.write(10)
    const records = await eventually(async () => {
      const found = await consumeTopic(bench.client, topic)
      return found.length >= small.count && found
    })
    const empty = records.flatMap(({ value }, index) => (value === '' ? index : []))
    assert.deepEqual([records.length, empty], [small.count, [3000]])
    const [other] = await eventually(async () => {
      const found = await consumeTopic(bench.client, bench.topic)
      return found.length > 0 && found
    })
    assert.equal(other!.value, large.trimEnd(), 'where it fits, it is whole')
    assert.equal(await agent.stop(), 0)
  })

  test('a topic whose right is lost is named, the others go on; what waits comes when the right is back', async (t) => {
    const bench = await agentBench(t, { paths: ['app.log'], ownBroker: await brokerWithRights(t) })
    const topic = await addTopic(bench, 'other')
    const everybody = { principal: 'User:ANONYMOUS', host: '*', resourcePatternType: ACL.literal }
    const right = { ...everybody, resourceType: ACL.topic, resourceName: topic }
    const allowed = { ...right, operation: ACL.all, permissionType: ACL.allow }
    const denied = { ...right, operation: ACL.write, permissionType: ACL.deny }
    const [writer, other] = ['app', 'other'].map((name) => new LogWriter(join(bench.folder, `${name}.log`))) as [
      LogWriter,
      LogWriter,
    ]
    const agent = bench.start()
    for (const log of [writer, other]) log.write(10)
    await allPublished(bench, writer)
    await allPublished(bench, other, topic)

    await administer(bench.client, (admin) => admin.createAcls({ acl: [allowed, denied] }))
    const named = `topic ${topic} takes nothing now, trying again: TOPIC_AUTHORIZATION_FAILED`
    const isNamed = () => {
      for (const log of [writer, other]) log.write(1) // the broker obeys a moment after it has said so
      return agent.output().includes(named)
    }
    await eventually(isNamed, { what: named })
    await allPublished(bench, writer)
    const taken = (await consumeTopic(bench.client, topic)).length
    assert.ok(taken < other.count)
    for (const log of [writer, other]) log.write(10)
    await allPublished(bench, writer)
    assert.equal((await consumeTopic(bench.client, topic)).length, taken)

    await administer(bench.client, (admin) => admin.deleteAcls({ filters: [denied] }))
    await allPublished(bench, other, topic)
    await eventually(() => agent.output().includes(`over: topic ${topic}`))
    assert.equal(agent.output().split(`"${named}`).length, 2, `it is said once: ${agent.output()}`)
    assert.equal(await agent.stop(), 0)
  })
})

/** Kafka's numbers: https://kafka.apache.org/protocol#The_Messages_CreateAcls and `AclOperation`. */
const ACL = { topic: 2, literal: 3, all: 2, write: 4, deny: 2, allow: 3 }

/** A broker that lets everybody do everything, until a right says something else. */
async function brokerWithRights(t: TestContext): Promise<string> {
  const dataDir = mkdtempSync(join(tmpdir(), 'millrace-rights-'))
  const kafka = await startKafka({
    dataDir,
    properties: {
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'allow.everyone.if.no.acl.found': 'true',
    },
  })
  t.after(async () => {
    await kafka.stop()
    rmSync(dataDir, { recursive: true, force: true, maxRetries: 3 })
  })
  return kafka.brokers
}

function valuesOf({ client, topic }: AgentBench, count: number): Promise<(string | null)[]> {
  const found = async () => {
    const values = (await consumeTopic(client, topic)).map(({ value }) => value)
    return values.length >= count && values
  }
  return eventually(found, { timeoutMs: 60_000, what: `${count} events in ${topic}` })
}

test('a topic of small messages gets small batches, what is too long for it as dead letters; one that takes nothing is named', async (t) => {
  const bench = await agentBench(t, {
    paths: ['good.log'],
    agent: { compression: 'none', batch_bytes: '64KiB', max_event_bytes: '16KiB' },
  })
  const config = parse(readFileSync(bench.config, 'utf8')) as {
    routes: Record<string, object>
    agent: { logs: { path: string; route: string }[] }
  }
  const topics = [`${bench.topic}-small`, `${bench.topic}-none`] as const
  for (const [index, topic] of topics.entries()) {
    const limit = { 'max.message.bytes': index === 0 ? '1000' : '100' }
    await createTopics(bench.client, [{ topic, partitions: 1, config: limit }])
    config.routes[topic] = { ...config.routes['lines'], topic }
    const path = join(bench.folder, `${topic}.log`)
    config.agent.logs.push({ path, route: topic })
    writeFileSync(path, `short\n${'long '.repeat(1000)}\n${'short\n'.repeat(200)}`)
  }
  writeFileSync(bench.config, stringify(config))
  writeFileSync(join(bench.folder, 'good.log'), 'good\n')
  const agent = bench.start()
  const small = await valuesOf({ ...bench, topic: topics[0] }, 202)
  assert.deepEqual(small, ['short', '', ...Array.from({ length: 200 }, () => 'short')])
  await valuesOf(bench, 1)
  await eventually(() => agent.output().includes(`topic ${topics[1]} takes nothing now`))
})
