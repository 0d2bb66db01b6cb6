import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createClock } from './clock.ts'

const DAY_MS = 86_400_000

test('a frozen clock moves by advance alone', () => {
  const clock = createClock({ frozen: true, startMs: 1_000 })
  clock.advance(500)
  assert.equal(clock.now(), 1_500)
})

test('a running clock is the machine time plus what it was advanced by', () => {
  const clock = createClock()
  clock.advance(3 * DAY_MS)
  const [before, told, after] = [Date.now(), clock.now(), Date.now()]
  const graceMs = 1_000 // the two clocks of the machine run apart, by a little
  assert.ok(before - graceMs <= told - 3 * DAY_MS && told - 3 * DAY_MS <= after + graceMs, `${before} ${told} ${after}`)
})

test('advance fires what is due, in order, before its listeners, and no sooner', () => {
  const clock = createClock({ frozen: true })
  const seen: string[] = []
  clock.onAdvance(() => seen.push('advanced'))
  clock.after(600, () => seen.push('600'))
  clock.after(200, () => seen.push('200'))
  const cancel = clock.after(100, () => seen.push('cancelled'))
  cancel()
  clock.advance(199)
  assert.deepEqual(seen, ['advanced'])
  clock.advance(401)
  assert.deepEqual(seen, ['advanced', '200', '600', 'advanced'])
})

test('a timer fires by itself when the machine time comes', async () => {
  await createClock().sleep(5)
})

test('a sleep ends with the reason of its signal', async () => {
  const stop = new AbortController()
  const sleeping = createClock({ frozen: true }).sleep(1, stop.signal)
  stop.abort(new Error('enough'))
  await assert.rejects(sleeping, /enough/)
})

test('time does not go backwards', () => {
  assert.throws(() => createClock().advance(-1), /forward only/)
})
