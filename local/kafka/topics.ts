import type { KafkaClient } from '../../shared/kafka/index.ts'

const CREATE_TIMEOUT_MS = 15_000

/** What a topic is to be; `config`: as Kafka names it, `max.message.bytes` for one. */
export interface TopicSpec {
  readonly topic: string
  readonly partitions: number
  readonly config?: Readonly<Record<string, string>>
}

/** Creates the topics that are not there; those that are stay as they are. */
export async function createTopics(client: KafkaClient, topics: readonly TopicSpec[]): Promise<void> {
  const wanted = topics.map(({ topic, partitions, config = {} }) => ({
    topic,
    numPartitions: partitions,
    configEntries: Object.entries(config).map(([name, value]) => ({ name, value })),
  }))
  const options = { timeout: CREATE_TIMEOUT_MS, waitForLeaders: true, topics: wanted }
  await administer(client, (admin) => admin.createTopics(options))
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
