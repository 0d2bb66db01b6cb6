import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { STATE_KEY } from './metadata.ts'
import { type ChunkState, encodeState, nextStep, stateOf, STREAM_LIFE_MS, whenStreamsAreGone } from './state.ts'

const OBJECT = 'bucket/name#7'
const decode = (text: string | undefined, generation = '7') =>
  stateOf('bucket', { name: 'name', generation, metadata: { [STATE_KEY]: text } })
const COMMITTING = {
  state: 'committing',
  token: 'a',
  since: 1000,
  rows: { stream: 's', count: 2 },
  events: 2,
  end: 9,
} as const

void suite('the state of an object', () => {
  void test('comes back as it was written', () => {
    const states: ChunkState[] = [
      { state: 'writing', token: 'a', until: 5 },
      COMMITTING,
      { state: 'committed', rows: 1, deadLetters: 0 },
      { state: 'failed', reason: 'why' },
    ]
    for (const state of states) assert.deepEqual(decode(encodeState(OBJECT, state)), state)
  })

  void test('of another object or generation does not count', () => {
    const copied = encodeState('bucket/original#7', { state: 'committed', rows: 1, deadLetters: 0 })
    assert.deepEqual(decode(copied), { state: 'none' })
    assert.deepEqual(decode(encodeState(OBJECT, COMMITTING), '8'), { state: 'none' })
    assert.deepEqual(decode(undefined), { state: 'none' })
  })

  void test('says the next step', () => {
    const step = (state: ChunkState, ranges: 'undecided' | [number, number][] = [[0, 9]], nowMs = 100) =>
      nextStep(state, ranges, 'mine', nowMs).do
    assert.equal(step({ state: 'none' }), 'claim')
    assert.equal(step({ state: 'none' }, 'undecided'), 'leave')
    assert.equal(step({ state: 'none' }, []), 'note-carried-by-kafka')
    assert.equal(step({ state: 'writing', token: 'mine', until: 0 }), 'write')
    assert.equal(step({ state: 'writing', token: 'other', until: 101 }), 'later')
    assert.equal(step({ state: 'writing', token: 'other', until: 100 }), 'claim')
    assert.equal(step(COMMITTING), 'commit')
    assert.equal(step({ state: 'committed', rows: 0, deadLetters: 0 }), 'leave')
    assert.equal(step({ state: 'failed', reason: 'why' }), 'leave')
  })

  void test('streams that are gone are asked for again, until none of them can be committed any more', () => {
    assert.equal(whenStreamsAreGone(COMMITTING, 1000 + STREAM_LIFE_MS - 1), 'later')
    assert.equal(whenStreamsAreGone(COMMITTING, 1000 + STREAM_LIFE_MS), 'ask-the-table')
  })
})
