import assert from 'node:assert/strict'
import { mock, type TestContext } from 'node:test'
import { Random } from '../../support/random.ts'
import { type PatchMutant, PatchWorld } from './patches.ts'
import type { Mutant } from './mutants.ts'
import { AgentWorld } from './world.ts'

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
  'file restored',
  'the same again in the same inode',
  'uploaded: undecided',
  'uploaded: carried',
  'upload: there already',
  'handed over',
  'patched: carried by Kafka',
  'patched: carries the rest',
  'patched: given to another source',
  'loaded',
  'retired',
  'retired entries dropped',
  'adopted',
  'published after the adoption',
  'patched after the host died',
]

export const MUTANTS: readonly Mutant[] = [
  'no fence',
  'positions read before the fence',
  'positions stored apart from the events',
  'a chunk keeps the name of another source',
  'retired entries are dropped at once',
  'no file tells its birth',
]

export const PATCH_MUTANTS: readonly PatchMutant[] = [
  'a patch without precondition',
  'the object is patched before the hand-over',
  'an upload replaces the object',
  'the hand-over is not noted',
  'decided chunks are not listed',
]

const PATCH_RULES: readonly string[] = [
  'life',
  'uploaded',
  'uploaded by name',
  'published',
  'handed over',
  'patched',
  'changed',
  'loaded',
]

/** A mutant must be noticed by one of so many schedules. */
export async function assertNoticed(
  schedules: number,
  run: (seed: number) => ReturnType<typeof schedule>,
): Promise<void> {
  for (let seed = 0; seed < schedules; seed++) if ((await run(seed)).problem !== undefined) return
  assert.fail('no schedule showed it')
}

/** One schedule: the same seed gives the same one. */
export async function schedule(seed: number, mutant: Mutant) {
  mock.timers.reset()
  mock.timers.enable({ apis: ['Date'], now: Date.UTC(2026, 0, 1, 23, 59) })
  const random = new Random(seed)
  const world = new AgentWorld(random, mutant)
  const problem = await world.run(STEPS_MIN + random.below(STEPS_SPREAD))
  return { problem, fired: world.fired }
}

/** One schedule of patches under way. */
export async function patchSchedule(seed: number, mutant: PatchMutant) {
  const world = new PatchWorld(new Random(seed), mutant)
  return { problem: await world.run(), fired: world.fired }
}

export function runSchedules(t: TestContext, from: number, count: number, more: readonly string[] = []): Promise<void> {
  const seeds = Array.from({ length: count }, (_, n) => from + n)
  return runAll(t, seeds, [...RULES, ...more], (seed) => schedule(seed, 'none'))
}

export function runPatchSchedules(t: TestContext, from: number, count: number): Promise<void> {
  const seeds = Array.from({ length: count }, (_, n) => from + n)
  return runAll(t, seeds, PATCH_RULES, (seed) => patchSchedule(seed, 'none'))
}

async function runAll(
  t: TestContext,
  seeds: readonly number[],
  wanted: readonly string[],
  run: (seed: number) => ReturnType<typeof schedule>,
): Promise<void> {
  const total = new Map<string, number>()
  for (const seed of seeds) {
    const { problem, fired } = await run(seed)
    assert.equal(problem, undefined, `seed ${seed}`)
    for (const [rule, times] of fired) total.set(rule, (total.get(rule) ?? 0) + times)
  }
  const rules = [...total].toSorted(([a], [b]) => (a < b ? -1 : 1))
  for (const [rule, times] of rules) t.diagnostic(`${rule}: ${times}`)
  assert.deepEqual(
    wanted.filter((rule) => !total.has(rule)),
    [],
  )
}
