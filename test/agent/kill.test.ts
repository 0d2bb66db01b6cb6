import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import test from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { agentBench } from '../support/agent.ts'
import { consumeTopic } from '../support/consume.ts'
import { eventually } from '../support/eventually.ts'
import { compareLines, lineNumbers, LogWriter } from '../support/log-writer.ts'

void test('killed at random instants amid writing and rotation, the agent loses and doubles nothing', async (t) => {
  const bench = await agentBench(t, { paths: ['app.log'], agent: { linger: '5ms', batch_bytes: '128KiB' } })
  const writer = new LogWriter(join(bench.folder, 'app.log'))
  let writing = true
  const steady = (async () => {
    for (let i = 0; writing; i++) {
      writer.write(randomInt(1, 600))
      if (i % 40 === 39) writer.rotate()
      await delay(5)
    }
  })()
  for (let life = 0; life < 5; life++) {
    const agent = bench.start()
    await delay(randomInt(300, 900)) // the instant of death is what is random here
    await agent.kill()
  }
  writing = false
  await steady
  const agent = bench.start()
  const result = await eventually(async () => {
    const values = (await consumeTopic(bench.client, bench.topic)).map(({ value }) => value)
    const found = compareLines(lineNumbers(values), writer.count)
    assert.equal(found.missing, 0)
    return found
  })
  assert.deepEqual(result, { missing: 0, doubled: 0, backward: 0, total: writer.count })
  assert.equal(await agent.stop(), 0)
})
