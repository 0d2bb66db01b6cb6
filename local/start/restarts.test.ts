import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Restarts } from './restarts.ts'

test('a service that cannot start is told of once, and tried more and more seldom', () => {
  const restarts = new Restarts()
  const verdicts = Array.from({ length: 8 }, () => restarts.ended(100, true))
  assert.deepEqual(
    verdicts.map(({ say }) => say),
    ['ended', 'ended', 'again', 'nothing', 'nothing', 'nothing', 'nothing', 'nothing'],
  )
  assert.deepEqual(
    verdicts.map(({ afterMs }) => afterMs),
    [250, 500, 1000, 2000, 4000, 5000, 5000, 5000],
  )
})

test('one that ran for a while begins anew; one that is killed is told of each time', () => {
  const restarts = new Restarts()
  for (let n = 0; n < 5; n++) restarts.ended(100, true)
  assert.deepEqual(restarts.ended(10_000, true), { afterMs: 250, say: 'ended' })
  for (let n = 0; n < 5; n++) assert.equal(restarts.ended(3_000, false).say, 'ended')
})
