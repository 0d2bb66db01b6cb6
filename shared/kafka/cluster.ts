import type {
  Broker as KafkajsBroker,
  Cluster as KafkajsCluster,
  GroupDescriptions,
  GroupMember,
  GroupMemberAssignment,
  GroupOverview,
  GroupState,
  PartitionOffset,
} from 'kafkajs'
import type { ProtocolRequest, RequestDefinition, RequestFactory } from 'kafkajs/src/protocol/requests/index.js'
import type { TopicPartition } from './types.ts'

/** Who sends a request of a group. */
type Member = { groupId: string; memberId: string }

/** A connection to a broker, as far as this room uses it: one request for each call, sent once, never again. */
export interface Broker extends Pick<KafkajsBroker, 'offsetCommit'> {
  readonly connectionPool: { send(request: ProtocolRequest): Promise<unknown> }
  lookupRequest(apiKey: number, definition: RequestDefinition): RequestFactory
  joinGroup(
    options: Member & { sessionTimeout: number; rebalanceTimeout: number; groupProtocols: GroupState[] },
  ): Promise<JoinAnswer>
  syncGroup(
    options: Member & { generationId: number; groupAssignment: GroupMemberAssignment[] },
  ): Promise<{ memberAssignment: Buffer }>
  heartbeat(options: Member & { groupGenerationId: number }): Promise<unknown>
  leaveGroup(options: Member): Promise<unknown>
  listGroups(): Promise<{ groups: GroupOverview[] }>
  describeGroups(options: { groupIds: string[] }): Promise<GroupDescriptions>
  offsetFetch(options: {
    groupId: string
    topics: TopicEntries<{ partition: number }>
  }): Promise<{ responses: TopicEntries<PartitionOffset & { metadata: string | null }> }>
}

/** The members are told to the leader alone. */
export interface JoinAnswer {
  readonly generationId: number
  readonly leaderId: string
  readonly memberId: string
  readonly members: readonly GroupMember[]
}

/** kafkajs's cluster: connections, metadata, leaders, coordinators; with what its own types leave out. */
export type Cluster = Omit<KafkajsCluster, 'findBroker' | 'findGroupCoordinator'> & {
  /** Those whose metadata are kept. */
  targetTopics: Set<string>
  findBroker(options: { nodeId: string }): Promise<Broker>
  findGroupCoordinator(options: { groupId: string }): Promise<Broker>
}

/** `topic/partition`, to find it again by. */
export const keyOf = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`

/** The form in which Kafka's requests and answers name partitions. */
export type TopicEntries<Entry> = { topic: string; partitions: Entry[] }[]

/** The entries of an answer by `topic/partition`. */
export function byKey<Entry extends { partition: number }>(topics: TopicEntries<Entry>): Map<string, Entry> {
  const keyed = topics.flatMap(({ topic, partitions }) =>
    partitions.map((entry) => [keyOf({ topic, ...entry }), entry] as const),
  )
  return new Map(keyed)
}

/** Groups entries with a topic into the form of Kafka's requests: one element for each topic. */
export function byTopic<Entry extends { topic: string }, Made>(
  entries: readonly Entry[],
  make: (entry: Entry) => Made,
): TopicEntries<Made> {
  const topics = Map.groupBy(entries, ({ topic }) => topic)
  return Array.from(topics, ([topic, group]) => ({ topic, partitions: group.map(make) }))
}
