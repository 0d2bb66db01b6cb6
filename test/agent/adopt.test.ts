import assert from 'node:assert/strict'
import test from 'node:test'
import { zstdCompressSync } from 'node:zlib'
import { crc32c } from '@node-rs/crc32'
import { type AdoptOptions, adoptChunks } from '../../agent/adopt.ts'
import { baseId } from '../../agent/follow/identity.ts'
import type { PositionsStore } from '../../agent/publish/index.ts'
import { decodeEntries, encodeEntries } from '../../agent/publish/positions.ts'
import { type Bucket, chunkName, decodeMetadata, encodeMetadata } from '../../shared/chunks/index.ts'
import { parseConfig } from '../../shared/config/index.ts'
import { KafkaError } from '../../shared/kafka/index.ts'
import { bucketOf, ModelBucket, ModelKafka } from '../models/agent/services.ts'

const AGENT = 'host'
const GROUP = `millrace.agent.${AGENT}`
const CONFIG = parseConfig(
  `{ project: p, dataset: d, bucket: bkt, kafka: { brokers: ["k:1"] },
     routes: { here: { topic: here, format: raw, table: x }, away: { topic: away, format: raw, table: y } } }`,
  '/millrace.yaml',
)
const SEEN_MS = 1_000

/** A bucket, and a Kafka in which topic `away` is not there; what the agent left behind. */
function scene() {
  const kafka = new ModelKafka()
  const objects = new ModelBucket()
  const store: PositionsStore = {
    openProducer: () => {
      const epoch = kafka.fence()
      return Promise.resolve({
        send: () => Promise.resolve(),
        transact: async (_batches, commits) => kafka.transact(epoch, [], commits),
        close: () => Promise.resolve(),
      })
    },
    partitionsOf: (topic) =>
      topic === 'away'
        ? Promise.reject(new KafkaError('unknown-topic', 'UNKNOWN_TOPIC_OR_PARTITION', 'no such topic'))
        : Promise.resolve(kafka.read('', topic)),
    readCommits: (group, [first]) => Promise.resolve(kafka.read(group, first!.topic)),
  }
  const bucket = bucketOf({
    call: async (effect) => effect(),
    isAway: () => false,
    content: (name) => objects.objects.get(name)?.content,
    stat: (name) => objects.stat(name),
    list: (prefix) => objects.list(prefix),
    upload: (name, content, metadata) => objects.upload(name, content, metadata, 0),
    patch: (object, metadata) => objects.patch(object, metadata),
  })
  const reports: string[] = []
  const adopt = (from?: AdoptOptions['from'], through: Bucket = bucket) =>
    adoptChunks(store, through, CONFIG, AGENT, { report: (message) => reports.push(message), from })
  const ranges = () => objects.list('').map(({ metadata }) => decodeMetadata(metadata)!.ranges)
  const commit = (forgottenMs: number) => {
    const metadata = encodeEntries({ groups: 1, forgottenMs, entries: [] })
    kafka.transact(kafka.epoch, [], [{ group: GROUP, topic: 'here', partition: 0, offset: 0, metadata }])
  }
  return { kafka, objects, bucket, adopt, ranges, commit, reports }
}

function upload(objects: ModelBucket, route: string): void {
  const bytes = Buffer.from(`first of ${route}\nsecond\n`)
  const source = `${baseId(AGENT, route, Buffer.from('first'))}~${2 ** 32 + 7}`
  const metadata = encodeMetadata({
    ...{ route, format: 'raw', framing: 'lines', agent: AGENT, path: '/app.log', source, seen: SEEN_MS },
    ...{ start: 0, size: bytes.length, events: 2, ranges: 'undecided', crc32c: crc32c(bytes).toString(16) },
  })
  const name = chunkName({ route, firstReadMs: 0, agent: AGENT, source, part: 0, format: 'raw' })
  objects.upload(name, zstdCompressSync(bytes), metadata, 0)
}

const WHOLE = [[0, 'first of here\nsecond\n'.length]]
const NOTHING = { agent: AGENT, undecided: 1, carried_by_kafka: 0, handed_over: 0, left: 0 }

void test('an agent that nobody knows is told of: perhaps its name was mistyped', async () => {
  const { adopt, reports, commit } = scene()
  assert.deepEqual(await adopt(), { ...NOTHING, undecided: 0 })
  assert.match(reports.at(-1) ?? '', /^nobody knows an agent host:/)
  commit(0)
  reports.length = 0
  await adopt()
  assert.ok(!reports.some((message) => message.startsWith('nobody')))
})

void test('positions that Kafka does not have are not guessed: the operator says it', async () => {
  for (const [from, expected] of [
    ['start', WHOLE],
    ['end', []],
  ] as const) {
    const { objects, adopt, ranges } = scene()
    upload(objects, 'here')
    await assert.rejects(adopt(), /Kafka has no position of agent host in topic here/)
    assert.deepEqual(ranges(), ['undecided'])
    const answer = await adopt(from)
    assert.deepEqual(ranges(), [expected], from)
    assert.deepEqual(answer, { ...NOTHING, [from === 'start' ? 'handed_over' : 'carried_by_kafka']: 1 })
    assert.deepEqual(await adopt(), { ...NOTHING, undecided: 0 })
  }
})

void test('a chunk of what Kafka may have forgotten is left, unless the operator says it', async () => {
  for (const [from, expected] of [
    ['start', WHOLE],
    ['end', []],
  ] as const) {
    const { objects, adopt, ranges, commit } = scene()
    upload(objects, 'here')
    commit(SEEN_MS + 1)
    assert.deepEqual(await adopt(), { ...NOTHING, left: 1 })
    assert.deepEqual(ranges(), ['undecided'])
    await adopt(from)
    assert.deepEqual(ranges(), [expected], from)
  }
})

void test('what was seen after Kafka last forgot is handed over', async () => {
  const { objects, adopt, ranges, commit } = scene()
  upload(objects, 'here')
  commit(SEEN_MS)
  assert.deepEqual(await adopt(), { ...NOTHING, handed_over: 1 })
  assert.deepEqual(ranges(), [WHOLE])
})

void test('chunks of a topic that is not there are left', async () => {
  const { objects, adopt, ranges } = scene()
  upload(objects, 'away')
  assert.deepEqual(await adopt('start'), { ...NOTHING, left: 1 })
  assert.deepEqual(ranges(), ['undecided'])
})

void test('who dies between the transaction and the patch leaves it to the next one, which patches the same', async () => {
  const { kafka, objects, bucket, adopt, ranges, commit } = scene()
  upload(objects, 'here')
  commit(0)
  const dying = { ...bucket, patch: () => Promise.reject(new Error('died')) }
  await assert.rejects(adopt(undefined, dying), /died/)
  assert.deepEqual(ranges(), ['undecided'])
  const handed = () =>
    [...kafka.snapshot().values()].flatMap((text) => decodeEntries(text).entries.map((entry) => entry.handed))
  assert.deepEqual(handed(), [{ from: 0, to: WHOLE[0]![1] }])
  assert.deepEqual(await adopt(), { ...NOTHING, handed_over: 1 })
  assert.deepEqual(ranges(), [WHOLE])
  assert.equal(handed().length, 1)
})
