import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { Random } from '../support/random.ts'
import { ChunkWorld, LETTERS, type Mutant, ROWS, WHOLE } from './chunk-world.ts'

/**
 * Goal: whatever dies, is lost, comes late or runs twice, the rows of a chunk are visible exactly once, its dead letters at
 * least once, its source is told, and the object ends as `committed`. Method: random schedules over the untouched driver.
 */
const SCHEDULES = 1_500
const SCHEDULES_OF_A_MUTANT = 3_000

async function problemOf(seed: number, mutant: Mutant, fired: Map<string, number>): Promise<string | undefined> {
  const random = new Random(seed)
  const world = new ChunkWorld(random, random.chance(0.05) ? [] : WHOLE, mutant)
  await world.run(20 + random.below(150))
  for (const [rule, count] of world.fired) fired.set(rule, (fired.get(rule) ?? 0) + count)
  const { rows, letters } = world.visible
  const kafkaCarriedAll = rows.length === 0 && letters.length === 0 && world.fired.has('none -> committed')
  const expected = kafkaCarriedAll ? [] : ROWS
  if (rows.toSorted().join() !== expected.join()) return `rows ${rows.join()}`
  if (!kafkaCarriedAll && [...new Set(letters)].join() !== LETTERS.join()) return `letters ${letters.join()}`
  if (world.state !== 'committed') return `state ${world.state}`
  return world.sources > 0 ? undefined : 'no source'
}

const RULES = [
  'none -> writing',
  'writing -> writing',
  'writing -> committing',
  'committing -> committed',
  'none -> committed',
  'committing -> none',
  'already committed',
  'the table had a row',
  'the table had no row',
  'killed',
  'later: somebody else is writing it',
  'later: BigQuery does not know its streams',
]

void suite('model of chunk-load', () => {
  void test('no row is lost or doubled, over random schedules', async (t) => {
    const fired = new Map<string, number>()
    for (let seed = 0; seed < SCHEDULES; seed++) {
      const problem = await problemOf(seed, 'none', fired)
      assert.equal(problem, undefined, `seed ${seed}`)
    }
    for (const rule of RULES) t.diagnostic(`${rule}: ${fired.get(rule) ?? 0}`)
    assert.deepEqual(
      RULES.filter((rule) => !fired.has(rule)),
      [],
    )
  })

  for (const mutant of ['no-precondition', 'visible-early', 'table-says-none', 'replaces-committing'] as const) {
    void test(`the model notices: ${mutant}`, async () => {
      for (let seed = 0; seed < SCHEDULES_OF_A_MUTANT; seed++) {
        if ((await problemOf(seed, mutant, new Map())) !== undefined) return
      }
      assert.fail('no schedule showed it')
    })
  }
})
