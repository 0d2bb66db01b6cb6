import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createClock } from './clock.ts'

test('a frozen clock moves by advance alone', () => {
  const clock = createClock({ frozen: true, startMs: 1_000 })
  clock.advance(500)
  assert.equal(clock.now(), 1_500)
})

test('a running clock is the machine time plus what it was advanced by', () => {
  const clock = createClock()
  clock.advance(3 * 86_400_000)
  const ahead = clock.now() - Date.now()
  assert.ok(Math.abs(ahead - 3 * 86_400_000) < 1_000, `${ahead}`)
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
