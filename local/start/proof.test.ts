import assert from 'node:assert/strict'
import { test } from 'node:test'
import { verdictOf } from './proof.ts'

const CLEAN = { sources: 1, finished: 1, events: 10, faults: 0, listed: [] }
const held = (rows: number, deadLetters: number, distinct: number) => ({ rows, deadLetters, distinct })

test('all that was written is there once', () => {
  const { line, holds } = verdictOf(10, held(9, 1, 10), CLEAN)
  assert.equal(line, 'events=10 rows=9 dead_letters=1 missing=0 duplicates=0')
  assert(holds)
})

test('a loss and a double are counted', () => {
  assert.match(verdictOf(10, held(9, 0, 9), CLEAN).line, /missing=1 duplicates=0$/)
  assert.match(verdictOf(10, held(11, 0, 10), CLEAN).line, /missing=0 duplicates=1$/)
  assert.match(verdictOf(10, held(10, 0, 9), CLEAN).line, /missing=1 duplicates=1$/)
  for (const counts of [held(9, 0, 9), held(11, 0, 10), held(10, 0, 9)]) assert(!verdictOf(10, counts, CLEAN).holds)
})

test('a loss that a foreign row hides in the count is told by the gap', () => {
  const gap = { kind: 'gap' as const, source: 's', from: 0, to: 5 }
  const verdict = verdictOf(10, held(10, 0, 10), { ...CLEAN, faults: 1, listed: [gap] })
  assert.match(verdict.line, /missing=1 duplicates=0$/)
  assert(!verdict.holds)
})

test('events that nobody has tallied are no proof', () => {
  const { unknown, holds } = verdictOf(10, held(12, 0, 12), CLEAN)
  assert.equal(unknown, 2)
  assert(!holds)
})
