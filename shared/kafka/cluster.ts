import type { ProtocolRequest, RequestDefinition, RequestFactory } from 'kafkajs/src/protocol/requests/index.js'

/** A connection to a broker, as far as this room uses it: one request for each call, sent once, never again. */
export interface Broker {
  readonly nodeId: number
  readonly connectionPool: { send(request: ProtocolRequest): Promise<unknown> }
  isConnected(): boolean
  disconnect(): Promise<void>
  lookupRequest(apiKey: number, definition: RequestDefinition): RequestFactory
  joinGroup(options: {
    groupId: string
    sessionTimeout: number
    rebalanceTimeout: number
    memberId: string
    groupProtocols: { name: string; metadata: Buffer }[]
  }): Promise<JoinAnswer>
  syncGroup(options: {
    groupId: string
    generationId: number
    memberId: string
    groupAssignment: { memberId: string; memberAssignment: Buffer }[]
  }): Promise<{ memberAssignment: Buffer }>
  heartbeat(options: { groupId: string; groupGenerationId: number; memberId: string }): Promise<unknown>
  leaveGroup(options: { groupId: string; memberId: string }): Promise<unknown>
  offsetCommit(options: {
    groupId: string
    groupGenerationId: number
    memberId: string
    topics: TopicEntries<{ partition: number; offset: string; metadata: string }>
  }): Promise<unknown>
  offsetFetch(options: {
    groupId: string
    topics: TopicEntries<{ partition: number }>
  }): Promise<{ responses: TopicEntries<{ partition: number; offset: string; metadata: string | null }> }>
  listOffsets(options: {
    isolationLevel: number
    topics: TopicEntries<{ partition: number; timestamp: number }>
  }): Promise<{ responses: TopicEntries<{ partition: number; errorCode: number; offset: string }> }>
}

export interface JoinAnswer {
  readonly generationId: number
  readonly leaderId: string
  readonly memberId: string
  readonly members: readonly { memberId: string; memberMetadata: Buffer }[]
}

export type TopicEntries<Entry> = { topic: string; partitions: Entry[] }[]

/** kafkajs's cluster, as far as this room uses it: connections, metadata, leaders, coordinators. */
export interface Cluster {
  connect(): Promise<void>
  disconnect(): Promise<void>
  isConnected(): boolean
  refreshMetadata(): Promise<void>
  refreshMetadataIfNecessary(): Promise<void>
  removeBroker(address: { host: string; port: number }): void
  /** Those whose metadata are kept. */
  targetTopics: Set<string>
  addMultipleTargetTopics(topics: readonly string[]): Promise<void>
  findTopicPartitionMetadata(topic: string): { partitionId: number; leader: number }[]
  findLeaderForPartitions(topic: string, partitions: readonly number[]): Record<string, number[]>
  findBroker(options: { nodeId: number | string }): Promise<Broker>
  findGroupCoordinator(options: { groupId: string }): Promise<Broker>
}

/** Groups entries with a topic into the form of Kafka's requests: one element for each topic. */
export function byTopic<Entry extends { topic: string }, Made>(
  entries: readonly Entry[],
  make: (entry: Entry) => Made,
): TopicEntries<Made> {
  const topics = Map.groupBy(entries, ({ topic }) => topic)
  return Array.from(topics, ([topic, group]) => ({ topic, partitions: group.map(make) }))
}
