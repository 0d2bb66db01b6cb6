import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { test } from 'node:test'
import type { PartitionCommit, TopicPartition } from '../../shared/kafka/index.ts'
import { createLog } from '../../shared/telemetry/index.ts'
import { Assignment } from './assignment.ts'
import { Metrics } from './metrics.ts'
import type { TaskContext } from './place.ts'
import type { RouteSink } from './route-sink.ts'
import { RowPool } from './row-pool.ts'

/** Partitions of a membership that keeps the commits it is asked for; each is answered when the test says so. */
function assignment(partitions: readonly TopicPartition[]) {
  const commits: { entries: readonly PartitionCommit[]; answer: () => void }[] = []
  const ended = new AbortController()
  const nothing = () => undefined
  const membership = {
    ...{ partitions, seek: nothing, pause: nothing, resume: nothing, ended: ended.signal },
    commit: (entries: readonly PartitionCommit[]) =>
      new Promise<void>((answer) => void commits.push({ entries, answer })),
  }
  const consumer = { queue_bytes: 1000, flush_bytes: 100, flush_after: 1, in_flight: 4 }
  const log = createLog('test').child({}, { level: 'silent' })
  const context = { membership, consumer, metrics: new Metrics(), pool: new RowPool(100), log }
  const sink = { route: { table: {}, from: 'start' } }
  const sinks = new Map([['t', sink as unknown as RouteSink]])
  const all = new Assignment(context as unknown as TaskContext, sinks, nothing)
  return { all, commits, end: () => ended.abort() }
}

void test('the commits of all partitions go together, and one at a time', async (t) => {
  const partitions = [0, 1, 2].map((partition) => ({ topic: 't', partition }))
  const { all, commits, end } = assignment(partitions)
  t.after(end)
  all.begin(
    partitions.map((at) => ({ ...at, offset: 7, metadata: '' })),
    partitions.map((at) => ({ ...at, start: 0, end: 9 })),
  )
  await setImmediate()
  await setImmediate()
  assert.deepEqual(
    commits.map(({ entries }) => entries.map(({ partition, offset }) => [partition, offset])),
    [[0, 1, 2].map((partition) => [partition, 7])],
  )
  const left = all.leave()
  await setImmediate()
  await setImmediate()
  assert.equal(commits.length, 1, 'the first has no answer yet')
  commits[0]?.answer()
  await left
  assert.equal(commits.length, 1, 'and says already that nothing is under way')
})
