import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Effect, Event } from './events.ts'
import { decodeLog, EMPTY_LOG, encodeLog, type Log, positionOfCount, positionOfRow } from './log.ts'
import { Owner, type OwnerOptions } from './owner.ts'

const LOG: Log = {
  stream: 's1',
  created: 5,
  offset: 100,
  intents: [
    [20, 4],
    [30, 6],
  ],
  clean: false,
  lost: false,
  partitions: 4,
}

function owner(options: Partial<OwnerOptions> = {}): Owner {
  return new Owner({ isOwnStream: (stream) => stream.startsWith('s'), from: 'start', ...options })
}

const read = (offset: number, metadata: string, start = 0, end = 1000): Event => ({
  kind: 'read',
  offset,
  metadata,
  start,
  end,
  now: 7,
})
const kinds = (effects: readonly Effect[]) => effects.map(({ kind }) => kind)
const only = <K extends Effect['kind']>(effects: readonly Effect[], kind: K) =>
  effects.find((effect): effect is Effect & { kind: K } => effect.kind === kind) ??
  assert.fail(`no ${kind} in ${kinds(effects).join()}`)

void test('an append goes: piece, stream, commit with the intent, and only then the append', () => {
  const one = owner()
  assert.equal(only(one.handle(read(-1, encodeLog({ ...EMPTY_LOG, partitions: 3 }))), 'fetch').from, 0)
  assert.deepEqual(kinds(one.handle({ kind: 'piece', id: 1, end: 10, rows: 3, letters: false })), [])
  assert.deepEqual(kinds(one.handle({ kind: 'turn' })), ['create', 'commit'])
  one.handle({ kind: 'committed' })
  one.handle({ kind: 'created', stream: 's9' })
  const commit = only(one.handle({ kind: 'turn' }), 'commit')
  assert.deepEqual(JSON.parse(commit.metadata), {
    v: 1,
    partitions: 3,
    stream: 's9',
    created: 7,
    offset: 0,
    intents: [[10, 3]],
    clean: false,
  })
  const append = only(one.handle({ kind: 'committed' }), 'append')
  assert.deepEqual(append, { kind: 'append', id: 1, attempt: 1, stream: 's9', offset: 0 })
  one.handle({ kind: 'answer', id: 1, attempt: 1, answer: 'written' })
  assert.equal(one.durable, 10)
  one.handle({ kind: 'leave' })
  const clean = only(one.handle({ kind: 'turn' }), 'commit')
  assert.deepEqual(
    [clean.offset, JSON.parse(clean.metadata)],
    [10, { v: 1, partitions: 3, stream: 's9', created: 7, offset: 3, intents: [], clean: true }],
  )
  assert.deepEqual(kinds(one.handle({ kind: 'committed' })), ['left'])
})

void test('nothing passes a piece whose dead letters are not durable', () => {
  const one = owner()
  one.handle(read(-1, ''))
  assert.deepEqual(kinds(one.handle({ kind: 'piece', id: 1, end: 5, rows: 0, letters: true })), ['write letters'])
  one.handle({ kind: 'piece', id: 2, end: 9, rows: 2, letters: false })
  const before = only(one.handle({ kind: 'turn' }), 'commit')
  assert.deepEqual([before.offset, JSON.parse(before.metadata).intents], [0, []])
  one.handle({ kind: 'committed' })
  assert.deepEqual(kinds(one.handle({ kind: 'turn' })), [])
  assert.deepEqual(kinds(one.handle({ kind: 'letters durable', id: 1 })), ['release'])
  assert.deepEqual(kinds(one.handle({ kind: 'turn' })), ['create'])
})

void test('a take-over counts whole intents', () => {
  for (const [rows, position] of [
    [100, 10],
    [104, 20],
    [110, 30],
  ] as const) {
    const one = owner()
    assert.equal(only(one.handle(read(10, encodeLog(LOG))), 'finalize').stream, 's1')
    assert.equal(only(one.handle({ kind: 'counted', rows }), 'fetch').from, position)
  }
})

void test('a count between two intents: the same commit stops, another one re-joins', () => {
  for (const [metadata, effect] of [
    [encodeLog(LOG), 'stop'],
    ['', 'rejoin'],
  ] as const) {
    const one = owner()
    one.handle(read(10, encodeLog(LOG)))
    assert.deepEqual(kinds(one.handle({ kind: 'counted', rows: 107 })), ['note', 'read'])
    assert.equal(one.durable, 10, 'what the alarm and the lag say')
    assert.equal(kinds(one.handle(read(10, metadata)))[0], effect)
  }
})

void test('a clean stream goes on, unless the table is another one', () => {
  const clean = encodeLog({ ...LOG, intents: [], clean: true })
  const [own, other] = [owner(), owner({ isOwnStream: () => false })]
  assert.deepEqual(kinds(own.handle(read(10, clean))), ['note', 'fetch'])
  other.handle(read(10, clean))
  other.handle({ kind: 'piece', id: 1, end: 11, rows: 1, letters: false })
  assert.ok(kinds(other.handle({ kind: 'turn' })).includes('create'))
})

void test('a stream that is gone: the table is asked', () => {
  for (const [highest, position] of [
    [null, 10],
    [19, 20],
    [20, 30],
  ] as const) {
    const one = owner()
    one.handle(read(10, encodeLog(LOG)))
    assert.deepEqual(only(one.handle({ kind: 'gone' }), 'ask'), {
      kind: 'ask',
      stream: 's1',
      from: 10,
      below: 30,
      since: 5,
    })
    assert.equal(only(one.handle({ kind: 'asked', highest }), 'fetch').from, position)
  }
})

