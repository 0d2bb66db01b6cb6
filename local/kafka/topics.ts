import { setTimeout as delay } from 'node:timers/promises'
import { type KafkaClient, presentOffsets } from '../../shared/kafka/index.ts'

const CREATE_TIMEOUT_MS = 15_000
/** How long a new topic may be unknown to its brokers, and how often they are asked. */
const KNOWN_WITHIN_MS = 60_000
const LOOK_EVERY_MS = 20

/** What a topic is to be; `config`: as Kafka names it, `max.message.bytes` for one. */
export interface TopicSpec {
  readonly topic: string
  readonly partitions: number
  readonly config?: Readonly<Record<string, string>>
}

/** Creates the topics that are not there; those that are stay as they are. All of them can be read and written then. */
export async function createTopics(client: KafkaClient, topics: readonly TopicSpec[]): Promise<void> {
  const wanted = topics.map(({ topic, partitions, config = {} }) => ({
    topic,
    numPartitions: partitions,
    configEntries: Object.entries(config).map(([name, value]) => ({ name, value })),
  }))
  // kafkajs would wait for leaders, but not for brokers that have not heard of the topic yet.
  const options = { timeout: CREATE_TIMEOUT_MS, waitForLeaders: false, topics: wanted }
  await administer(client, (admin) => admin.createTopics(options))
  await untilKnown(
    client,
    wanted.map(({ topic }) => topic),
  )
}

async function untilKnown(client: KafkaClient, topics: readonly string[]): Promise<void> {
  const deadline = performance.now() + KNOWN_WITHIN_MS
  for (;;) {
    const answer = await presentOffsets(client, topics).catch((error: unknown) => ({ missing: topics, error }))
    if (answer.missing.length === 0) return
    if (performance.now() > deadline) throw new Error(`no leaders for ${topics.join(', ')}`, { cause: answer })
    await delay(LOOK_EVERY_MS)
  }
}

type Admin = ReturnType<KafkaClient['kafka']['admin']>

/** What Millrace itself never asks of Kafka: topics, rights, what was deleted. */
export async function administer<T>({ kafka }: KafkaClient, work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = kafka.admin()
  try {
    await admin.connect()
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}
