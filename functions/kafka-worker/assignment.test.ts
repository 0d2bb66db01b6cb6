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

void test('one commit at a time; what waits for its answer, of all partitions, goes together in the next', async (t) => {
  const partitions = [0, 1, 2].map((partition) => ({ topic: 't', partition }))
  const { all, commits, end } = assignment(partitions)
  t.after(end)
  const begin = async (...some: readonly TopicPartition[]) => {
    all.begin(
      some.map((at) => ({ ...at, offset: 7, metadata: '' })),
      partitions.map((at) => ({ ...at, start: 0, end: 9 })),
    )
    for (let turn = 0; turn < 3; turn++) await setImmediate()
  }
  const committed = () => commits.map(({ entries }) => entries.map(({ partition, offset }) => `${partition}@${offset}`))
  await begin(...partitions.slice(0, 1))
  await begin(...partitions.slice(1))
  assert.deepEqual(committed(), [['0@7']])
  commits[0]?.answer()
  await begin()
  assert.deepEqual(committed(), [['0@7'], ['1@7', '2@7']])
})
