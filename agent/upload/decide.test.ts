import assert from 'node:assert/strict'
import test from 'node:test'
import type { Entry } from '../publish/index.ts'
import { handOver, judge } from './decide.ts'

const FINGERPRINT = { head: 1, tail: 2, file: 3 }

void test('two chunks of a file that grew between two uploads carry it together, each byte once', () => {
  const shorter = { start: 0, size: 110, ranges: 'undecided' } as const
  const longer = { start: 0, size: 190, ranges: 'undecided' } as const
  let entry: Entry | undefined
  // The file is gone; the shorter chunk is decided first.
  assert.equal(judge(shorter, entry, false), 'hand-over')
  entry = handOver('s', entry, shorter.size, FINGERPRINT)!
  // What the longer one has more is nobody's yet: it was once lost here.
  assert.equal(judge(longer, entry, false), 'hand-over')
  entry = handOver('s', entry, longer.size, FINGERPRINT)!
  assert.deepEqual(entry.handed, { from: 0, to: 190 })
  assert.deepEqual(judge(longer, entry, false), [[0, 190]])
  assert.deepEqual(judge(shorter, entry, false, [[0, 190]]), [])
})

void test('a hand-over behind what Kafka published between waits until the one before is seen to be carried', () => {
  const handed = handOver('s', undefined, 110, FINGERPRINT)!
  const published = { ...handed, position: 150, size: 150 }
  assert.equal(handOver('s', published, 190, FINGERPRINT, []), undefined)
  assert.equal(handOver('s', published, 190, FINGERPRINT, [[0, 100]]), undefined)
  const after = handOver('s', published, 190, FINGERPRINT, [
    [0, 100],
    [100, 110],
  ])
  assert.deepEqual(after?.handed, { from: 150, to: 190 })
})

void test('what was written behind a hand-over waits for Kafka as long as its file is there', () => {
  const longer = { start: 0, size: 190, ranges: 'undecided' } as const
  const entry = handOver('s', undefined, 110, FINGERPRINT)!
  assert.equal(judge(longer, entry, true), 'wait')
  const published = { ...entry, position: 190, size: 190 }
  assert.deepEqual(judge(longer, published, true, [[0, 110]]), [])
})
