import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AgentKey } from './agent-key.ts'

const SOURCE = 'abcdefghijklmnopqrstuvwx23'

function read(key: AgentKey, text: string): unknown {
  const bytes = Buffer.from(`..${text}..`)
  return key.read(bytes, 2, bytes.length - 2) && [key.source, key.position, key.size]
}

void test("an agent's keys, one after the other", () => {
  const key = new AgentKey()
  assert.deepEqual(read(key, `${SOURCE}@0+1`), [SOURCE, 0, 1])
  assert.deepEqual(read(key, `${SOURCE}@123456789012345+42`), [SOURCE, 123456789012345, 42])
  assert.deepEqual(read(key, `${SOURCE}~12@7+8`), [`${SOURCE}~12`, 7, 8])
  assert.deepEqual(read(key, `${SOURCE}@9+8`), [SOURCE, 9, 8])
})

void test("other keys are nobody's", () => {
  const key = new AgentKey()
  const others = ['', 'user-17', SOURCE, `${SOURCE}@`, `${SOURCE}@1`, `${SOURCE}@1+`, `${SOURCE}@+1`, `${SOURCE}@1+2x`]
  const forms = [
    `${SOURCE.toUpperCase()}@1+2`,
    `${SOURCE}~@1+2`,
    `${SOURCE}~0@1+2`,
    `${SOURCE}~${'1'.repeat(11)}@1+2`,
    `${SOURCE}@1234567890123456+1`,
    `${SOURCE}x@1+2`,
  ]
  for (const text of [...others, ...forms]) assert.equal(read(key, text), false, text)
  assert.equal(key.read(Buffer.alloc(4), -1, -1), false)
})
