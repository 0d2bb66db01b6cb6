import { test } from 'node:test'
import { runSchedules } from './schedules.ts'

const FIRST_SEED = 1_000
const SCHEDULES = 600

void test('model of the agent: no line is doubled or lost, over many more schedules', (t) =>
  runSchedules(t, FIRST_SEED, SCHEDULES))
