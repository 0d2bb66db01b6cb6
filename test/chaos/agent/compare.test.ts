import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lineText } from '../../support/log-writer.ts'
import { compareCarried } from './compare.ts'

void test('what is written, carried twice, altered and foreign is told apart', () => {
  const lines = [0, 1, 2, 3, 4].map((number) => lineText(number))
  assert.deepEqual(compareCarried(lines.toReversed(), 5), { missing: 0, duplicates: 0, alien: 0 })
  assert.deepEqual(compareCarried([...lines.slice(1), lines[1]!], 5), { missing: 1, duplicates: 1, alien: 0 })
  const wrong = [`${lines[0]}y`, lineText(5), null, 'line 3']
  assert.deepEqual(compareCarried([...wrong, ...lines.slice(1)], 5), { missing: 1, duplicates: 0, alien: 4 })
})
