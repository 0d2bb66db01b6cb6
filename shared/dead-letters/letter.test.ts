import assert from 'node:assert/strict'
import { test } from 'node:test'
import { originOutsideKafka } from '../codec/index.ts'
import { letterOf } from './index.ts'

void test('a letter fits into a request of its own, whatever its event and its reason quote', () => {
  const name = 'n'.repeat(9 * 1024 * 1024)
  const why = { reason: 'unknown_field', field: name, message: `${name}: a field that the schema does not have` }
  const letter = letterOf('visits', why, Buffer.from(`{"${name}":1}`), originOutsideKafka(null), null)
  assert.ok(letter.length > 8 * 1024 * 1024 && letter.length < 9 * 1024 * 1024, String(letter.length))
})
