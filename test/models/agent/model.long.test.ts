import { test } from 'node:test'
import { assertNoticed, runPatchSchedules, runSchedules, schedule } from './schedules.ts'

const FIRST_SEED = 1_000
const SCHEDULES = 600
const PATCH_SCHEDULES = 2_000
const SCHEDULES_OF_A_MUTANT = 3_000
const RARE_RULES = ['left undecided: too late', 'left undecided: too short', 'patch: somebody was faster']

void test('model of the agent: no line is doubled or lost, over many more schedules', (t) =>
  runSchedules(t, FIRST_SEED, SCHEDULES, RARE_RULES))

void test('model of the agent: lives that patch at once agree, over many more schedules', (t) =>
  runPatchSchedules(t, FIRST_SEED, PATCH_SCHEDULES))

void test('the model notices: nothing tells what was forgotten', () =>
  assertNoticed(SCHEDULES_OF_A_MUTANT, (seed) => schedule(seed, 'nothing tells what was forgotten')))
