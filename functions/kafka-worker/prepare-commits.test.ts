import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { joinGroup, type Membership, topicOffsets } from '../../shared/kafka/index.ts'
import { createLog } from '../../shared/telemetry/index.ts'
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

void test('of a worker and a drain that begin at once, before there is a commit, neither begins while both are members', async (t) => {
  const { kafka, config, topics } = await openPipeline(t, { routes: { visits: 'schema: visit.proto#shop.Visit' } })
  const names = Object.values(topics)
  const join = async (mode: Mode) => {
    const joined = Promise.withResolvers<Membership>()
    const assigned = async (membership: Membership) => joined.resolve(membership)
    const nothing = { batch: () => undefined, stopped: () => undefined, revoking: async () => undefined }
    const group = await joinGroup(kafka, { groupId: groupOf(config, mode), topics: names }, { assigned, ...nothing })
    t.after(() => group.close())
    const membership = await joined.promise
    const prepare = async () =>
      prepareCommits(kafka, config, mode, membership, await topicOffsets(kafka, names), createLog('test'))
    return { group, prepare }
  }
  const [worker, drain] = [await join('worker'), await join('drain')]
  await assert.rejects(worker.prepare(), /a drain of .* is running/)
  await assert.rejects(drain.prepare(), /a worker of .* is running/)
  await drain.group.close()
  assert.equal((await worker.prepare()).length, 2)
})
