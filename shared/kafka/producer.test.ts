import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type SharedBroker, sharedBroker } from '../../test/support/broker.ts'
import { consumeTopic } from '../../test/support/consume.ts'
import { sealAs } from '../../test/support/other-codecs.ts'
import { eventually } from '../../test/support/eventually.ts'
import { API, type KafkaProxy, type ProxyAction, startProxy } from '../../test/support/proxy.ts'
import { createTopics } from '../../local/kafka/index.ts'
import {
  BatchBuilder,
  type Codec,
  connectKafka,
  type KafkaClient,
  KafkaError,
  openProducer,
  type PartitionBatch,
  type Producer,
  readCommits,
  topicOffsets,
} from './index.ts'

/** A lost answer is noticed after this time; longer than a busy machine stops a process, since so long every answer may take. */
const REQUEST_TIMEOUT_MS = 3000
const TIMEOUT_MS = 15_000

interface World {
  broker: SharedBroker
  proxy: KafkaProxy
  /** Through the proxy, and past it. */
  client: KafkaClient
  direct: KafkaClient
  topic: string
  group: string
  id: string
  open(): Promise<Producer>
}

async function world(t: TestContext, partitions = 1, requestTimeoutMs = REQUEST_TIMEOUT_MS): Promise<World> {
  const broker = await sharedBroker()
  const proxy = await startProxy(broker.brokers)
  const client = connectKafka({ brokers: [proxy.brokers], auth: 'none', tls: false }, 'test', {
    requestTimeoutMs,
  })
  const direct = connectKafka({ brokers: [broker.brokers], auth: 'none', tls: false }, 'test')
  const [topic, group, id] = [broker.unique('produce'), broker.unique('positions'), broker.unique('writer')]
  const opened: Producer[] = []
  t.after(async () => {
    await Promise.all([...opened.map((producer) => producer.close()), client.close(), direct.close()])
    await proxy.close()
  })
  await createTopics(direct, [{ topic, partitions }])
  const open = async () => {
    const producer = await openProducer(client, { transactionalId: id, timeoutMs: TIMEOUT_MS })
    opened.push(producer)
    return producer
  }
  return { broker, proxy, client, direct, topic, group, id, open }
}

async function batchOf(values: readonly string[], compression: Codec = 'none') {
  const builder = new BatchBuilder(Math.max(1024, 2 * values.join('').length + 50 * values.length))
  for (const value of values) {
    const bytes = Buffer.from(value)
    assert.equal(builder.append(Buffer.from(`key of ${value.slice(0, 9)}`), bytes, 0, bytes.length, Date.now()), true)
  }
  return sealAs(builder, compression)
}

async function positionOf({ direct, topic, group }: World, partition = 0): Promise<number> {
  const [commit] = await readCommits(direct, group, [{ topic, partition }])
  return commit?.offset ?? Number.NaN
}

/** Another life that ends at once. */
async function fence(client: KafkaClient, transactionalId: string): Promise<void> {
  const producer = await openProducer(client, { transactionalId, timeoutMs: 10_000 })
  await producer.close()
}

function isKind(kind: KafkaError['kind']): (error: unknown) => boolean {
  return (error) =>
    error instanceof KafkaError && (error.kind === kind || assert.fail(`${error.kind}: ${error.message}`))
}

