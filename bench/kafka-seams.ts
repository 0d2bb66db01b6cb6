import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTopics, startKafka } from '../local/kafka/index.ts'
import {
  BatchBuilder,
  type Compression,
  connectKafka,
  joinGroup,
  type KafkaClient,
  openProducer,
  type PartitionBatch,
  type Producer,
} from '../shared/kafka/index.ts'
import { seekCommits } from '../test/support/consume.ts'
import { Result } from './result.ts'

/**
 * `npm run bench -- kafka-seams [records]`: what the two seams bring, against kafkajs as it is, on the same broker in one
 * run: records a second, and CPU seconds of this process for a million records (the steadier figure).
 */

const RECORDS = Number(process.argv[2] ?? 2_000_000)
/** kafkajs is slow: a part is enough to know how slow. */
const KAFKAJS_RECORDS = Math.min(RECORDS, 100_000)
const PARTITIONS = 4
const BATCH_BYTES = 1_000_000
const LINE = Buffer.from(
  `${'203.0.113.7 - - [12/Mar/2025:10:11:12 +0000] "GET /a/b/c HTTP/1.1" 200 '.padEnd(194, 'x')}\n`,
)

const result = new Result('kafka-seams')

interface Figure {
  what: string
  records: number
  seconds: number
  cpuSeconds: number
}

async function measure(what: string, records: number, work: () => Promise<void>): Promise<void> {
  const [cpu, begun] = [process.cpuUsage(), performance.now()]
  await work()
  const { user, system } = process.cpuUsage(cpu)
  print({ what, records, seconds: (performance.now() - begun) / 1000, cpuSeconds: (user + system) / 1e6 })
}

function print({ what, records, seconds, cpuSeconds }: Figure): void {
  result.figure(`${what}: records/s`, records / seconds)
  result.figure(`${what}: CPU seconds a million`, (cpuSeconds / records) * 1e6)
  const rate = `${Math.round(records / seconds / 1000)} k/s`
  process.stdout.write(
    `${what.padEnd(44)}${rate.padStart(10)}  ${((cpuSeconds / records) * 1e6).toFixed(2).padStart(6)} s/M\n`,
  )
}

/** Fills one batch for each partition, and commits them with a position each, while the next ones are filled. */
async function publish(client: KafkaClient, topic: string, compression: Compression): Promise<void> {
  const producer = await openProducer(client, { transactionalId: `${topic}-writer`, timeoutMs: 30_000 })
  const sets = [newBuilders(), newBuilders()]
  let [sent, under]: [number, Promise<void>] = [0, Promise.resolve()]
  for (let turn = 0; sent < RECORDS; turn++) {
    const builders = sets[turn % 2] ?? []
    sent += fill(builders, sent)
    const batches = await Promise.all(
      builders.map(async (builder, partition) => ({ topic, partition, batch: await builder.seal(compression) })),
    )
    await under
    under = transact(producer, batches, sent)
  }
  await under
  await producer.close()
}

function newBuilders(): BatchBuilder[] {
  return Array.from({ length: PARTITIONS }, () => new BatchBuilder(BATCH_BYTES))
}

function fill(builders: readonly BatchBuilder[], from: number): number {
  let records = 0
  for (const builder of builders) {
    builder.reset()
    const key = Buffer.from(`abcdefghijklmnopqrstuvwxyz@${from}+195`)
    while (builder.append(key, LINE, 0, LINE.length - 1, Date.now())) records++
  }
  return records
}

function transact(producer: Producer, batches: PartitionBatch[], position: number): Promise<void> {
  const [first] = batches
  const commits = first
    ? [
        {
          group: `${first.topic}-positions`,
          topic: first.topic,
          partition: 0,
          offset: position,
          metadata: 'm'.repeat(200),
        },
      ]
    : []
  return producer.transact(batches, commits)
}

