import assert from 'node:assert/strict'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { freePort } from '../../local/free-port.ts'
import { agentBench } from '../support/agent.ts'
import { consumeTopic } from '../support/consume.ts'
import { eventually } from '../support/eventually.ts'
import { compareLines, lineNumbers, LogWriter } from '../support/log-writer.ts'

void test('a second host with the id of the first, and copies of its files or none: the first stops and says why; begun again it goes on where it was', async (t) => {
  const port = await freePort()
  const bench = await agentBench(t, { paths: ['app.log'], agent: { finish_after: '200ms' } })
  const writer = new LogWriter(join(bench.folder, 'app.log'))
  const published = async () => lineNumbers((await consumeTopic(bench.client, bench.topic)).map(({ value }) => value))
  const caughtUp = () =>
    eventually(async () => (await published()).length >= writer.count, {
      what: 'all lines published',
    })
  const status = async () =>
    (await (await fetch(`http://127.0.0.1:${port}/status`)).json()) as { in_touch: number; uptime_seconds: number }
  writer.write(50)
  writer.rotate()
  writer.write(50)
  for (const files of [[], ['app.log', 'app.log.1']]) {
    const first = bench.start()
    await caughtUp()
    const folder = join(bench.folder, `host ${files.length}`)
    mkdirSync(folder)
    for (const file of files) cpSync(join(bench.folder, file), join(folder, file))
    const config = readFileSync(bench.config, 'utf8').replaceAll(bench.folder, folder)
    writeFileSync(join(folder, 'millrace.yaml'), config.replace('agent:\n', `agent:\n  port: ${port}\n`))

    const second = bench.start(undefined, join(folder, 'millrace.yaml'))
    // Time enough to find that the files of most sources are not there.
    await eventually(async () => (await status()).in_touch === 1 && (await status()).uptime_seconds >= 2)
    writer.write(20)
    assert.equal(await first.ended(), 2)
    assert.match(first.output(), /another agent has taken over the transactional id/)
    assert.equal(await second.stop(), 0)
  }
  const again = bench.start()
  await caughtUp()
  assert.equal(await again.stop(), 0)
  const found = compareLines(await published(), writer.count)
  assert.deepEqual(found, { missing: 0, doubled: 0, backward: 0, total: writer.count })
})
