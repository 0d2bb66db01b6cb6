import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UserError } from '../../shared/errors.ts'
import { parseAcceptLoss } from './accept-loss.ts'

void test('partitions and offsets are read, and nothing else is', () => {
  const expected = new Map([
    ['my.topic-1/0', 5],
    ['b/12', 700],
  ])
  assert.deepEqual(parseAcceptLoss('my.topic-1/0@5, b/12@700'), expected)
  for (const wrong of ['', 'a', 'a/1', 'a@1', 'a/1@', 'a/x@1', 'a/1@-1', 'a/1@1,']) {
    assert.throws(() => parseAcceptLoss(wrong), UserError, wrong)
  }
})
