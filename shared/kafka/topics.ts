import type { KafkaClient } from './client.ts'
import { type Broker, byKey, byTopic, type Cluster, keyOf } from './cluster.ts'
import { KafkaError, kafkaError, safeInteger } from './errors.ts'
import type { Committed, PartitionCommit, PartitionOffsets, TopicPartition } from './types.ts'
import { askAgain } from './waiting.ts'

const ASK_AGAIN_WITHIN_MS = 3000

type Partitions = readonly TopicPartition[]

const topicsOf = (partitions: Partitions): string[] => [...new Set(partitions.map(({ topic }) => topic))]

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
    await cluster.addMultipleTargetTopics([...topics])
    await cluster.refreshMetadata()
    return true
  } catch (error) {
    if (kafkaError(error).kind === 'unknown-topic') return false
    throw error
  }
}

/**
 * For each partition, in their order, the offset of the first record that is at least as young as this time (by the records' own
 * timestamps), or the end when all are older. Rejects with KafkaError.
 */
export function offsetsSince(client: KafkaClient, partitions: readonly PartitionOffsets[], sinceMs: number) {
  return reading(client, async (cluster) => {
    await findTopics(cluster, topicsOf(partitions))
    const found = await listOffsets(cluster, partitions, { fromTimestamp: sinceMs })
    return partitions.map(({ end }, index) => (found[index]! < 0 ? end : found[index]!))
  })
}

/** Start and end of every partition of these topics, in order of partition. Rejects with KafkaError (`unknown-topic`). */
export async function topicOffsets(client: KafkaClient, topics: readonly string[]): Promise<PartitionOffsets[]> {
  const { found, missing } = await presentOffsets(client, topics)
  if (missing.length > 0) throw unknownTopic(missing)
  return found
}

/** The same of the topics that exist, and the names of the others. */
export function presentOffsets(client: KafkaClient, topics: readonly string[]) {
  return reading(client, async (cluster) => {
    const missing = await findTopics(cluster, topics)
    const partitions = topics
      .filter((topic) => !missing.includes(topic))
      .flatMap((topic) => partitionsOf(cluster, topic))
    return { found: await bothEnds(cluster, partitions), missing }
  })
}

function partitionsOf(cluster: Cluster, topic: string): TopicPartition[] {
  const metadata = cluster.findTopicPartitionMetadata(topic)
  if (metadata.length === 0) throw unknownTopic([topic])
  return metadata
    .map(({ partitionId }) => ({ topic, partition: partitionId }))
    .sort((a, b) => a.partition - b.partition)
}

/** KafkaError `unknown-topic`. */
export function unknownTopic(missing: readonly string[]): KafkaError {
  return new KafkaError('unknown-topic', 'UNKNOWN_TOPIC_OR_PARTITION', `no topic ${missing.join(', ')}`)
}

/** Start and end of each partition, in their order. */
export async function bothEnds(cluster: Cluster, partitions: Partitions): Promise<PartitionOffsets[]> {
  const [starts, ends] = await Promise.all(
    [true, false].map((fromBeginning) => listOffsets(cluster, partitions, { fromBeginning })),
  )
  return partitions.map(({ topic, partition }, at) => ({ topic, partition, start: starts![at]!, end: ends![at]! }))
}

/**
 * An offset of each partition, in their order: the log's start, the end that a read_committed consumer can reach, or the first from a
 * time on (-1: none).
 * kafkajs leaves out partitions that its metadata do not have (other readers of the cluster may just refresh them): then this
 * throws, rather than give back less than was asked for.
 */
async function listOffsets(
  cluster: Cluster,
  partitions: Partitions,
  where: { fromBeginning: boolean } | { fromTimestamp: number },
): Promise<number[]> {
  const topics = byTopic(partitions, ({ partition }) => ({ partition }))
  const found = byKey(await cluster.fetchTopicsOffset(topics.map((topic) => ({ ...topic, ...where }))))
  return partitions.map((at) => {
    const { offset } = found.get(keyOf(at)) ?? {}
    if (offset !== undefined) return safeInteger(offset)
    throw new KafkaError('unreachable', 'LEADER_NOT_AVAILABLE', `${keyOf(at)} has no known leader`)
  })
}

/**
 * A group's commits for these partitions, with their metadata. After a crash only valid once `openProducer` of the same
 * transactional id has resolved: before, a transaction that is still ending may show an old position. Rejects with KafkaError.
 */
export function readCommits(client: KafkaClient, group: string, partitions: Partitions): Promise<Committed[]> {
  return reading(client, async (cluster) => {
    await findTopics(cluster, topicsOf(partitions))
    return fetchCommits(await cluster.findGroupCoordinator({ groupId: group }), group, partitions)
  })
}

/** The same, asked of the group's coordinator. One answer for each partition, in their order. */
export async function fetchCommits(coordinator: Broker, group: string, partitions: Partitions): Promise<Committed[]> {
  if (partitions.length === 0) return []
  const topics = byTopic(partitions, ({ partition }) => ({ partition }))
  const found = byKey((await coordinator.offsetFetch({ groupId: group, topics })).responses)
  return partitions.map(({ topic, partition }) => {
    const { offset = '-1', metadata } = found.get(keyOf({ topic, partition })) ?? {}
    return { topic, partition, offset: safeInteger(offset), metadata: metadata ?? '' }
  })
}

/** The names of all groups that begin so. Rejects with KafkaError. */
export function listGroups(client: KafkaClient, prefix: string): Promise<string[]> {
  return reading(client, async (cluster) => {
    await cluster.refreshMetadata() // which tells the brokers: each knows the groups that it coordinates
    const brokers = await Promise.all(cluster.getNodeIds().map((id) => cluster.findBroker({ nodeId: `${id}` })))
    const answers = await Promise.all(brokers.map((broker) => broker.listGroups()))
    const names = answers.flatMap(({ groups }) => groups.map(({ groupId }) => groupId))
    return names.filter((name) => name.startsWith(prefix)).sort()
  })
}

/** How many members a group has now. Rejects with KafkaError. */
export function countMembers(client: KafkaClient, group: string): Promise<number> {
  return reading(client, async (cluster) => {
    const coordinator = await cluster.findGroupCoordinator({ groupId: group })
    const { groups } = await coordinator.describeGroups({ groupIds: [group] })
    return groups.reduce((sum, { members }) => sum + members.length, 0)
  })
}

/**
 * Commits for a group that nobody belongs to. Rejects with KafkaError `refused`, and nothing was done, when it has members:
 * Kafka takes commits of others then no more. Asked again only when the answer says that nothing was done.
 */
export function commitFor(client: KafkaClient, group: string, entries: readonly PartitionCommit[]): Promise<unknown> {
  return askAgain(async () => {
    const coordinator = await (await client.cluster()).findGroupCoordinator({ groupId: group })
    return coordinator.offsetCommit({ ...commitRequest(group, entries), groupGenerationId: -1, memberId: '' })
  }, ASK_AGAIN_WITHIN_MS)
}

/** What an OffsetCommit says, beside who sends it. */
export function commitRequest(groupId: string, entries: readonly PartitionCommit[]) {
  const topics = byTopic(entries, ({ partition, offset, metadata }) => ({ partition, offset: `${offset}`, metadata }))
  return { groupId, topics }
}

/** Reading changes nothing, so it is tried again, while a broker or a coordinator moves. */
function reading<T>(client: KafkaClient, read: (cluster: Cluster) => Promise<T>): Promise<T> {
  return askAgain(async () => read(await client.cluster()), ASK_AGAIN_WITHIN_MS, ['unreachable'])
}
