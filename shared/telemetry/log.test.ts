import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UserError } from '../errors.ts'
import { createLog } from './index.ts'

void test('a level that is none is a mistake of the user; an empty one is left out', (t) => {
  const before = process.env['MILLRACE_LOG_LEVEL']
  t.after(() => {
    if (before === undefined) delete process.env['MILLRACE_LOG_LEVEL']
    else process.env['MILLRACE_LOG_LEVEL'] = before
  })
  process.env['MILLRACE_LOG_LEVEL'] = 'loud'
  assert.throws(() => createLog('test'), UserError)
  process.env['MILLRACE_LOG_LEVEL'] = ''
  assert.equal(createLog('test').level, 'info')
})
