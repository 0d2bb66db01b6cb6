import { createTopics } from '../../local/kafka/index.ts'
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { parse, stringify } from 'yaml'

import { type AgentBench, agentBench, type RunningAgent } from '../support/agent.ts'
import { bucketBench } from '../support/agent-bucket.ts'
import { sharedBroker } from '../support/broker.ts'
import { consumeTopic } from '../support/consume.ts'
import { eventually } from '../support/eventually.ts'
import { compareLines, lineNumbers, LogWriter } from '../support/log-writer.ts'

interface File {
  kafka: { brokers: string[] }
  routes: Record<string, Record<string, unknown>>
  agent: { id: string; port?: number; logs: { path: string; route: string }[] }
}

const REFUSED = 'reload refused'
const DONE = '"started"'

/** Changes the configuration, sends the signal, and waits until the agent says this once more. */
async function reload(bench: AgentBench, agent: RunningAgent, change: (file: File) => void, says = DONE) {
  const file = parse(readFileSync(bench.config, 'utf8')) as File
  change(file)
  await reloadText(bench, agent, stringify(file), says)
}

async function reloadText(bench: AgentBench, agent: RunningAgent, text: string, says: string) {
  const times = () => agent.output().split(says).length
  const before = times()
  writeFileSync(bench.config, text)
  agent.process.kill('SIGHUP')
  await eventually(() => times() > before, { what: `the agent says ${says}: ${agent.output()}` })
}

async function startedAgent(bench: AgentBench): Promise<RunningAgent> {
  const agent = bench.start()
  await eventually(() => agent.output().includes(DONE))
  return agent
}

/** Lines of all these writers, in the topic in their order, each once. */
async function allPublished(bench: AgentBench, topic: string, writer: LogWriter, count = writer.count): Promise<void> {
  const found = await eventually(
    async () => {
      const numbers = lineNumbers((await consumeTopic(bench.client, topic)).map(({ value }) => value))
      return numbers.length >= count && numbers
    },
    { what: `${count} lines published` },
  )
  assert.deepEqual(compareLines(found, count), { missing: 0, doubled: 0, backward: 0, total: count })
}

/** Writes until it is told to end. */
function writing(writer: LogWriter): { end(): void } {
  const timer = setInterval(() => writer.write(7), 3)
  return { end: () => clearInterval(timer) }
}

async function otherTopic(bench: AgentBench): Promise<string> {
  const topic = `${bench.topic}-other`
  await createTopics(bench.client, [{ topic, partitions: 1 }])
  return topic
}

