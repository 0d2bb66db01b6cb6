import assert from 'node:assert/strict'
import { test } from 'node:test'
import { originOutsideKafka } from '../codec/index.ts'
import { createLog } from '../telemetry/index.ts'
import type { AppendAnswer } from '../warehouse/answers.ts'
import { openDefaultWriter } from '../warehouse/index.ts'
import { letterOf } from './index.ts'
import { openLetterWriter } from './letter-writer.ts'

void test('a letter fits into a request of its own, whatever its event and its reason quote', () => {
  const name = 'n'.repeat(9 * 1024 * 1024)
  const why = { reason: 'unknown_field', field: name, message: `${name}: a field that the schema does not have` }
  const letter = letterOf('visits', why, Buffer.from(`{"${name}":1}`), originOutsideKafka(null), null)
  assert.ok(letter.length > 8 * 1024 * 1024 && letter.length < 9 * 1024 * 1024, String(letter.length))
})

void test('letters go in requests that the service takes, and their table is made again when it is gone', async () => {
  const sizes: number[] = []
  let ensured = 0
  const answers: AppendAnswer[] = [{ kind: 'denied', message: 'or it may not exist' }]
  const append = async ({ length }: Buffer): Promise<AppendAnswer> => {
    sizes.push(length)
    return answers.shift() ?? { kind: 'written', offset: undefined }
  }
  const open = () => ({ stream: '', append, close: () => undefined })
  const writer = openLetterWriter(openDefaultWriter(open, async () => ensured++, createLog('test')))
  const letter = Buffer.alloc(3 * 1024 * 1024)
  await writer.write([letter, letter, letter, letter], new AbortController().signal)
  assert.deepEqual(
    sizes,
    [2, 2, 2].map((letters) => letters * letter.length),
    'the first one twice',
  )
  assert.equal(ensured, 1)
})
