import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { commitFor, joinGroup, type Membership, topicOffsets } from '../../shared/kafka/index.ts'
import { createLog } from '../../shared/telemetry/index.ts'
import { EMPTY_LOG, encodeLog } from '../../shared/warehouse/protocol/log.ts'
import { eventually } from '../../test/support/eventually.ts'
import { openPipeline } from '../../test/support/pipeline.ts'
import { chooseCommit, groupOf, prepareCommits } from './prepare-commits.ts'

type Mode = 'worker' | 'drain'
const OTHER = { worker: 'drain', drain: 'worker' } as const

void test('whatever the mode changes to, and wherever a start dies, a partition goes on from its last commit', () => {
  const start = fc.record({
    mode: fc.constantFrom<Mode>('worker', 'drain'),
    /** Steps of the start that are done before it dies; 2: it lives, and commits so often of its own. */
    steps: fc.integer({ min: 0, max: 2 }),
    commits: fc.integer({ min: 0, max: 2 }),
    wiped: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(start, { maxLength: 12 }), (starts) => {
      const groups = { worker: { offset: -1, metadata: '' }, drain: { offset: -1, metadata: '' } }
      let last = { offset: -1, metadata: '' }
      for (const { mode, steps, commits, wiped } of starts) {
        const { mark, copy } = chooseCommit(groups[mode], groups[OTHER[mode]])
        if (steps > 0 && mark) groups[OTHER[mode]] = mark
        if (steps < 2) continue
        if (copy) groups[mode] = copy
        if (last.offset >= 0) assert.deepEqual(groups[mode], last)
        for (let more = 0; more < commits; more++) {
          // Offsets may go back: an operator's reset, or a loss that was accepted.
          last = { offset: Math.abs(last.offset + (more % 2 ? -3 : 2)), metadata: JSON.stringify({ v: 1, more }) }
          groups[mode] = last
        }
        if (wiped && commits > 0) groups[mode] = last = { offset: 1, metadata: '' }
      }
    }),
    { numRuns: 2000 },
  )
})

/** Two modes over one topic of two partitions. */
async function openModes(t: TestContext) {
  const { kafka, config, topics } = await openPipeline(t, { routes: { visits: 'schema: visit.proto#shop.Visit' } })
  const [topic = '', ...others] = Object.values(topics)
  const join = async (mode: Mode) => {
    const joined = Promise.withResolvers<Membership>()
    const assigned = async (membership: Membership) => joined.resolve(membership)
    const nothing = { batch: () => undefined, stopped: () => undefined, revoking: async () => undefined }
    const options = { groupId: groupOf(config, mode), topics: [topic, ...others] }
    const group = await joinGroup(kafka, options, { assigned, ...nothing })
    t.after(() => group.close())
    const membership = await joined.promise
    const prepare = async () =>
      prepareCommits(kafka, config, mode, membership, await topicOffsets(kafka, [topic]), createLog('test'))
    return { group, prepare }
  }
  const commit = (mode: Mode, partition: number, partitions: number) => {
    const metadata = encodeLog({ ...EMPTY_LOG, partitions })
    return commitFor(kafka, groupOf(config, mode), [{ topic, partition, offset: 0, metadata }])
  }
  return { join, commit }
}

void test('of a worker and a drain that begin at once, before there is a commit, neither begins while both are members', async (t) => {
  const { join } = await openModes(t)
  const [worker, drain] = [await join('worker'), await join('drain')]
  await assert.rejects(worker.prepare(), /a drain of .* is running/)
  await assert.rejects(drain.prepare(), /a worker of .* is running/)
  await drain.group.close()
  assert.equal((await eventually(worker.prepare, { what: 'the drain has left' })).length, 2)
})

void test('a partition that another member, at the first start of both, knew of is none that was added', async (t) => {
  const { join, commit } = await openModes(t)
  await commit('worker', 0, 2)
  const { prepare } = await join('worker')
  assert.deepEqual(
    (await prepare()).map(({ offset }) => offset),
    [0, -1],
  )
})

void test('a partition that was added while the other mode ran is one that was added', async (t) => {
  const { join, commit } = await openModes(t)
  await commit('drain', 0, 1)
  const { prepare } = await join('worker')
  const prepared = await prepare()
  assert.deepEqual(
    prepared.map(({ offset }) => offset),
    [0, 0],
  )
  assert.deepEqual(JSON.parse(prepared[1]?.metadata ?? ''), { v: 1, partitions: 2, ...EMPTY_LOG })
})
