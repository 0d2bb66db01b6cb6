import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AppendAnswer, classifyFailure, classifyResponse } from './answers.ts'
import { STATUS } from './grpc.ts'

void test('every failure has one class: StorageError first, then the text, then the code', () => {
  const cases: [AppendAnswer['kind'], number, string, string[]][] = [
    ['exists', 6, 'expected offset 5, received 3', ['OFFSET_ALREADY_EXISTS']],
    ['exists', 6, '', []],
    ['gap', STATUS.OUT_OF_RANGE, '', []],
    ['gap', 3, 'odd code', ['OFFSET_OUT_OF_RANGE']],
    ['gone', 3, 'Stream has been finalized and cannot be appended', []],
    ['gone', 3, 'Invalid stream name. Entity: x', []],
    ['gone', 3, '', ['STREAM_FINALIZED']],
    ['gone', STATUS.NOT_FOUND, 'Requested entity was not found', []],
    ['denied', STATUS.PERMISSION_DENIED, 'denied on resource (or it may not exist)', []],
    ['later', 3, 'extra field', ['SCHEMA_MISMATCH_EXTRA_FIELDS']],
    ['later', STATUS.RESOURCE_EXHAUSTED, 'quota', []],
    ['lost', 10, 'Closing the stream because it has been inactive for 600 seconds', []],
    ['lost', STATUS.UNAVAILABLE, '', []],
    ['lost', 13, 'internal', []],
    ['lost', 99, 'never heard of', ['SOMETHING_NEW']],
  ]
  for (const [kind, code, message, storageErrors] of cases) {
    assert.equal(
      classifyFailure({ code, message, storageErrors }).kind,
      kind,
      `${code} ${message} ${storageErrors.join()}`,
    )
  }
  assert.deepEqual(classifyFailure({ code: 8, message: 'q', storageErrors: [] }), {
    kind: 'later',
    reason: 'quota',
    message: 'q',
  })
})

void test('every response has one class', () => {
  assert.deepEqual(classifyResponse({ appendResult: { offset: { value: '7' } } }), { kind: 'written', offset: 7 })
  assert.deepEqual(classifyResponse({ appendResult: { offset: {} } }), { kind: 'written', offset: 0 })
  assert.deepEqual(classifyResponse({ appendResult: {} }), { kind: 'written', offset: undefined })
  const refused = { error: { code: 3 }, rowErrors: [{ index: '2', message: 'bad' }, {}] }
  assert.deepEqual(classifyResponse(refused), {
    kind: 'refused',
    rows: [
      { index: 2, message: 'bad' },
      { index: 0, message: '' },
    ],
  })
  assert.equal(classifyResponse({ error: { code: 11, message: '' } }).kind, 'gap')
  assert.equal(classifyResponse({}).kind, 'lost')
  // The route's schema says what is sent, whatever the table has gained.
  const gained = { appendResult: { offset: { value: '7' } }, updatedSchema: { fields: [{ name: 'new' }] } }
  assert.deepEqual(classifyResponse(gained), { kind: 'written', offset: 7 })
})
