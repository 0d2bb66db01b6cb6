import protobuf from 'protobufjs'
import { createTopics } from '../../local/kafka/index.ts'
import { BatchBuilder, type Compression, type KafkaClient, openProducer } from '../../shared/kafka/index.ts'

export const PARTITIONS = 4
const BATCH_BYTES = 900_000
export const SCHEMA = `syntax = "proto3";
import "google/protobuf/timestamp.proto";
message Visit {
  int64 user_id = 1; string session = 2; string method = 3; string path = 4; int32 status = 5;
  int32 bytes = 6; double latency = 7; string country = 8; bool cached = 9; google.protobuf.Timestamp at = 10;
}
`

/** How events are written. */
export interface Form {
  readonly format: 'json' | 'protobuf'
  readonly compression: Compression
}

/** Makes a topic of events of 220 bytes. Sends JSON or protobuf events, up to so many in one transaction, spread over the partitions; answers how many. */
export async function openPublisher(
  client: KafkaClient,
  topic: string,
  { format, compression }: Form,
  config: Readonly<Record<string, string>> = {},
) {
  await createTopics(client, [{ topic, partitions: PARTITIONS, config }])
  const producer = await openProducer(client, { transactionalId: `${topic}-writer`, timeoutMs: 30_000 })
  const root = new protobuf.Root()
  root.addJSON(protobuf.common.get('google/protobuf/timestamp.proto')?.nested ?? {})
  const message = protobuf.parse(SCHEMA, root, { keepCase: true }).root.lookupType('Visit')
  const samples = Array.from({ length: 1000 }, (_, index) => sample(index, format, message))
  const builders = Array.from({ length: PARTITIONS }, () => new BatchBuilder(BATCH_BYTES))
  let sent = 0
  const fill = (builder: BatchBuilder, partition: number, most: number) => {
    builder.reset()
    while (builder.records < most) {
      const value = samples[sent % samples.length] as Buffer
      const key = Buffer.from(`abcdefghijklmnopqrstuvwx2${'abcd'[partition]}@${sent * 221}+221`)
      if (!builder.append(key, value, 0, value.length, Date.now())) break
      sent++
    }
  }
  return {
    async send(most: number): Promise<number> {
      const before = sent
      for (const [partition, builder] of builders.entries()) {
        fill(builder, partition, Math.floor((most + partition) / PARTITIONS))
      }
      const batches = builders.map(async (builder, partition) => ({
        topic,
        partition,
        batch: await builder.seal(compression),
      }))
      await producer.transact(await Promise.all(batches), [])
      return sent - before
    },
    close: () => producer.close(),
  }
}

function sample(index: number, format: Form['format'], message: protobuf.Type): Buffer {
  const atMs = 1_764_000_000_000 + index * 37
  const visit = {
    user_id: 10_000_000 + index * 7,
    session: `s${(index * 2_654_435_761) >>> 0}`,
    method: index % 5 === 0 ? 'POST' : 'GET',
    path: `/api/v1/items/${index % 977}/offers/${'x'.repeat(20)}`,
    status: index % 17 === 0 ? 404 : 200,
    bytes: 200 + (index % 5000),
    latency: ((index * 37) % 10_000) / 1000,
    country: ['DE', 'SG', 'US', 'FR'][index % 4],
    cached: index % 3 === 0,
  }
  if (format === 'json') return Buffer.from(JSON.stringify({ ...visit, at: new Date(atMs).toISOString() }))
  const at = { seconds: Math.floor(atMs / 1000), nanos: (atMs % 1000) * 1_000_000 }
  return Buffer.from(message.encode(message.fromObject({ ...visit, at })).finish())
}
