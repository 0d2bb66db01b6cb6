import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { RateLimit } from './rate-limit.ts'

void test('whatever is asked for whenever, no more is taken than the rate allows, and one piece', () => {
  const asks = fc.array(fc.record({ afterMs: fc.nat(3000), bytes: fc.integer({ min: 1, max: 5000 }) }))
  fc.assert(
    fc.property(asks, fc.integer({ min: 100, max: 10_000 }), (asked, rate) => {
      const limit = new RateLimit(rate, 100, 0)
      let [nowMs, taken] = [0, 0]
      for (const { afterMs, bytes } of asked) {
        nowMs += afterMs
        if (limit.room(nowMs) === 0) continue
        limit.take(bytes)
        taken += bytes
        assert.ok(taken - bytes < rate + (nowMs * rate) / 1000)
      }
    }),
  )
})

void test('what was taken too early is waited for; a long pause allows no more than a burst', () => {
  const limit = new RateLimit(1000, 2000, 0)
  assert.equal(limit.room(0), 2000)
  limit.take(5000)
  assert.equal(limit.room(3000), 0)
  assert.equal(limit.room(3500), 500)
  assert.equal(limit.room(3_600_000), 2000)
})

void test('a clock that is set back holds nothing up', () => {
  const limit = new RateLimit(1000, 1000, 3_600_000)
  limit.take(1000)
  assert.equal(limit.room(0), 0)
  assert.equal(limit.room(500), 500)
})
