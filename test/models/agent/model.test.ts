import { suite, test } from 'node:test'
import {
  assertNoticed,
  MUTANTS,
  PATCH_MUTANTS,
  patchSchedule,
  runPatchSchedules,
  runSchedules,
  schedule,
} from './schedules.ts'

/**
 * Goal: whatever dies, freezes, is lost, comes late or is away, each line becomes a row once, by the topic or
 * by the range of a chunk: none twice, none never. Method: random schedules over the untouched follower, publisher,
 * uploader and adoption, with real files, and Kafka, bucket and clock in memory; and many short ones over the decider alone,
 * where several lives patch the chunks of one source at once.
 */
const SCHEDULES = 120
/** At most: some defects show in one of some hundred schedules. */
const SCHEDULES_OF_A_MUTANT = 2_000
const PATCH_SCHEDULES = 200

void suite('model of the agent: positions, hand-over, adoption', () => {
  void test('no line is doubled or lost, over random schedules', (t) => runSchedules(t, 0, SCHEDULES))

  void test('lives that patch at once agree', (t) => runPatchSchedules(t, 0, PATCH_SCHEDULES))

  for (const mutant of MUTANTS) {
    void test(`the model notices: ${mutant}`, () =>
      assertNoticed(SCHEDULES_OF_A_MUTANT, (seed) => schedule(seed, mutant)))
  }

  for (const mutant of PATCH_MUTANTS) {
    void test(`the model notices: ${mutant}`, () =>
      assertNoticed(PATCH_SCHEDULES, (seed) => patchSchedule(seed, mutant)))
  }
})
