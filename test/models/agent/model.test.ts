import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { MUTANTS, runSchedules, schedule } from './schedules.ts'

/**
 * Goal: whatever dies, freezes, is lost, comes late or is away, each line is carried once, by the topic or
 * by the range of a chunk: none twice, none never. Method: random schedules over the untouched follower, publisher,
 * uploader and adoption, with real files, and Kafka, bucket and clock in memory.
 */
const SCHEDULES = 120
const SCHEDULES_OF_A_MUTANT = 400

void suite('model of the agent: positions, hand-over, adoption', () => {
  void test('no line is doubled or lost, over random schedules', (t) => runSchedules(t, 0, SCHEDULES))

  for (const mutant of MUTANTS) {
    void test(`the model notices: ${mutant}`, async () => {
      for (let seed = 0; seed < SCHEDULES_OF_A_MUTANT; seed++)
        if ((await schedule(seed, mutant)).problem !== undefined) return
      assert.fail('no schedule showed it')
    })
  }
})
