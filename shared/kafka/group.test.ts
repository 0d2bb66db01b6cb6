import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type SharedBroker, sharedBroker } from '../../test/support/broker.ts'
import { seekCommits, settledOffsets } from '../../test/support/consume.ts'
import { eventually } from '../../test/support/eventually.ts'
import { API, type KafkaProxy, startProxy } from '../../test/support/proxy.ts'
import { administer, createTopics } from '../../local/kafka/index.ts'
import { UserError } from '../errors.ts'
import {
  BatchBuilder,
  connectKafka,
  countMembers,
  type Group,
  type GroupOptions,
  joinGroup,
  type KafkaClient,
  KafkaError,
  type Membership,
  openProducer,
  type PartitionStop,
  readCommits,
} from './index.ts'

interface World {
  broker: SharedBroker
  proxy: KafkaProxy
  client: KafkaClient
  direct: KafkaClient
  topic: string
  groupId: string
  /** Joins past the proxy, unless told otherwise. */
  join(options?: Partial<GroupOptions> & { through?: KafkaClient }, handlers?: Partial<Recorder>): Promise<Recorder>
  publish(count: number, topic?: string): Promise<void>
}

/** A member that writes down what happens to it. */
interface Recorder {
  group: Group
  memberships: Membership[]
  /** `assigned 3`, `batch 0:0-9`, `revoking 3`, ... */
  events: string[]
  values: Map<string, number>
  stops: PartitionStop[]
  current(): Membership
  onAssigned?(membership: Membership): Promise<void>
  onBatch?(membership: Membership, partition: number): void
  onRevoking?(membership: Membership): Promise<void>
}

/** A lost answer is noticed after this time; longer than a busy machine stops a process, since so long every answer may take. */
const REQUEST_TIMEOUT_MS = 4000
const COMMIT_TIMEOUT_MS = 3000

async function world(t: TestContext, partitions = 2, requestTimeoutMs = REQUEST_TIMEOUT_MS): Promise<World> {
  const broker = await sharedBroker()
  const proxy = await startProxy(broker.brokers)
  const client = connectKafka({ brokers: [proxy.brokers], auth: 'none', tls: false }, 'test', { requestTimeoutMs })
  const direct = connectKafka({ brokers: [broker.brokers], auth: 'none', tls: false }, 'test')
  const [topic, groupId] = [broker.unique('events'), broker.unique('readers')]
  const groups: Group[] = []
  t.after(async () => {
    await Promise.all(groups.map((group) => group.close()))
    await Promise.all([client.close(), direct.close()])
    await proxy.close()
  })
  await createTopics(direct, [{ topic, partitions }])
  const join: World['join'] = async ({ through = direct, ...options } = {}, handlers = {}) => {
    const recorder = { ...emptyRecorder(), ...handlers }
    const quick = {
      groupId,
      topics: [topic],
      sessionTimeoutMs: 6000,
      heartbeatIntervalMs: 100,
      fetchWaitMs: 50,
    }
    recorder.group = await joinGroup(through, { ...quick, ...options }, recording(recorder))
    groups.push(recorder.group)
    return recorder
  }
  return {
    broker,
    proxy,
    client,
    direct,
    topic,
    groupId,
    join,
    publish: (count, to = topic) => publish(direct, to, partitions, count),
  }
}

function emptyRecorder(): Recorder {
  const memberships: Membership[] = []
  const current = () => memberships.at(-1) ?? assert.fail('never assigned')
  return { group: undefined as unknown as Group, memberships, events: [], values: new Map(), stops: [], current }
}

function recording(recorder: Recorder) {
  const { memberships, events, values, stops } = recorder
  return {
    async assigned(membership: Membership) {
      memberships.push(membership)
      events.push(`assigned ${membership.generation}`)
      await seekCommits(membership)
      await recorder.onAssigned?.(membership)
    },
    batch(
      membership: Membership,
      batch: {
        partition: number
        firstOffset: number
        lastOffset: number
        visit: (from: number, visitor: (r: { buffer: Buffer; valueStart: number; valueEnd: number }) => void) => number
      },
    ) {
      assert.equal(membership, memberships.at(-1), 'a batch of a membership that is not the present one')
      events.push(`batch ${batch.partition}:${batch.firstOffset}-${batch.lastOffset}`)
      batch.visit(0, ({ buffer, valueStart, valueEnd }) => {
        const value = buffer.toString('utf8', valueStart, valueEnd)
        values.set(value, (values.get(value) ?? 0) + 1)
      })
      recorder.onBatch?.(membership, batch.partition)
    },
    stopped(_membership: Membership, stop: PartitionStop) {
      stops.push(stop)
    },
    async revoking(membership: Membership) {
      events.push(`revoking ${membership.generation}`)
      await recorder.onRevoking?.(membership)
    },
  }
}

