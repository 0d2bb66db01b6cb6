export { connectKafka, type KafkaClient } from './client.ts'
export { keyOf } from './cluster.ts'
export { KafkaError, type KafkaErrorKind, kafkaError } from './errors.ts'
export { type Group, type GroupHandlers, joinGroup } from './group.ts'
export type { Membership } from './membership.ts'
export type { FetchedBatch } from './record-range.ts'
export type { RecordView } from './record-view.ts'
export { openProducer, type Producer } from './producer.ts'
export { BatchBuilder } from './record-batch.ts'
export {
  commitFor,
  countMembers,
  listGroups,
  offsetsSince,
  presentOffsets,
  readCommits,
  topicOffsets,
} from './topics.ts'
export type * from './types.ts'
export { withTimeout } from './waiting.ts'
