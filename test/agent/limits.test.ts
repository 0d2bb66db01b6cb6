import assert from 'node:assert/strict'
import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { parse, stringify } from 'yaml'
import { type AgentBench, agentBench } from '../support/agent.ts'
import { type ConsumedRecord, consumeTopic } from '../support/consume.ts'
import { eventually } from '../support/eventually.ts'
import { compareLines, lineNumbers, LogWriter } from '../support/log-writer.ts'

function recordsOf({ client, topic }: AgentBench, count: number): Promise<ConsumedRecord[]> {
  const found = async () => {
    const all = await consumeTopic(client, topic)
    return all.length >= count && all
  }
  return eventually(found, { what: `${count} events published` })
}

async function atLeast(bench: AgentBench, count: number): Promise<(string | null)[]> {
  return (await recordsOf(bench, count)).map(({ value }) => value)
}

void test('a record of several lines is one event, also the last of a file that grows no more; killed between, it stays one', async (t) => {
  const bench = await agentBench(t, {
    paths: ['app.log'],
    route: { multiline: { preset: 'java', timeout: '400ms' } },
  })
  const path = join(bench.folder, 'app.log')
  const trace = 'ERROR pay\njava.lang.IllegalStateException: no session\n\tat shop.Cart.pay(Cart.java:42)'
  writeFileSync(path, `INFO start\n${trace}\n`)
  const agent = bench.start()
  assert.deepEqual(await atLeast(bench, 2), ['INFO start', trace])
  appendFileSync(path, `${trace} 2\n`)
  await agent.kill()
  bench.start()
  assert.deepEqual((await atLeast(bench, 3)).slice(2), [`${trace} 2`])
})

void test('a log with a limit is published no faster; others go on, and nothing is missing', async (t) => {
  const bench = await agentBench(t, { paths: ['slow.log', 'fast.log'], agent: { poll_interval: '100ms' } })
  const config = parse(readFileSync(bench.config, 'utf8')) as { agent: { logs: { rate_limit?: string }[] } }
  config.agent.logs[0]!.rate_limit = '64KiB'
  writeFileSync(bench.config, stringify(config))
  const slow = new LogWriter(join(bench.folder, 'slow.log'))
  slow.write(2000, 128) // 250 KiB: a burst of 64 KiB, one piece more than allowed, and then one second for each 64 KiB
  writeFileSync(join(bench.folder, 'fast.log'), 'fast\n'.repeat(5000))
  bench.start()
  const records = await recordsOf(bench, 5000 + slow.count)
  const [fast, limited] = [true, false].map((is) => records.filter(({ value }) => (value === 'fast') === is)) as [
    ConsumedRecord[],
    ConsumedRecord[],
  ]
  // When they were read, by the agent's clock.
  const [first, last] = [limited[0]!.timestampMs, limited.at(-1)!.timestampMs]
  assert.ok(last - first > 2000, `${last - first} ms`)
  assert.ok(fast.at(-1)!.timestampMs < last, 'the limit of one log holds no other back')
  const numbers = lineNumbers(limited.map(({ value }) => value))
  assert.deepEqual(compareLines(numbers, slow.count), { missing: 0, doubled: 0, backward: 0, total: slow.count })
})

void test('more growing files than descriptors: the agent stays in touch, names those that wait, and takes them as others go', async (t) => {
  const bench = await agentBench(t, { paths: ['*.log'], agent: { finish_after: '300ms' }, descriptors: 100 })
  const path = (n: number) => join(bench.folder, `${n}.log`)
  for (let n = 0; n < 80; n++) writeFileSync(path(n), `${n}\n`)
  const agent = bench.start()
  const early = await atLeast(bench, 50)
  assert.equal(early.length, 50, 'half of the descriptors are for files')
  const waiting = () => agent.output().match(/\d+\.log is not followed: 50 files are open/g) ?? []
  await eventually(() => waiting().length === 30)
  for (const value of early) rmSync(path(Number(value)))
  const all = await atLeast(bench, 80)
  assert.deepEqual(new Set(all), new Set(Array.from({ length: 80 }, (_, n) => String(n))))
  assert.equal(all.length, 80)
  assert.equal(await agent.stop(), 0)
})
