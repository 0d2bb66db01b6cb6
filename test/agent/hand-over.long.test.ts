import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { startKafka } from '../../local/kafka/index.ts'
import { bucketBench, type BucketBench } from '../support/agent-bucket.ts'
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

for (const [name, handoverAfter] of [
  ['published when it is back, and deleted files are handed over', '1h'],
  ['handed over when it is back too late', '100ms'],
] as const) {
  void test(`Kafka away, the agent killed twice, files deleted: ${name}`, async (t) => {
    const dataDir = mkdtempSync(join(tmpdir(), 'millrace-kafka-'))
    const kafka = await startKafka({ dataDir, say: () => undefined })
    t.after(async () => {
      await kafka.stop()
      rmSync(dataDir, { recursive: true, force: true })
    })
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
      await eventually(async () => (await chunks()).length === round, { timeoutMs: 20_000, what: `chunk ${round}` })
      assert.ok((await chunks()).every(({ metadata }) => metadata.ranges === 'undecided'))
      if (round < 3) {
        await agent.kill()
        rmSync(`${writer.path}.1`)
        agent = bench.start()
      }
    }
    assert.ok(existsSync(`${writer.path}.1`), 'one finished file is still there')
    await kafka.restart()

    const numbers = await eventually(
      async () => {
        const found = await carried(bucket)
        return found.length >= writer.count && found
      },
      { timeoutMs: 30_000, what: 'every line carried' },
    )
    const found = compareLines(numbers, writer.count)
    assert.deepEqual({ ...found, backward: 0 }, { missing: 0, doubled: 0, backward: 0, total: writer.count })
    const ranges = (await chunks()).map(({ metadata }) => JSON.stringify(metadata.ranges))
    assert.equal(ranges.includes('[[12000,18000]]'), true, `the part that was not published of the first: ${ranges}`)
    assert.equal(ranges.includes('[]'), handoverAfter === '1h', `the file that is still there: ${ranges}`)
    assert.equal(await agent.stop(), 0)
  })
}