void test('positions that the topic does not hold stop the partition, until the operator accepts the loss', () => {
  const clean = encodeLog({ ...LOG, intents: [], clean: true })
  assert.equal(only(owner().handle(read(10, clean, 15, 100)), 'stop').reason, 'records-lost')
  assert.equal(only(owner().handle(read(200, clean, 15, 100)), 'stop').reason, 'topic-replaced')
  const ahead = owner()
  ahead.handle(read(10, encodeLog(LOG), 0, 25))
  assert.equal(only(ahead.handle({ kind: 'counted', rows: 100 }), 'stop').reason, 'topic-replaced')
  assert.equal(only(owner({ acceptLossAt: 15 }).handle(read(10, clean, 15, 100)), 'fetch').from, 15)
  assert.equal(only(owner({ acceptLossAt: 3 }).handle(read(200, clean, 0, 100)), 'fetch').from, 3)
  const { reason, message } = only(owner({ acceptLossAt: 3 }).handle(read(10, clean, 15, 100)), 'stop')
  assert.equal(reason, 'records-lost')
  assert.match(message, /3 is not accepted: the topic has 15 to 100/)
})

void test('a stopped partition stays stopped, however the topic grows, until the operator accepts the loss', () => {
  const stopped = owner()
  assert.deepEqual(kinds(stopped.handle(read(200, encodeLog({ ...LOG, intents: [], clean: true }), 0, 100))), [
    'note',
    'stop',
  ])
  const { offset, metadata } = only(stopped.handle({ kind: 'turn' }), 'commit')
  assert.deepEqual(kinds(stopped.handle({ kind: 'committed' })), ['left'])
  assert.equal(only(owner().handle(read(offset, metadata, 0, 1000)), 'stop').reason, 'topic-replaced')
  const accepting = owner({ acceptLossAt: 3 })
  assert.equal(only(accepting.handle(read(offset, metadata, 0, 1000)), 'fetch').from, 3)
  accepting.handle({ kind: 'piece', id: 1, end: 5, rows: 1, letters: false })
  const begun = accepting.handle({ kind: 'turn' })
  assert.ok(kinds(begun).includes('create'), 'a stream of its own')
  assert.deepEqual(JSON.parse(only(begun, 'commit').metadata), { v: 1, partitions: 4, ...EMPTY_LOG })
})

void test('metadata of somebody else stop the partition; none at all is a new start', () => {
  assert.equal(only(owner().handle(read(10, '{"v":2}')), 'stop').reason, 'foreign-log')
  assert.equal(only(owner().handle(read(10, 'x')), 'stop').reason, 'foreign-log')
  const wiped = owner()
  assert.equal(only(wiped.handle(read(10, '')), 'fetch').from, 10)
  assert.deepEqual(JSON.parse(only(wiped.handle({ kind: 'turn' }), 'commit').metadata), { v: 1, ...EMPTY_LOG })
  assert.equal(only(owner({ from: 'end' }).handle(read(-1, '', 3, 44)), 'fetch').from, 44)
})

void test('intents wait for room, and a name without room for one stops', () => {
  const tight = owner({ logBytesMax: 90 })
  tight.handle(read(-1, ''))
  for (let id = 1; id <= 9; id++) tight.handle({ kind: 'piece', id, end: id * 10, rows: 1, letters: false })
  only(tight.handle({ kind: 'turn' }), 'commit')
  tight.handle({ kind: 'committed' })
  tight.handle({ kind: 'created', stream: 's1' })
  const effects = tight.handle({ kind: 'turn' })
  assert.ok(only(effects, 'commit').metadata.length <= 90)
  assert.equal(only(effects, 'note').rule, 'room-waited')
  tight.handle({ kind: 'committed' })
  const none = owner({ logBytesMax: 40 })
  none.handle(read(-1, ''))
  none.handle({ kind: 'created', stream: 's1' })
  none.handle({ kind: 'piece', id: 1, end: 1, rows: 1, letters: false })
  assert.equal(only(none.handle({ kind: 'turn' }), 'stop').reason, 'no-room')
})

void test("a log has at most the 4,096 bytes that Kafka takes, with the other mode's mark too, and names many intents", () => {
  const one = owner()
  one.handle(read(-1, ''))
  one.handle({ kind: 'created', stream: `s${'1'.repeat(200)}` })
  for (let id = 1; id <= 500; id++) one.handle({ kind: 'piece', id, end: id * 1e9, rows: 4000, letters: false })
  const { metadata } = only(one.handle({ kind: 'turn' }), 'commit')
  assert.ok(JSON.stringify({ ...JSON.parse(metadata), moved: 999_999 }).length <= 4096)
  const decoded = decodeLog(metadata)
  assert.ok(decoded.kind === 'log' && decoded.log.intents.length > 150)
})

void test('logs are read as they were written, and nothing else is', () => {
  assert.deepEqual(decodeLog(encodeLog(LOG)), { kind: 'log', log: LOG })
  for (const broken of [
    '{}',
    '[]',
    '{"v":1}',
    encodeLog({ ...LOG, offset: -1 }),
    encodeLog({ ...LOG, intents: [[1, 0]] }),
    encodeLog({ ...LOG, intents: LOG.intents.toReversed() }),
  ]) {
    assert.equal(decodeLog(broken).kind, 'foreign', broken)
  }
  assert.equal(
    decodeLog(encodeLog(LOG), 20).kind,
    'foreign',
    'offsets translated by a mirror: the intents are of others',
  )
  assert.equal(positionOfCount(10, LOG, 99), undefined)
  assert.equal(positionOfCount(10, LOG, 111), undefined)
  assert.equal(positionOfRow(10, LOG, 9), 10)
})