test('a transaction carries batches of several partitions and positions of several groups', async (t) => {
  const w = await world(t, 2)
  const producer = await w.open()
  const long = 'm'.repeat(4096)
  const batches: PartitionBatch[] = [
    { topic: w.topic, partition: 1, batch: await batchOf(['a', 'b']) },
    { topic: w.topic, partition: 0, batch: await batchOf(['c'], 'zstd') },
  ]
  await producer.send([{ topic: w.topic, partition: 1, batch: await batchOf(['z']) }])
  const other = w.broker.unique('positions')
  await producer.transact(batches, [
    { group: w.group, topic: w.topic, partition: 0, offset: 17, metadata: long },
    { group: other, topic: w.topic, partition: 1, offset: 18, metadata: 'short' },
  ])
  const records = await consumeTopic(w.direct, w.topic)
  assert.deepEqual(
    records.map(({ partition, key, value }) => [partition, key, value]),
    [
      [0, 'key of c', 'c'],
      [1, 'key of z', 'z'],
      [1, 'key of a', 'a'],
      [1, 'key of b', 'b'],
    ],
  )
  const both = [
    { topic: w.topic, partition: 0 },
    { topic: w.topic, partition: 1 },
  ]
  assert.deepEqual(await readCommits(w.client, w.group, both), [
    { topic: w.topic, partition: 0, offset: 17, metadata: long },
    { topic: w.topic, partition: 1, offset: -1, metadata: '' },
  ])
  assert.deepEqual((await readCommits(w.client, other, both))[1], {
    topic: w.topic,
    partition: 1,
    offset: 18,
    metadata: 'short',
  })
  const offsets = await topicOffsets(w.client, [w.topic])
  assert.deepEqual(
    offsets.map(({ start, end }) => [start, end]),
    [
      [0, 2],
      [0, 4],
    ],
  ) // a commit marker each
})

test('what is sent in pieces is read when it is committed, and never when the life ends before that', async (t) => {
  const w = await world(t)
  const one = async (value: string, compression: Codec = 'none') => [
    { topic: w.topic, partition: 0, batch: await batchOf([value, value], compression) },
  ]
  const at = (offset: number) => [{ group: w.group, topic: w.topic, partition: 0, offset, metadata: '' }]
  const first = await w.open()
  for (const value of ['a', 'b', 'c']) await first.send(await one(value, 'zstd'))
  await first.transact(await one('d'), at(8))
  await first.send(await one('lost'))
  const second = await w.open()
  assert.equal(await positionOf(w), 8)
  await assert.rejects(first.send(await one('late')), isKind('fenced'))
  await second.send(await one('e'))
  await second.transact([], at(10))
  const records = await consumeTopic(w.direct, w.topic)
  assert.equal(records.map(({ value }) => value).join(''), 'aabbccddee')
  assert.equal(await positionOf(w), 10)
})

test('a transaction of positions alone, and one of nothing', async (t) => {
  const w = await world(t)
  const producer = await w.open()
  await producer.transact([], [])
  for (let offset = 1; offset <= 5; offset++) {
    await producer.transact([], [{ group: w.group, topic: w.topic, partition: 0, offset, metadata: '' }])
  }
  assert.equal(await positionOf(w), 5)
})

