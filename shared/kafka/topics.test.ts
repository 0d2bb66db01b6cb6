import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Cluster } from './cluster.ts'
import { KafkaError } from './errors.ts'
import { bothEnds } from './topics.ts'

/** kafkajs leaves partitions out that its metadata do not have: another reader of the same cluster may just refresh them. */
test('a partition without a known leader is asked for again, not taken for an empty one', async () => {
  const answered = [{ topic: 't', partitions: [{ partition: 0, offset: '7' }] }]
  const cluster = { fetchTopicsOffset: async () => answered } as unknown as Cluster
  const [first, second] = [
    { topic: 't', partition: 0 },
    { topic: 't', partition: 1 },
  ]
  assert.deepEqual(await bothEnds(cluster, [first]), [{ ...first, start: 7, end: 7 }])
  await assert.rejects(
    bothEnds(cluster, [first, second]),
    (error) => error instanceof KafkaError && error.kind === 'unreachable',
  )
})
