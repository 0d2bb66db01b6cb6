import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkSchedules, RULES } from './schedules.ts'

void test('no row is lost and none doubled in 100,000 schedules', (t) => {
  const rules = checkSchedules(1_000_000, 100_000)
  t.diagnostic(`rules: ${[...rules].map(([rule, times]) => `${rule} ${times}`).join(', ')}`)
  for (const rule of RULES) assert.ok((rules.get(rule) ?? 0) > 0, `${rule} was never used`)
})
