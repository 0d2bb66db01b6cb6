export { BatchBuilder } from './record-batch.ts'
export { type ClientOptions, connectKafka, KafkaClient } from './client.ts'
export { KafkaError, type KafkaErrorKind, kafkaError } from './errors.ts'
export { joinGroup } from './group.ts'
export { fence, openProducer, type ProducerOptions } from './producer.ts'
export { createTopics, readCommits, topicOffsets, type TopicSpec } from './topics.ts'
export type {
  Commit,
  Committed,
  Compression,
  FetchedBatch,
  Group,
  GroupHandlers,
  GroupOptions,
  GroupTopic,
  Membership,
  PartitionBatch,
  PartitionCommit,
  PartitionOffsets,
  PartitionStop,
  Producer,
  RecordHeader,
  RecordView,
  RecordVisitor,
  SealedBatch,
  TopicPartition,
} from './types.ts'
