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
  const admin = await client.admin()
  await admin.createTopics({
    timeout: CREATE_TIMEOUT_MS,
    waitForLeaders: true,
    topics: topics.map(({ topic, partitions, config = {} }) => ({
      topic,
      numPartitions: partitions,
      configEntries: Object.entries(config).map(([name, value]) => ({ name, value })),
    })),
  })
}
