import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { eventually } from '../../test/support/eventually.ts'
import { openPipeline } from '../../test/support/pipeline.ts'

/** More than an HTTP/2 connection has calls (100); with a backlog of 400 MB, of which each partition may hold its share. */
const PARTITIONS = 128
const EVENTS_A_PARTITION = 3000
const PAGE = '/p'.padEnd(1024, 'x')
const MEGABYTES_MAX = 384

void test('a worker of 128 partitions: every event once, memory bounded', { timeout: 240_000 }, async (t) => {
  const pipeline = await openPipeline(t, {
    partitions: PARTITIONS,
    routes: { visits: 'schema: visit.proto#shop.Visit' },
  })
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const first = partition * EVENTS_A_PARTITION
    const values = Array.from({ length: EVENTS_A_PARTITION }, (_, index) =>
      Buffer.from(JSON.stringify({ number: first + index, page: PAGE })),
    )
    await pipeline.publish('visits', values, { partition })
  }
  process.env['NODE_OPTIONS'] = '--max-semi-space-size=4' // as it is deployed
  const worker = pipeline.worker()
  const megabytes = () =>
    Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${worker.child.pid}/status`, 'utf8'))?.[1]) / 1024
  const all = PARTITIONS * EVENTS_A_PARTITION
  await eventually(
    async () => {
      const [row] = await pipeline.query('SELECT COUNT(*) AS n, COUNT(DISTINCT number) AS numbers FROM logs.visits')
      return assert.deepEqual(row, { n: `${all}`, numbers: `${all}` }) ?? true
    },
    { timeoutMs: 200_000, what: 'every event once' },
  ).catch((error: unknown) => assert.fail(`${String(error)}\n${worker.log.join('').slice(-4000)}`))
  assert.ok(megabytes() <= MEGABYTES_MAX, `${megabytes()} MB`)
  assert.equal(await worker.kill('SIGTERM'), 0)
})
