import assert from 'node:assert/strict'
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { type AgentBench } from '../support/agent.ts'
import { type BucketBench, bucketBench, type SeenChunk } from '../support/agent-bucket.ts'
import { sharedBroker } from '../support/broker.ts'
import { consumeTopic } from '../support/consume.ts'
import { eventually } from '../support/eventually.ts'
import { LogWriter } from '../support/log-writer.ts'
import { API, startProxy } from '../support/proxy.ts'

/** So many chunks, when all of them are decided: one may be uploaded before Kafka has answered. */
function decided(chunks: BucketBench['chunks'], count: number): Promise<SeenChunk[]> {
  const found = async () => {
    const all = await chunks()
    return all.length === count && all.every(({ metadata }) => metadata.ranges !== 'undecided') && all
  }
  return eventually(found, { what: `${count} decided chunks` })
}

async function published(bench: AgentBench): Promise<string[]> {
  return (await consumeTopic(bench.client, bench.topic)).map(({ value }) => value ?? '')
}

void test('a finished source is uploaded with no ranges when Kafka carried it; late writes make a further chunk', async (t) => {
  const proxy = await startProxy((await sharedBroker()).brokers)
  t.after(() => proxy.close())
  const { bench, chunks } = await bucketBench(t, {
    paths: ['app.log'],
    agent: { finish_after: '300ms' },
    brokers: proxy.brokers,
  })
  const writer = new LogWriter(join(bench.folder, 'app.log'))
  writer.write(10)
  const agent = bench.start()
  await eventually(async () => (await published(bench)).length === 10)
  assert.deepEqual(await chunks(), [], 'the newest file is not finished')
  writer.rotate()
  writer.write(5)
  const [first] = await decided(chunks, 1)
  assert.deepEqual(first!.metadata.ranges, [])
  assert.equal(first!.metadata.size, 1200)
  assert.equal(first!.metadata.events, 10)
  assert.equal(first!.metadata.path, join(bench.folder, 'app.log'))
  assert.match(first!.text, /^line 0 (.*\n){10}$/)

  appendFileSync(`${writer.path}.1`, 'late')
  const both = await decided(chunks, 2)
  const late = both.find(({ name }) => name.part === 1)!
  assert.deepEqual(
    [late.text, late.metadata.start, late.metadata.size, late.metadata.source],
    ['late', 1200, 1204, first!.metadata.source],
  )
  assert.equal((await published(bench)).filter((value) => value === 'late').length, 1)
  assert.equal(await agent.stop(), 0)

  // In touch later than it has seen the bucket: it is not known yet what Kafka has carried.
  proxy.on(API.InitProducerId, { delayAnswerMs: 1500 })
  const again = bench.start()
  writer.write(1)
  await eventually(async () => (await published(bench)).length === 17)
  assert.equal((await chunks()).length, 2, 'a restart uploads nothing twice')
  assert.equal(await again.stop(), 0)
})

void test('a route without topic travels by chunks alone, and a restart uploads nothing twice', async (t) => {
  const { bench, chunks } = await bucketBench(t, {
    paths: ['app.log'],
    agent: { finish_after: '300ms' },
    route: { topic: undefined },
  })
  const writer = new LogWriter(join(bench.folder, 'app.log'))
  writer.write(3)
  writer.rotate()
  writer.write(3)
  writer.rotate()
  writer.write(1)
  let agent = bench.start()
  const found = await decided(chunks, 2)
  assert.deepEqual(
    found.map(({ metadata }) => metadata.ranges),
    [[[0, 360]], [[0, 360]]],
  )
  await agent.kill()
  agent = bench.start()
  writer.rotate()
  writer.write(1)
  await eventually(async () => (await chunks()).length === 3)
  assert.equal(await agent.stop(), 0)
  assert.equal((await chunks()).length, 3)
})
