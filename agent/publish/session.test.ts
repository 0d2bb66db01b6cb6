import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Commit } from '../../shared/kafka/index.ts'
import { type PositionsStore, Session } from './session.ts'

/** Kafka's memory: two topics of one partition each. */
function memory(): PositionsStore & { written: string[] } {
  const commits = new Map<string, Commit>()
  const written: string[] = []
  const nothing = () => Promise.resolve()
  const transact = async (_batches: unknown, changes: readonly Commit[]) => {
    for (const commit of changes) commits.set(`${commit.group} ${commit.topic}`, commit)
    written.push(...changes.map(({ topic }) => topic))
  }
  return {
    written,
    openProducer: () => Promise.resolve({ send: nothing, transact, close: nothing, worn: false }),
    partitionsOf: (topic) => Promise.resolve([{ topic, partition: 0 }]),
    readCommits: (group, partitions) =>
      Promise.resolve(
        partitions.map((at) => ({ offset: -1, metadata: '', ...at, ...commits.get(`${group} ${at.topic}`) })),
      ),
  }
}

const SOURCES = { good: 'a'.repeat(26), bad: `${'b'.repeat(25)}a` }

function entryOf(source: string, position: number) {
  return { source, position, start: 0, head: 1, tail: 2, file: 3, retired: false }
}

test('of a topic that takes nothing the positions are known, and nothing of it is read, written or retired', async () => {
  const store = memory()
  const options = {
    agent: 'host',
    topics: ['good', 'bad', 'none'],
    transactionTimeoutMs: 1000,
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
  session.renew(session.topics)
  await session.transact([])
  assert.deepEqual(store.written, ['good'])
})