let published = 0

async function publish(client: KafkaClient, topic: string, partitions: number, count: number): Promise<void> {
  const producer = await openProducer(client, { transactionalId: `${topic}-writer`, timeoutMs: 10_000 })
  for (let i = 0; i < count; i++) {
    const builder = new BatchBuilder(1024)
    const value = Buffer.from(`v${published++}`)
    builder.append(null, value, 0, value.length, Date.now())
    await producer.transact([{ topic, partition: i % partitions, batch: await builder.seal('none') }], [])
  }
  await producer.close()
  await settledOffsets(client, topic)
}

function isKind(kind: KafkaError['kind']): (error: unknown) => boolean {
  return (error) =>
    error instanceof KafkaError && (error.kind === kind || assert.fail(`${error.kind}: ${error.message}`))
}

const at = (topic: string, partition: number, offset: number, metadata = '') => ({ topic, partition, offset, metadata })

test('assigned comes first, then every record once, then revoking; the next member goes on at the commit', async (t) => {
  const w = await world(t)
  await w.publish(6)
  const long = 'é'.repeat(2000) // 4,000 bytes
  const first = await w.join({}, { onRevoking: (m) => m.commit([at(w.topic, 0, 6, long), at(w.topic, 1, 6, '')]) })
  await eventually(() => first.values.size === 6)
  assert.equal(first.events[0], 'assigned 1')
  assert.deepEqual(
    (await first.current().readCommits()).map(({ offset, metadata }) => [offset, metadata]),
    [
      [-1, ''],
      [-1, ''],
    ],
  )
  await first.group.close()
  assert.equal(first.events.at(-1), 'revoking 1')
  assert.equal(first.current().ended.aborted, true)
  const second = await w.join()
  await eventually(() => second.memberships.length === 1)
  assert.deepEqual(
    (await second.current().readCommits()).map(({ offset, metadata }) => [offset, metadata]),
    [
      [6, long],
      [6, ''],
    ],
  )
  await w.publish(2)
  await eventually(() => second.values.size === 2)
  assert.deepEqual([...second.values.values()], [1, 1])
})

test('offsets without records arrive as empty ranges, so that the position can reach the end', async (t) => {
  const w = await world(t, 1)
  await w.publish(2)
  const reader = await w.join()
  await eventually(() => reader.values.size === 2)
  await eventually(() => reader.events.at(-1)?.endsWith('3-3'))
  assert.deepEqual(reader.events.slice(1), ['batch 0:0-0', 'batch 0:1-1', 'batch 0:2-2', 'batch 0:3-3'])
})

test('two members share, and the one that stays takes all when the other leaves', async (t) => {
  const w = await world(t, 4)
  const a = await w.join()
  await eventually(() => a.memberships.length === 1)
  assert.equal(a.current().partitions.length, 4)
  const b = await w.join()
  await eventually(() => b.memberships.length === 1 && a.current().generation === b.current().generation)
  const shared = [...a.current().partitions, ...b.current().partitions].map(({ partition }) => partition)
  assert.deepEqual(
    shared.toSorted((x, y) => x - y),
    [0, 1, 2, 3],
  )
  assert.equal(a.current().partitions.length, 2)
  assert.deepEqual(a.events, ['assigned 1', 'revoking 1', `assigned ${a.current().generation}`])
  await b.group.close()
  await eventually(() => a.current().partitions.length === 4)
})

test('commits of the old generation pass while revoking, and are refused locally after it', async (t) => {
  const w = await world(t)
  const outcomes: string[] = []
  const a = await w.join(
    {},
    {
      onRevoking: async (m) => {
        await m.commit([at(w.topic, 0, 3, 'clean')])
        outcomes.push('passed')
      },
    },
  )
  await eventually(() => a.memberships.length === 1)
  const before = a.current()
  const b = await w.join(
    {},
    {
      onAssigned: async (m) => {
        const commits = await readCommits(w.direct, w.groupId, [{ topic: w.topic, partition: 0 }])
        outcomes.push(`seen ${commits[0]?.metadata} by ${m.generation}`)
      },
    },
  )
  await eventually(() => b.memberships.length === 1 && outcomes.length === 2)
  assert.deepEqual(outcomes, ['passed', `seen clean by ${b.current().generation}`])
  const requests = w.proxy.seen.get(API.OffsetCommit)
  await assert.rejects(before.commit([at(w.topic, 0, 9)]), isKind('ended'))
  assert.equal(w.proxy.seen.get(API.OffsetCommit), requests)
})

