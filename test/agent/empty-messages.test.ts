import assert from 'node:assert/strict'
import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { agentBench } from '../support/agent.ts'
import { consumeTopic } from '../support/consume.ts'
import { eventually } from '../support/eventually.ts'

void test('empty messages are carried, the first of a file too; a hole of zeros among them is not', async (t) => {
  const bench = await agentBench(t, { paths: ['app.log'], route: { framing: 'delimited' } })
  const file = join(bench.folder, 'app.log')
  writeFileSync(file, Buffer.from([0, 2, 0x61, 0x62, 0, 0, 1, 0x63]))
  const agent = bench.start()
  const published = (count: number) =>
    eventually(
      async () => {
        const records = await consumeTopic(bench.client, bench.topic)
        return records.length >= count && records.map(({ key, value }) => [key?.split('@')[1], value])
      },
      { what: `${count} events` },
    )
  const first = [
    ['0+1', ''],
    ['1+3', 'ab'],
    ['4+1', ''],
    ['5+1', ''],
    ['6+2', 'c'],
  ]
  assert.deepEqual(await published(5), first)
  appendFileSync(file, Buffer.concat([Buffer.alloc(600), Buffer.from([1, 0x64, 0])]))
  const second = [...first, ['8+602', 'd']]
  assert.deepEqual(await published(6), second)
  // The last one waits: it could be the head of a hole.
  appendFileSync(file, Buffer.from([1, 0x65]))
  assert.deepEqual(await published(8), [...second, ['610+1', ''], ['611+2', 'e']])
  assert.equal(await agent.stop(), 0)
})
