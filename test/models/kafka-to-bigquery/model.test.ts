import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Mutant } from './driver.ts'
import { checkSchedules, RULES, runSchedule } from './schedules.ts'

/** Each mutant leaves out one rule; a schedule that loses or doubles a row, or alarms, must be found among so many. */
const MUTANT_SCHEDULES_MAX = 20_000
const MUTANTS: readonly Mutant[] = [
  'append-before-commit',
  'unanswered-commit-accepted',
  'unanswered-commit-retried',
  'no-fence',
  'no-count',
  'no-generation-gate',
  'always-clean',
  'lost-is-written',
  'lost-is-unwritten',
  'later-is-believed',
  'no-ask',
  'ask-without-created',
  'ask-new-table',
  'loss-skipped',
  'loss-forgotten',
  'loss-keeps-created',
  'loss-taken-literally',
  'table-kept',
  'letters-unconfirmed',
  'refused-forgotten',
]

void test('no row is lost and none doubled, over random schedules of crashes, zombies and lost answers', (t) => {
  const rules = checkSchedules(1, 4000)
  t.diagnostic(`rules: ${[...rules].map(([rule, times]) => `${rule} ${times}`).join(', ')}`)
  for (const rule of RULES) assert.ok((rules.get(rule) ?? 0) > 0, `${rule} was never used`)
})

for (const mutant of MUTANTS) {
  void test(`a protocol with ${mutant} is caught`, (t) => {
    for (let seed = 1; seed <= MUTANT_SCHEDULES_MAX; seed++) {
      const { missing, doubled, misplaced, stopped } = runSchedule(seed, mutant)
      if (missing.length + doubled.length + misplaced === 0 && !stopped) continue
      const wrong = `${missing.length} missing, ${doubled.length} doubled, ${misplaced} misplaced`
      t.diagnostic(`schedule ${seed}: ${wrong}, ${stopped ?? 'no alarm'}`)
      return
    }
    assert.fail(`not caught in ${MUTANT_SCHEDULES_MAX} schedules`)
  })
}
