import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FetchedBatch } from '../../shared/kafka/index.ts'
import { eventually } from '../../test/support/eventually.ts'
import { Intake } from './intake.ts'
import type { BuiltPiece } from './piece-builder.ts'
import type { Place } from './place.ts'
import { RowPool } from './row-pool.ts'

const at = { topic: 't', partition: 0 }

/** An intake with a queue of 1,000 bytes; `said`: what it wanted of its membership; `built`: its pieces. */
function intake() {
  const said: string[] = []
  const built: BuiltPiece[] = []
  const failures: unknown[] = []
  const membership = {
    partitions: [at],
    seek: (_: unknown, offset: number) => said.push(`seek ${offset}`),
    pause: () => said.push('pause'),
    resume: () => said.push('resume'),
  }
  const consumer = { queue_bytes: 1000, flush_bytes: 100, flush_after: 1, in_flight: 4 }
  const place = { at, membership, consumer, pool: new RowPool(100), metrics: { settled: () => undefined } }
  const piece = (one: BuiltPiece) => built.push(one)
  const taken = new Intake(place as unknown as Place, piece, (error) => failures.push(error))
  return { taken, said, built, failures }
}

/** A batch of offsets without rows, that is decompressed when `done` is called. */
function batch(firstOffset: number, lastOffset: number, bytes: number) {
  const { promise, resolve: done } = Promise.withResolvers<void>()
  let released = false
  const visit = () => {
    if (released) throw new RangeError('the batch was released')
    return lastOffset + 1
  }
  const release = () => (released = true)
  const one = { ...at, firstOffset, lastOffset, endOffset: 99, records: 1, bytes, ready: () => promise, visit, release }
  return { one: one as unknown as FetchedBatch, done, isReleased: () => released }
}

void test('what was fetched before a rewind is dropped, also while it is decompressed', async () => {
  const { taken, built, failures } = intake()
  taken.seek(10, 0)
  const stale = batch(10, 19, 50)
  taken.enqueue(stale.one)
  taken.seek(5, 0)
  assert.ok(stale.isReleased())
  const fresh = batch(5, 19, 50)
  taken.enqueue(fresh.one)
  stale.done()
  fresh.done()
  await eventually(() => built.length > 0)
  assert.deepEqual([built.map(({ end }) => end), failures], [[20], []])
  taken.close()
})

void test('fetching pauses above half of the share of memory, and goes on below a quarter', async () => {
  const { taken, said, built } = intake()
  taken.seek(0, 0)
  said.length = 0
  const batches = [batch(0, 9, 400), batch(10, 19, 400)]
  for (const { one } of batches) taken.enqueue(one)
  assert.deepEqual(said, ['pause'])
  for (const { done } of batches) done()
  await eventually(() => built.at(-1)?.end === 20)
  assert.deepEqual(said, ['pause', 'resume'])
  taken.close()
})
