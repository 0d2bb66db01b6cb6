import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Commit, TopicPartition } from '../../shared/kafka/index.ts'
import { encodeBase32 } from '../follow/base32.ts'
import { type PositionsStore, Session } from './session.ts'

/** Kafka's memory: topics of so many partitions each. */
function memory(partitions = () => 1): PositionsStore & { written: string[]; commits: Map<string, Commit> } {
  const commits = new Map<string, Commit>()
  const written: string[] = []
  const nothing = () => Promise.resolve()
  const transact = async (_batches: unknown, changes: readonly Commit[]) => {
    for (const commit of changes) commits.set(keyOf(commit.group, commit), commit)
    written.push(...changes.map(({ topic }) => topic))
  }
  return {
    written,
    commits,
    openProducer: () => Promise.resolve({ send: nothing, transact, close: nothing }),
    partitionsOf: (topic) =>
      Promise.resolve(Array.from({ length: partitions() }, (_, partition) => ({ topic, partition }))),
    readCommits: (group, partitions) =>
      Promise.resolve(partitions.map((at) => ({ offset: -1, metadata: '', ...at, ...commits.get(keyOf(group, at)) }))),
  }
}

function keyOf(group: string, { topic, partition }: TopicPartition): string {
  return `${group} ${topic}/${partition}`
}

const SOURCES = { good: 'a'.repeat(26), bad: `${'b'.repeat(25)}a` }

function entryOf(source: string, position: number) {
  return { source, position, start: 0, head: 1, tail: 2, file: 3, retired: false }
}

test('of a topic that takes nothing the positions are known, and nothing of it is read, written or retired', async () => {
  const store = memory()
  const options = {
    agent: { id: 'host', transaction_timeout: 1000 },
    topics: ['good', 'bad', 'none'],
    report: () => undefined,
  }
  const before = await Session.open(store, options)
  assert.deepEqual([...before.blank], ['good', 'bad', 'none'])
  for (const topic of ['good', 'bad'] as const)
    before.note({ source: SOURCES[topic], topic, change: () => entryOf(SOURCES[topic], 7) })
  await before.transact([])
  store.written.length = 0

  const session = await Session.open(store, { ...options, refusing: new Set(['bad', 'none']) })
  assert.deepEqual(session.topics, ['good'])
  assert.deepEqual([...session.blank], [], 'nothing is said of where it begins')
  assert.deepEqual(
    session.entries.map(({ source }) => source),
    [SOURCES.good, SOURCES.bad],
  )
  assert.deepEqual(
    session.entriesByTopic.map(({ topic }) => topic),
    ['good'],
  )
  assert.equal(session.place('bad', SOURCES.bad), undefined)
  session.renew()
  await session.transact([])
  assert.deepEqual(store.written, ['good'])
})

test('positions of which Kafka has forgotten some are told from those of partitions that were added', async () => {
  let partitions = 2
  const store = memory(() => partitions)
  const options = { agent: { id: 'host', transaction_timeout: 1000 }, topics: ['logs'], report: () => undefined }
  const first = await Session.open(store, options)
  assert.deepEqual([[...first.blank], [...first.torn]], [['logs'], []])
  first.renew()
  for (let n = 0; n < 200; n++) {
    const source = encodeBase32(Buffer.alloc(16, n))
    first.note({ source, topic: 'logs', change: () => entryOf(source, 7) })
  }
  await first.transact([])
  partitions = 3
  const whole = new Map(store.commits)
  assert.equal(whole.size, 4, 'each partition has spilled to a further group')
  assert.deepEqual([...(await Session.open(store, options)).torn], [], 'the third partition is new')
  for (const key of whole.keys()) {
    store.commits.delete(key)
    const session = await Session.open(store, options)
    assert.deepEqual([[...session.blank], [...session.torn]], [[], ['logs']], `without ${key}`)
    store.commits.set(key, whole.get(key)!)
  }
})