test('revoking is bounded', async (t) => {
  const w = await world(t)
  const a = await w.join({ revokeTimeoutMs: 100 }, { onRevoking: () => new Promise(() => undefined) })
  await eventually(() => a.memberships.length === 1)
  const b = await w.join()
  await eventually(() => b.memberships.length === 1)
  assert.equal(a.memberships[0]?.ended.aborted, true)
})

test('a commit without an answer ends the membership; the late packet is fenced', async (t) => {
  const w = await world(t)
  const reader = await w.join({ through: w.client, commitTimeoutMs: COMMIT_TIMEOUT_MS })
  await eventually(() => reader.memberships.length === 1)
  const first = reader.current()
  const held = w.proxy.on(API.OffsetCommit, 'hold')
  await assert.rejects(first.commit([at(w.topic, 0, 5, 'late')]), isKind('unreachable'))
  assert.equal(first.ended.aborted, true)
  assert.equal(held.hits, 1)
  await eventually(() => reader.memberships.length === 2)
  const second = reader.current()
  assert.notEqual(second.memberId, first.memberId)
  assert.ok(second.generation > first.generation)
  await second.commit([at(w.topic, 0, 7, 'mine')])
  held.release()
  // What is asked after the late packet on the broker's only network thread order is not known: look for a while.
  for (let i = 0; i < 10; i++) {
    const [commit] = await second.readCommits()
    assert.equal(commit?.metadata, 'mine')
  }
  assert.equal(reader.events.includes(`revoking ${first.generation}`), false)
})

for (const action of ['lose-answer', 'cut-after', 'cut-before'] as const) {
  test(`a commit is sent once: ${action}`, async (t) => {
    const w = await world(t)
    const reader = await w.join({ through: w.client, commitTimeoutMs: COMMIT_TIMEOUT_MS })
    await eventually(() => reader.memberships.length === 1)
    w.proxy.on(API.OffsetCommit, action)
    await assert.rejects(reader.current().commit([at(w.topic, 0, 5, 'once')]), isKind('unreachable'))
    await eventually(() => reader.memberships.length === 2)
    assert.equal(w.proxy.seen.get(API.OffsetCommit), 1)
    const [commit] = await reader.current().readCommits()
    assert.equal(commit?.metadata, action === 'cut-before' ? '' : 'once')
  })
}

test('a commit with more metadata than the broker takes ends the group: only an operator can mend that', async (t) => {
  const w = await world(t)
  const reader = await w.join()
  await eventually(() => reader.memberships.length === 1)
  await assert.rejects(reader.current().commit([at(w.topic, 0, 5, 'x'.repeat(5000))]), (error) => {
    return error instanceof KafkaError && error.code === 'OFFSET_METADATA_TOO_LARGE'
  })
  await assert.rejects(reader.group.done, (error) => error instanceof UserError && /max\.bytes/.test(error.fix ?? ''))
})

test('a zombie: frozen beyond its session, its commit is refused and it joins anew', async (t) => {
  const w = await world(t)
  const zombie = await w.join({ through: w.client })
  await eventually(() => zombie.memberships.length === 1)
  const first = zombie.current()
  // Another member throws it out: its own heartbeats, and all else but the commit, are held as in a frozen process.
  const frozen = [API.Heartbeat, API.JoinGroup, API.LeaveGroup].map((api) => w.proxy.on(api, 'hold', { times: 1000 }))
  const next = await w.join({ sessionTimeoutMs: 6000, rebalanceTimeoutMs: 6000 })
  await eventually(() => next.memberships.length === 1 && next.current().partitions.length === 2)
  assert.equal(await countMembers(w.direct, w.groupId), 1)
  await next.current().commit([at(w.topic, 0, 50, 'owner')])
  await assert.rejects(first.commit([at(w.topic, 0, 1, 'zombie')]))
  for (const rule of frozen) rule.release()
  await eventually(() => zombie.memberships.length === 2)
  const [commit] = await readCommits(w.direct, w.groupId, [{ topic: w.topic, partition: 0 }])
  assert.equal(commit?.metadata, 'owner')
})

test('an offset out of range is told, not skipped; seek goes on', async (t) => {
  const w = await world(t, 1)
  await w.publish(4)
  const reader = await w.join({}, { onAssigned: async (m) => m.seek({ topic: w.topic, partition: 0 }, 1000) })
  await eventually(() => reader.stops.length === 1)
  assert.deepEqual(reader.stops, [
    { topic: w.topic, partition: 0, kind: 'out-of-range', offset: 1000, start: 0, end: 8 },
  ])
  assert.equal(reader.values.size, 0)
  reader.current().seek({ topic: w.topic, partition: 0 }, 4)
  await eventually(() => reader.values.size === 2)
})