test('reloads amid writing: a bad file, one that adds a log, one that removes it, one that adds it again: each line once', async (t) => {
  const bench = await agentBench(t, { paths: ['app.log'] })
  const topic = await otherTopic(bench)
  const [writer, other] = [new LogWriter(join(bench.folder, 'app.log')), new LogWriter(join(bench.folder, 'other.log'))]
  const agent = await startedAgent(bench)
  writer.write(100)
  other.write(100)
  await allPublished(bench, bench.topic, writer)
  const good = readFileSync(bench.config, 'utf8')
  const now = writing(writer)
  t.after(() => now.end())

  await reloadText(bench, agent, good.replace('finish_after: 2s', 'finish_after: soon'), REFUSED)
  assert.match(agent.output(), /millrace\.yaml:\d+: agent\.finish_after \(/)
  await reloadText(bench, agent, 'routes: [', REFUSED)
  await reloadText(bench, agent, good, DONE)
  const add = (file: File) => {
    file.routes['other'] = { ...file.routes['lines'], topic }
    file.agent.logs.push({ path: other.path, route: 'other' })
  }
  await reload(bench, agent, add)
  await allPublished(bench, topic, other)
  other.write(50)
  await allPublished(bench, topic, other)
  const published = other.count
  await reload(bench, agent, (file) => file.agent.logs.pop())
  other.write(50)
  const seen = writer.count
  await eventually(async () => (await consumeTopic(bench.client, bench.topic)).length > seen)
  await allPublished(bench, topic, other, published)
  await reload(bench, agent, (file) => file.agent.logs.push({ path: other.path, route: 'other' }))
  await allPublished(bench, topic, other)
  now.end()
  await allPublished(bench, bench.topic, writer)
  assert.equal(agent.process.exitCode, null, 'the same process')
  assert.equal(await agent.stop(), 0)
})

test('signals that come faster than reloads end: each line once, and the last file counts', async (t) => {
  const bench = await agentBench(t, { paths: ['app.log'], agent: { linger: '50ms' } })
  const topic = await otherTopic(bench)
  const [writer, other] = [new LogWriter(join(bench.folder, 'app.log')), new LogWriter(join(bench.folder, 'other.log'))]
  other.write(10)
  const agent = await startedAgent(bench)
  const now = writing(writer)
  t.after(() => now.end())
  for (let i = 0; i < 200; i++) {
    agent.process.kill('SIGHUP')
    await new Promise((resolve) => setImmediate(resolve))
  }
  await reload(bench, agent, (file) => {
    file.routes['other'] = { ...file.routes['lines'], topic }
    file.agent.logs.push({ path: other.path, route: 'other' })
  })
  await allPublished(bench, topic, other)
  now.end()
  await allPublished(bench, bench.topic, writer)
  assert.equal(await agent.stop(), 0)
})

test('a log that was away for longer than a gone file is remembered goes on where it was', async (t) => {
  const { bench, chunks } = await bucketBench(t, { paths: ['app.log'], agent: { finish_after: '100ms' } })
  const writer = new LogWriter(join(bench.folder, 'app.log'))
  writer.write(100)
  const agent = await startedAgent(bench)
  await allPublished(bench, bench.topic, writer)
  // The route is still followed, and complete: without its log every source of it looks gone.
  const beside = new LogWriter(join(bench.folder, 'beside.log'))
  await reload(bench, agent, ({ agent: { logs } }) => (logs[0]!.path = beside.path))
  beside.write(1)
  for (let uploaded = 0; uploaded < 6; uploaded++) {
    beside.rotate()
    beside.write(1)
    await eventually(async () => (await chunks()).length > uploaded) // a round of the uploader, or more
  }
  writer.write(20)
  await reload(bench, agent, ({ agent: { logs } }) => (logs[0]!.path = writer.path))
  const values = await eventually(async () => {
    const found = await consumeTopic(bench.client, bench.topic)
    return found.length >= writer.count + beside.count && found
  })
  assert.equal(values.length, writer.count + beside.count)
  assert.equal(await agent.stop(), 0)
})

test('what would publish again, or needs another lock, is refused', async (t) => {
  const bench = await agentBench(t, { paths: ['app.log'] })
  const topic = await otherTopic(bench)
  const writer = new LogWriter(join(bench.folder, 'app.log'))
  writer.write(10)
  const agent = await startedAgent(bench)
  await allPublished(bench, bench.topic, writer)
  const good = readFileSync(bench.config, 'utf8')
  const cases: [change: (file: File) => void, why: RegExp][] = [
    [(file) => (file.agent.id = 'another'), /agent\.id has become another/],
    [(file) => (file.routes['lines']!['topic'] = topic), /routes\.lines\.topic has become/],
    [
      (file) => {
        file.routes['other'] = { ...file.routes['lines'], topic }
        file.agent.logs[0] = { path: join(bench.folder, 'a*.log'), route: 'other' }
      },
      /gives \S+app\.log to route other, it was lines's/,
    ],
  ]
  for (const [change, why] of cases) {
    await reload(bench, agent, change, REFUSED)
    assert.match(agent.output(), why)
    writeFileSync(bench.config, good)
  }
  writer.write(10)
  await allPublished(bench, bench.topic, writer)
  assert.equal(await agent.stop(), 0)
})

test('a good file that cannot be begun with: the agent goes back to the one before', async (t) => {
  const bench = await agentBench(t, { paths: ['app.log'] })
  const writer = new LogWriter(join(bench.folder, 'app.log'))
  const agent = await startedAgent(bench)
  const port = await takenPort(t)
  writer.write(10)
  await reload(bench, agent, (file) => (file.agent.port = port), REFUSED)
  assert.match(agent.output(), /EADDRINUSE/)
  writer.write(10)
  await allPublished(bench, bench.topic, writer)
  assert.equal(await agent.stop(), 0)
})

test('brokers that do not answer are mended by a reload', async (t) => {
  const bench = await agentBench(t, { paths: ['app.log'], brokers: '127.0.0.1:1' })
  const writer = new LogWriter(join(bench.folder, 'app.log'))
  writer.write(10)
  const agent = await startedAgent(bench)
  await eventually(() => agent.output().includes('not in touch with Kafka'))
  const { brokers } = await sharedBroker()
  await reload(bench, agent, (file) => (file.kafka.brokers = [brokers]))
  await allPublished(bench, bench.topic, writer)
  assert.equal(await agent.stop(), 0)
})

async function takenPort(t: TestContext): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  t.after(() => server.close())
  const address = server.address()
  return typeof address === 'object' && address ? address.port : 0
}
