import { setTimeout as delay } from 'node:timers/promises'
import type { KafkaClient } from './client.ts'
import { type Broker, byTopic, type Cluster } from './cluster.ts'
import { KafkaError, kafkaError } from './errors.ts'
import type { Committed, PartitionOffsets, TopicPartition } from './types.ts'

const READ_UNCOMMITTED = 0
const READ_COMMITTED = 1
/** ListOffsets' names for the ends of a log. */
export const LATEST = -1
export const EARLIEST = -2
/** Reading changes nothing, so it is tried again for so long, while a broker or a coordinator moves. */
const READ_AGAIN_WITHIN_MS = 3000
const READ_AGAIN_AFTER_MS = 50
const CREATE_TIMEOUT_MS = 15_000

export interface TopicSpec {
  readonly topic: string
  readonly partitions: number
  /** Absent: the broker's default. */
  readonly replicationFactor?: number
  readonly config?: Readonly<Record<string, string>>
}

/** Creates the topics that are not there; those that are stay as they are. Rejects with KafkaError. */
export async function createTopics(client: KafkaClient, topics: readonly TopicSpec[]): Promise<void> {
  try {
    const admin = await client.admin()
    await admin.createTopics({
      timeout: CREATE_TIMEOUT_MS,
      waitForLeaders: true,
      topics: topics.map(({ topic, partitions, replicationFactor = -1, config = {} }) => ({
        topic,
        numPartitions: partitions,
        replicationFactor,
        configEntries: Object.entries(config).map(([name, value]) => ({ name, value })),
      })),
    })
  } catch (error) {
    throw kafkaError(error)
  }
}

/**
 * Makes topics known to a cluster, with fresh metadata, and gives back those that do not exist. One that is missing makes Kafka's
 * client refuse the metadata of all, so then they are asked for one by one.
 */
export async function findTopics(cluster: Cluster, topics: readonly string[]): Promise<string[]> {
  if (await knows(cluster, topics)) return []
  cluster.targetTopics = new Set() // one of those known before may be the missing one
  const missing: string[] = []
  for (const topic of topics) if (!(await knows(cluster, [topic]))) missing.push(topic)
  return missing
}

async function knows(cluster: Cluster, topics: readonly string[]): Promise<boolean> {
  try {
    await cluster.addMultipleTargetTopics(topics)
    await cluster.refreshMetadata()
    return true
  } catch (error) {
    if (kafkaError(error).kind === 'unknown-topic') return false
    throw error
  }
}

/** Start and end of every partition of these topics, in order of partition. Rejects with KafkaError (`unknown-topic`). */
export function topicOffsets(client: KafkaClient, topics: readonly string[]): Promise<PartitionOffsets[]> {
  return reading(client, async (cluster) => {
    const missing = await findTopics(cluster, topics)
    if (missing.length > 0)
      throw new KafkaError('unknown-topic', 'UNKNOWN_TOPIC_OR_PARTITION', `no topic ${missing.join(', ')}`)
    const partitions = topics.flatMap((topic) => partitionsOf(cluster, topic))
    const starts = await listOffsets(cluster, partitions, EARLIEST)
    const written = await listOffsets(cluster, partitions, LATEST, READ_UNCOMMITTED)
    const ends = await listOffsets(cluster, partitions, LATEST)
    return partitions.map(({ topic, partition }) => {
      const [start = 0, end = 0, all = 0] = [starts, ends, written].map((found) => found.get(`${topic}/${partition}`))
      return { topic, partition, start, end, written: Math.max(all, end) }
    })
  })
}

function partitionsOf(cluster: Cluster, topic: string): TopicPartition[] {
  const metadata = cluster.findTopicPartitionMetadata(topic)
  if (metadata.length === 0) throw new KafkaError('unknown-topic', 'UNKNOWN_TOPIC_OR_PARTITION', `no topic ${topic}`)
  return metadata
    .map(({ partitionId }) => ({ topic, partition: partitionId }))
    .sort((a, b) => a.partition - b.partition)
}

/** One end of each partition, by `topic/partition`, from the partitions' leaders. */
export async function listOffsets(
  cluster: Cluster,
  partitions: readonly TopicPartition[],
  timestamp: number,
  isolationLevel = READ_COMMITTED,
): Promise<Map<string, number>> {
  const offsets = new Map<string, number>()
  const byLeader = Map.groupBy(
    partitions,
    ({ topic, partition }) => Object.keys(cluster.findLeaderForPartitions(topic, [partition]))[0],
  )
  for (const [leader = '', led] of byLeader) {
    const broker = await cluster.findBroker({ nodeId: leader })
    const topics = byTopic(led, ({ partition }) => ({ partition, timestamp }))
    const { responses } = await broker.listOffsets({ isolationLevel, topics })
    for (const { topic, partitions } of responses) {
      for (const { partition, offset } of partitions) offsets.set(`${topic}/${partition}`, safeOffset(offset))
    }
  }
  return offsets
}

/**
 * A group's commits for these partitions, with their metadata. After a crash only valid once `openProducer` of the same
 * transactional id has resolved: before, a transaction that is still ending may show an old position. Rejects with KafkaError.
 */
export function readCommits(
  client: KafkaClient,
  group: string,
  partitions: readonly TopicPartition[],
): Promise<Committed[]> {
  return reading(client, async (cluster) => {
    await findTopics(cluster, [...new Set(partitions.map(({ topic }) => topic))])
    return fetchCommits(await cluster.findGroupCoordinator({ groupId: group }), group, partitions)
  })
}

/** The same, asked of the group's coordinator. One answer for each partition, in their order. */
export async function fetchCommits(
  coordinator: Broker,
  group: string,
  partitions: readonly TopicPartition[],
): Promise<Committed[]> {
  if (partitions.length === 0) return []
  const topics = byTopic(partitions, ({ partition }) => ({ partition }))
  const { responses } = await coordinator.offsetFetch({ groupId: group, topics })
  const found = new Map(
    responses.flatMap(({ topic, partitions }) => partitions.map((p) => [`${topic}/${p.partition}`, p])),
  )
  return partitions.map(({ topic, partition }) => {
    const commit = found.get(`${topic}/${partition}`)
    return { topic, partition, offset: safeOffset(commit?.offset ?? '-1'), metadata: commit?.metadata ?? '' }
  })
}

/** An offset of the wire as a number. */
export function safeOffset(text: string): number {
  const offset = Number(text)
  if (Number.isSafeInteger(offset)) return offset
  throw new RangeError(`offset ${text} is no safe integer`)
}

const WORTH_ANOTHER_TRY = new Set([
  'NOT_COORDINATOR_FOR_GROUP',
  'GROUP_COORDINATOR_NOT_AVAILABLE',
  'GROUP_LOAD_IN_PROGRESS',
  'NOT_LEADER_FOR_PARTITION',
  'LEADER_NOT_AVAILABLE',
])

async function reading<T>(client: KafkaClient, read: (cluster: Cluster) => Promise<T>): Promise<T> {
  const begun = performance.now()
  for (;;) {
    try {
      return await read(await client.cluster())
    } catch (thrown) {
      const error = kafkaError(thrown)
      if (error.kind !== 'unreachable' && !WORTH_ANOTHER_TRY.has(error.code)) throw error
      if (performance.now() - begun > READ_AGAIN_WITHIN_MS) throw error
      await delay(READ_AGAIN_AFTER_MS)
    }
  }
}
