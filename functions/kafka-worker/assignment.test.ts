import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { test } from 'node:test'
import type { PartitionCommit, TopicPartition } from '../../shared/kafka/index.ts'
import { Assignment } from './assignment.ts'
import { Metrics } from './metrics.ts'
import type { TaskContext } from './place.ts'
import type { RouteSink } from '../../shared/dead-letters/index.ts'
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
  const said: string[] = []
  const error = (of: object, message: string) => said.push(`${message} ${JSON.stringify(of)}`)
  const log = { child: () => ({ error, warn: nothing }) }
  const context = { membership, consumer, metrics: new Metrics(), pool: new RowPool(100), log }
  const sink = { route: { name: 'r', table: {}, from: 'start' } }
  const sinks = new Map([['t', sink as unknown as RouteSink]])
  const all = new Assignment(context as unknown as TaskContext, sinks, nothing)
  return { all, commits, said, end: () => ended.abort() }
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

void test('a partition that Kafka does not give stops with an alarm, and commits where; lost records are remembered; others go on', async (t) => {
  const partitions = [0, 1, 2].map((partition) => ({ topic: 't', partition }))
  const [unreadable, gone, well] = partitions as [TopicPartition, TopicPartition, TopicPartition]
  const { all, commits, said, end } = assignment(partitions)
  t.after(end)
  const settle = async () => {
    for (let turn = 0; turn < 9; turn++) {
      await setImmediate()
      for (const { answer } of commits) answer()
    }
  }
  all.begin(
    partitions.map((at) => ({ ...at, offset: 7, metadata: '' })),
    partitions.map((at) => ({ ...at, start: 0, end: 9 })),
  )
  await settle()
  commits.length = 0
  all.stopped({ ...unreadable, offset: 8, kind: 'corrupt', message: 'a batch fails its checksum' })
  all.stopped({ ...gone, offset: 7, kind: 'out-of-range', start: 12, end: 30 })
  await settle()
  const of = (reason: string) => JSON.stringify({ reason, route: 'r', durable: 7 })
  assert.deepEqual(said, [
    `stopped: offset 8: a batch fails its checksum ${of('corrupt')}`,
    `stopped: offsets 7 to 11 are no longer in the topic ${of('out-of-range')}`,
  ])
  const logs = commits.flatMap(({ entries }) =>
    entries.map(({ partition, offset, metadata }) => ({ ...(JSON.parse(metadata) as object), partition, k: offset })),
  )
  assert.equal(logs.length, 1)
  assert.partialDeepStrictEqual(logs[0], { partition: gone.partition, k: 7, clean: true, lost: true })
  assert.deepEqual(
    all.tasks.map(({ stopped }) => stopped),
    ['corrupt', 'out-of-range', undefined],
  )
  assert.equal(all.tasks.find(({ at }) => at.partition === well.partition)?.reached(7), true)
})