test('every compression arrives', async (t) => {
  const w = await world(t)
  const producer = await w.open()
  const codecs: Codec[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
  for (const codec of codecs)
    await producer.transact([{ topic: w.topic, partition: 0, batch: await batchOf([codec], codec) }], [])
  const values = (await consumeTopic(w.direct, w.topic)).map(({ value }) => value)
  assert.deepEqual(values, codecs)
})

test('a new life fences the old one, which says so', async (t) => {
  const w = await world(t)
  const old = await w.open()
  await fence(w.direct, w.id)
  const batch = await batchOf(['x'])
  await assert.rejects(old.transact([{ topic: w.topic, partition: 0, batch }], []), isKind('fenced'))
  await assert.rejects(old.transact([], []), /unusable/)
})

test('a life that was slower than its time-out does not claim that another took over', async (t) => {
  const w = await world(t)
  const client = connectKafka({ brokers: [w.proxy.brokers], auth: 'none', tls: false }, 'test')
  const slow = await openProducer(client, { transactionalId: w.id, timeoutMs: 200 })
  const held = w.proxy.on(API.EndTxn, 'hold')
  const transaction = slow.transact([{ topic: w.topic, partition: 0, batch: await batchOf(['x']) }], [])
  let isOver = false
  transaction.catch(() => (isOver = true)) // by the broker itself, if it looks just now
  await eventually(() => held.hits === 1 || isOver)
  const begun = performance.now()
  await eventually(() => performance.now() - begun > 200)
  await fence(w.direct, w.id) // as the broker does by itself, every ten seconds
  held.release()
  await assert.rejects(transaction, isKind('expired'))
  await slow.close()
  await client.close()
})

test('a batch that the topic does not take is named at once', async (t) => {
  const w = await world(t)
  const topic = w.broker.unique('small')
  await createTopics(w.direct, [{ topic, partitions: 1, config: { 'max.message.bytes': '1000' } }])
  const producer = await w.open()
  const batch = await batchOf(['x'.repeat(2000)])
  await assert.rejects(producer.transact([{ topic, partition: 0, batch }], []), isKind('too-large'))
})

test('an unknown topic is named, for records and for offsets', async (t) => {
  const w = await world(t)
  const topic = w.broker.unique('nowhere')
  await assert.rejects(topicOffsets(w.client, [topic]), isKind('unknown-topic'))
  assert.deepEqual(await readCommits(w.client, w.group, [{ topic, partition: 0 }]), [
    { topic, partition: 0, offset: -1, metadata: '' },
  ])
  const producer = await w.open()
  await assert.rejects(
    producer.transact([{ topic, partition: 0, batch: await batchOf(['x']) }], []),
    isKind('unknown-topic'),
  )
})

test('records of a partition that is not known are refused with their positions, not left out', async (t) => {
  const w = await world(t)
  const producer = await w.open()
  const position = { group: w.group, topic: w.topic, partition: 0, offset: 9, metadata: '' }
  const batches = [
    { topic: w.topic, partition: 0, batch: await batchOf(['known']) },
    { topic: w.topic, partition: 5, batch: await batchOf(['unknown']) },
  ]
  await assert.rejects(producer.transact(batches, [position]), isKind('refused'))
  await w.open()
  assert.equal(await positionOf(w), -1)
  assert.deepEqual(await consumeTopic(w.direct, w.topic), [])
})

test('no broker: unreachable', async () => {
  const client = connectKafka({ brokers: ['127.0.0.1:1'], auth: 'none', tls: false }, 'test')
  await assert.rejects(openProducer(client, { transactionalId: 'x', timeoutMs: TIMEOUT_MS }), isKind('unreachable'))
})

test('a life ends before its sequence numbers wrap', async (t) => {
  const w = await world(t, 2)
  const producer = await w.open()
  const batch = await batchOf(['a', 'b'])
  const at = (partition: number) => ({ topic: w.topic, partition })
  await producer.transact([{ ...at(0), batch }], [])
  const many = { ...batch, records: 2 ** 30 - 1 }
  await assert.rejects(
    producer.transact(
      [
        { ...at(1), batch },
        { ...at(0), batch: many },
      ],
      [],
    ),
    isKind('expired'),
  )
  await assert.rejects(producer.transact([], []), /unusable/)
  assert.equal((await consumeTopic(w.direct, w.topic)).length, 2)
})

test('messages that are not encoded pass kafkajs as before', async (t) => {
  const w = await world(t)
  const producer = w.direct.kafka.producer({ createPartitioner: () => () => 0 })
  await producer.connect()
  await producer.send({
    topic: w.topic,
    messages: [
      { key: 'k', value: 'v' },
      { key: null, value: null },
    ],
  })
  await producer.disconnect()
  const records = await consumeTopic(w.direct, w.topic)
  assert.deepEqual(
    records.map(({ key, value }) => [key, value]),
    [
      ['k', 'v'],
      [null, null],
    ],
  )
})

/** Each request of a transaction, and whether the transaction takes effect when that one goes wrong in the given way. */
const OUTCOMES: [name: keyof typeof API, action: ProxyAction, committed: boolean][] = [
  ['AddPartitionsToTxn', 'cut-before', false],
  ['AddOffsetsToTxn', 'cut-after', false],
  ['TxnOffsetCommit', 'cut-after', false],
  ['TxnOffsetCommit', 'lose-request', false],
  ['EndTxn', 'cut-before', false],
  ['EndTxn', 'lose-request', false],
  ['EndTxn', 'cut-after', true],
  ['EndTxn', 'lose-answer', true],
]

for (const [name, action, committed] of OUTCOMES) {
  test(`${name} ${String(action)}: the next life reads ${committed ? 'the new' : 'the old'} position, and records to match`, async (t) => {
    const w = await world(t)
    const batch = { topic: w.topic, partition: 0, batch: await batchOf(['one', 'two']) }
    const at = (offset: number) => [{ group: w.group, topic: w.topic, partition: 0, offset, metadata: `${offset}` }]
    const first = await w.open()
    await first.transact([batch], at(2))
    // A cut connection is tried again by kafkajs where it can be: so all tries fail until the producer is given up.
    const rule = w.proxy.on(API[name], action, { times: name === 'AddPartitionsToTxn' ? 100 : 1 })
    await assert.rejects(first.transact([batch], at(4)), isKind('unreachable'))
    await assert.rejects(first.transact([batch], at(4)), /unusable/)
    assert.ok(rule.hits > 0)
    rule.remove()
    const second = await w.open()
    assert.equal(await positionOf(w), committed ? 4 : 2)
    await second.transact([batch], at(6))
    assert.equal((await consumeTopic(w.direct, w.topic)).length, committed ? 6 : 4)
  })
}

test('a Produce that is stored but not answered is sent again by kafkajs, and stored once', async (t) => {
  const w = await world(t)
  const producer = await w.open()
  for (const action of ['lose-answer', 'cut-after'] as const) {
    const rule = w.proxy.on(API.Produce, action)
    await producer.transact([{ topic: w.topic, partition: 0, batch: await batchOf(['1', '2']) }], [])
    assert.equal(rule.hits, 1)
  }
  assert.equal((await consumeTopic(w.direct, w.topic)).length, 4)
})

/** The owner's loop of DESIGN section 5 under random faults: any error, new life, read the position, go on. */
test('under random faults every number arrives once, in order', async (t) => {
  const w = await world(t, 1, 500) // many are lost
  const [goal, perTransaction] = [300, 5]
  const apis = [
    API.Produce,
    API.AddPartitionsToTxn,
    API.AddOffsetsToTxn,
    API.TxnOffsetCommit,
    API.EndTxn,
    API.InitProducerId,
  ]
  const actions: ProxyAction[] = [
    'lose-request',
    'lose-answer',
    'cut-before',
    'cut-after',
    'hold',
    { delayAnswerMs: 30 },
  ]
  let random = 42
  const pick = <T>(from: readonly T[]): T => {
    random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0
    return from[(random >>> 8) % from.length] as T
  }
  const rules: { release(): void }[] = []
  let lives = 0
  for (let position = 0; position < goal; ) {
    const producer = await w.open().catch(() => undefined)
    if (!producer) continue
    lives++
    for (const rule of rules.splice(0)) rule.release() // late packets of former lives
    position = Math.max(0, await positionOf(w))
    try {
      while (position < goal) {
        if (pick([true, false, false])) rules.push(w.proxy.on(pick(apis), pick(actions)))
        const values = Array.from({ length: perTransaction }, (_, i) => `${position + i}`)
        const batch = await batchOf(values, pick<Codec>(['none', 'zstd']))
        const next = position + perTransaction
        await producer.transact(
          [{ topic: w.topic, partition: 0, batch }],
          [{ group: w.group, topic: w.topic, partition: 0, offset: next, metadata: '' }],
        )
        position = next
      }
    } catch {
      await producer.close()
    }
  }
  assert.ok(lives > 3, `only ${lives} lives: the faults did not bite`)
  const values = (await consumeTopic(w.direct, w.topic)).map(({ value }) => Number(value))
  assert.deepEqual(
    values,
    Array.from({ length: goal }, (_, i) => i),
  )
})