/** Reads a topic to its end by a group that commits with metadata after each answer; visits every value. */
async function consume(client: KafkaClient, topic: string, records: number): Promise<void> {
  const done = Promise.withResolvers<void>()
  let [seen, bytes] = [0, 0]
  const options = {
    groupId: `${topic}-readers-${Date.now()}`,
    topics: [topic],
    fetchBytes: 2_000_000,
  }
  const group = await joinGroup(client, options, {
    assigned: seekCommits,
    batch: (membership, batch) => {
      membership.pause([batch]) // one batch of a partition in memory: the next is fetched when it was read
      const read = batch.ready().then(() => {
        batch.visit(0, (record) => {
          bytes += record.valueEnd - record.valueStart
          seen++
        })
        batch.release()
        membership.resume([batch])
        if (seen >= records) done.resolve()
      })
      const { topic, partition, lastOffset } = batch
      const commit = membership.commit([{ topic, partition, offset: lastOffset + 1, metadata: 'm'.repeat(200) }])
      Promise.all([read, commit]).catch(done.reject)
    },
    stopped: (_membership, stop) => done.reject(new Error(stop.kind)),
    revoking: async () => undefined,
  })
  await done.promise
  await group.close()
  if (bytes < seen * 100) throw new Error('values are missing')
}

async function publishAsKafkajs(client: KafkaClient, topic: string): Promise<void> {
  const producer = client.kafka.producer({
    transactionalId: `${topic}-kafkajs`,
    maxInFlightRequests: 1,
    idempotent: true,
  })
  await producer.connect()
  const [value, perTransaction] = [LINE.subarray(0, -1), 2000]
  for (let sent = 0; sent < KAFKAJS_RECORDS; sent += perTransaction) {
    const transaction = await producer.transaction()
    const messages = Array.from({ length: perTransaction }, (_, i) => ({ key: 'k', value, partition: i % PARTITIONS }))
    await transaction.send({ topic, messages })
    await transaction.commit()
  }
  await producer.disconnect()
}

async function consumeAsKafkajs(client: KafkaClient, topic: string, records: number): Promise<void> {
  const consumer = client.kafka.consumer({ groupId: `${topic}-kafkajs-${Date.now()}`, maxBytesPerPartition: 2_000_000 })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  const done = Promise.withResolvers<void>()
  let seen = 0
  await consumer.run({
    eachBatch: async ({ batch }) => {
      seen += batch.messages.length
      if (seen >= records) done.resolve()
    },
  })
  await done.promise
  await consumer.disconnect()
}

const dataDir = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
const kafka = await startKafka({ dataDir, javaOptions: ['-Xmx1g', '-XX:TieredStopAtLevel=4'] })
const client = connectKafka({ brokers: [kafka.brokers], auth: 'none', tls: false }, 'bench')
try {
  const topics = ['warm', 'plain', 'zstd', 'kafkajs'].map((topic) => ({
    topic: `${kafka.topicPrefix}bench-${topic}`,
    partitions: PARTITIONS,
  }))
  const [warm = '', plain = '', packed = '', old = ''] = topics.map(({ topic }) => topic)
  await createTopics(client, topics)
  process.stdout.write(`${RECORDS} records of ${LINE.length - 1} bytes, ${PARTITIONS} partitions, ${kafka.name}\n`)
  await publish(client, warm, 'zstd')
  await measure('publish, seam, none, with positions', RECORDS, () => publish(client, plain, 'none'))
  await measure('publish, seam, zstd, with positions', RECORDS, () => publish(client, packed, 'zstd'))
  await measure('publish, kafkajs, 2,000 a transaction', KAFKAJS_RECORDS, () => publishAsKafkajs(client, old))
  await consume(client, warm, RECORDS)
  await measure('consume, seam, visiting every value', RECORDS, () => consume(client, plain, RECORDS))
  await measure('consume, seam, zstd, visiting every value', RECORDS, () => consume(client, packed, RECORDS))
  await measure('consume, kafkajs, eachBatch doing nothing', RECORDS, () => consumeAsKafkajs(client, plain, RECORDS))
} finally {
  await client.close()
  await kafka.stop()
  rmSync(dataDir, { recursive: true, force: true, maxRetries: 3 })
}
result.end(false)
