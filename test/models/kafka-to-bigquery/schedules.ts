import assert from 'node:assert/strict'
import type { Effect, Rule, StopReason } from '../../../shared/warehouse/protocol/events.ts'
import type { Mutant } from './driver.ts'
import { type Verdict, World } from './world.ts'

/** What must have happened at least once: the rules, and the effects that carry the others. */
export const RULES: readonly (Rule | StopReason | Effect['kind'])[] = [
  'first-start',
  'offsets-reset',
  'loss-accepted',
  'adopted',
  'table-changed',
  'taken-over',
  'expired-asked',
  'moved-on',
  'surprise',
  'waited',
  'refused',
  'room-waited',
  'resent-landed',
  'finalize',
  'create',
  'write letters',
  'commit',
  'append',
  'rejoin',
  'records-lost',
  'topic-replaced',
  'count-between',
  'left',
]

export function runSchedule(seed: number, mutant: Mutant = 'none', rules = new Map<string, number>()): Verdict {
  return new World(seed, mutant, rules).run()
}

/** Runs schedules `first`, `first + 1`, ...; each must end with every record there once. Gives how often each rule was used. */
export function checkSchedules(first: number, schedules: number): Map<string, number> {
  const rules = new Map<string, number>()
  for (let seed = first; seed < first + schedules; seed++) {
    const { stopped, meddled, ...verdict } = runSchedule(seed, 'none', rules)
    assert.deepEqual({ seed, ...verdict }, { seed, missing: [], doubled: [], misplaced: 0, stuck: false })
    assert.ok(stopped === undefined || (meddled && stopped === 'count-between'), `schedule ${seed} stopped: ${stopped}`)
  }
  return rules
}