test('a log start that moved past the commit is told', async (t) => {
  const w = await world(t, 1)
  await w.publish(4)
  await administer(w.direct, async (admin) => {
    await admin.fetchTopicOffsets(w.topic) // lets kafkajs know the leader
    await admin.deleteTopicRecords({ topic: w.topic, partitions: [{ partition: 0, offset: '5' }] })
  })
  const reader = await w.join({}, { onAssigned: async (m) => m.seek({ topic: w.topic, partition: 0 }, 2) })
  await eventually(() => reader.stops.length === 1)
  assert.deepEqual(reader.stops, [{ topic: w.topic, partition: 0, kind: 'out-of-range', offset: 2, start: 5, end: 8 }])
})

test('a topic that was deleted and created again ends the membership; the next one finds no commit', async (t) => {
  const w = await world(t, 1)
  await w.publish(4)
  const reader = await w.join()
  await eventually(() => reader.values.size === 4)
  await reader.current().commit([{ topic: w.topic, partition: 0, offset: 4, metadata: 'm' }])
  await administer(w.direct, (admin) => admin.deleteTopics({ topics: [w.topic] }))
  await eventually(() => createTopics(w.direct, [{ topic: w.topic, partitions: 1 }]).then(() => true))
  await eventually(() => reader.memberships.length > 1 && reader.current().partitions.length === 1)
  assert.deepEqual(await reader.current().readCommits(), [{ topic: w.topic, partition: 0, offset: -1, metadata: '' }])
})

test('paused partitions are not fetched, resumed ones are; what was fetched before a seek is dropped', async (t) => {
  const w = await world(t, 2)
  const zero = { topic: w.topic, partition: 0 }
  const reader = await w.join({}, { onAssigned: async (m) => m.pause([zero]) })
  await eventually(() => reader.memberships.length === 1)
  await w.publish(6)
  await eventually(() => reader.values.size === 3)
  assert.ok(reader.events.every((event) => !event.startsWith('batch 0')))
  reader.current().resume([zero])
  await eventually(() => reader.values.size === 6)
  reader.onBatch = (m, partition) => {
    if (partition !== 0) return
    delete reader.onBatch
    m.seek(zero, 2)
  }
  reader.events.length = 0
  reader.current().seek(zero, 0)
  await eventually(() => reader.events.at(-1) === 'batch 0:5-5')
  assert.deepEqual(reader.events, ['batch 0:0-0', 'batch 0:2-2', 'batch 0:3-3', 'batch 0:4-4', 'batch 0:5-5'])
})

test('connections that break, and answers that never come, lose and double nothing', async (t) => {
  const w = await world(t, 2, 500) // asked again each time
  const reader = await w.join({ through: w.client })
  await eventually(() => reader.memberships.length === 1)
  for (let round = 0; round < 4; round++) {
    w.proxy.on(API.Fetch, round % 2 ? 'lose-answer' : 'cut-after')
    w.proxy.on(API.Heartbeat, round % 2 ? 'cut-before' : 'lose-answer')
    await w.publish(4)
    w.proxy.cutAll()
    await eventually(() => reader.values.size === 4 * (round + 1))
  }
  assert.deepEqual(new Set(reader.values.values()), new Set([1]))
  assert.equal(reader.memberships.length, 1)
})

test('an error of a handler ends the membership, and the member joins again', async (t) => {
  const w = await world(t, 1)
  await w.publish(1)
  let failures = 0
  const fail = () => {
    if (failures++ < 2) throw new Error('on purpose')
  }
  const reader = await w.join({}, { onAssigned: async () => fail(), onBatch: fail })
  await eventually(() => reader.memberships.length === 3 && reader.values.size === 1)
})

test('a mistake in the program ends the group: whoever runs it must not go on', async (t) => {
  const w = await world(t, 1)
  await w.publish(1)
  const defect = new TypeError('on purpose')
  const onBatch = () => {
    throw defect
  }
  const reader = await w.join({}, { onBatch })
  await assert.rejects(reader.group.done, defect)
  assert.equal(reader.memberships.length, 1)
})

test('a topic that does not exist yet is waited for, and the others go on', async (t) => {
  const w = await world(t, 1)
  const later = w.broker.unique('later')
  const topics = [w.topic, later]
  await w.publish(2)
  const reader = await w.join({ topics, watchEveryMs: 100 })
  await eventually(() => reader.values.size === 2)
  await createTopics(w.direct, [{ topic: later, partitions: 2 }])
  await eventually(() => reader.current().partitions.length === 3)
  await administer(w.direct, (admin) => admin.createPartitions({ topicPartitions: [{ topic: later, count: 3 }] }))
  await eventually(() => reader.current().partitions.length === 4)
})
