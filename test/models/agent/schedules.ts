import assert from 'node:assert/strict'
import { mock, type TestContext } from 'node:test'
import { Random } from '../../support/random.ts'
import { AgentWorld, type Mutant } from './world.ts'

const STEPS_MIN = 40
const STEPS_SPREAD = 300

/** Each must have fired. */
export const RULES: readonly string[] = [
  'Kafka away',
  'bucket away',
  'killed',
  'killed after the effect',
  'answer lost: kafka',
  'answer lost: bucket',
  'landed late: kafka',
  'landed late: bucket',
  'frozen',
  'woken',
  'life beside another',
  'stopped: fenced',
  'transaction refused',
  'published',
  'first event shared',
  'written to after the rotation',
  'copied and truncated',
  'file deleted',
  'uploaded: undecided',
  'uploaded: carried',
  'upload: there already',
  'handed over',
  'patched: carried by Kafka',
  'patched: carries the rest',
  'patched: given to another source',
  'retired',
  'adopted',
  'published after the adoption',
  'patched after the host died',
]

export const MUTANTS: readonly Mutant[] = [
  'no fence',
  'positions read before the fence',
  'positions stored apart from the events',
  'the hand-over is not noted',
  'a chunk keeps the name of another source',
  'decided chunks are not listed',
]

/** One schedule: the same seed gives the same one. */
export async function schedule(seed: number, mutant: Mutant) {
  mock.timers.reset()
  mock.timers.enable({ apis: ['Date'], now: Date.UTC(2026, 0, 1, 23, 59) })
  const random = new Random(seed)
  const world = new AgentWorld(random, mutant)
  const problem = await world.run(STEPS_MIN + random.below(STEPS_SPREAD))
  return { problem, fired: world.fired }
}

export async function runSchedules(t: TestContext, from: number, count: number): Promise<void> {
  const total = new Map<string, number>()
  for (let seed = from; seed < from + count; seed++) {
    const { problem, fired } = await schedule(seed, 'none')
    assert.equal(problem, undefined, `seed ${seed}`)
    for (const [rule, times] of fired) total.set(rule, (total.get(rule) ?? 0) + times)
  }
  const rules = [...total].toSorted(([a], [b]) => (a < b ? -1 : 1))
  for (const [rule, times] of rules) t.diagnostic(`${rule}: ${times}`)
  assert.deepEqual(
    RULES.filter((rule) => !total.has(rule)),
    [],
  )
}
