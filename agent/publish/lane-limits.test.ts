import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TopicLimits } from './lane-limits.ts'

test('batches shrink first, then values; both to what most topics take before they become tiny; other topics keep theirs', () => {
  const limits = new TopicLimits({ batch_bytes: 128 * 1024, max_event_bytes: 64 * 1024 })
  const seen: string[] = []
  const say = () => seen.push(`${limits.of('small').laneBytes} ${limits.of('small').deadAboveBytes}`)
  for (say(); limits.shrink('small'); ) say()
  assert.deepEqual(seen.slice(0, 6), [
    '65536 Infinity',
    '32768 Infinity',
    '16384 Infinity',
    '16384 32768',
    '16384 16384',
    '8192 16384',
  ])
  assert.equal(seen.at(-1), '512 512')
  assert.equal(limits.shrink('small'), false, 'what takes no record of this size takes nothing')
  assert.equal(limits.of('good').laneBytes, 65_536)
})

void test('an hour after the last refusal batches are as large as at first', (t) => {
  t.mock.timers.enable({ apis: ['Date'] })
  const limits = new TopicLimits({ batch_bytes: 1024 * 1024, max_event_bytes: 1024 * 1024 })
  const first = limits.of('t')
  limits.shrink('t')
  t.mock.timers.tick(3_500_000)
  limits.shrink('t')
  t.mock.timers.tick(3_500_000)
  assert.ok(limits.of('t').laneBytes < first.laneBytes / 3)
  t.mock.timers.tick(100_000)
  assert.deepEqual(limits.of('t'), first)
})
