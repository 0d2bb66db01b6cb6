/** How we compress the records of a RecordBatch. */
export type Compression = 'none' | 'gzip' | 'zstd'
/** How anybody may have. */
export type Codec = Compression | 'snappy' | 'lz4'

/** One partition of a topic. */
export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** A position to be stored as a group's commit. `metadata` has at most 4,096 bytes (the broker's `offset.metadata.max.bytes`). */
export interface PartitionCommit extends TopicPartition {
  readonly offset: number
  readonly metadata: string
}

/** A commit inside a transaction: several groups may be named in one. */
export interface Commit extends PartitionCommit {
  readonly group: string
}

/** What a group has committed for a partition; `offset` -1 and empty metadata: nothing. */
export type Committed = PartitionCommit

/**
 * Offsets of a partition: the log's start, and the end that a read_committed consumer can reach now. Beyond it lies what open
 * transactions hold back; a transaction's marker follows the answer to its commit by some milliseconds.
 */
export interface PartitionOffsets extends TopicPartition {
  readonly start: number
  readonly end: number
}

/** A header that a record is written with. */
export interface RecordHeader {
  readonly key: string
  readonly value: Uint8Array
}

/** Records of one RecordBatch v2, ready to be sent; the header is written when the request is. */
export interface SealedBatch {
  readonly records: number
  /** Bytes on the wire, batch header included: what the topic's `max.message.bytes` (1,048,588 by default) bounds. */
  readonly bytes: number
  readonly compression: Codec
  readonly baseTimestampMs: number
  readonly maxTimestampMs: number
  /** The records, compressed or not. With `none` a view of the builder's memory: valid until the builder's reset. */
  readonly body: Buffer
}

/** A batch and where it goes. */
export interface PartitionBatch extends TopicPartition {
  readonly batch: SealedBatch
}

/** What a RecordBatch's header says, and where it came from. */
export interface RangeHead extends TopicPartition {
  readonly baseOffset: number
  /** The first offset to visit: a fetch may begin inside a RecordBatch. */
  readonly firstOffset: number
  /** Grows while what follows a range without records has none either. */
  lastOffset: number
  /** Records of the RecordBatch, those before `firstOffset` included; 0: nothing to visit. */
  readonly records: number
  /** The end of the partition as of this fetch: records beyond `lastOffset` wait for another fetch. */
  readonly endOffset: number
  readonly compression: Codec
  readonly baseTimestampMs: number
  /** Set when the broker stamped the records itself: then all have this time. */
  readonly appendTimestampMs: number | undefined
}

/** Why a partition cannot be fetched any further. */
export type StopReason =
  | { readonly kind: 'out-of-range'; readonly start: number; readonly end: number }
  | { readonly kind: 'corrupt' | 'refused'; readonly message: string }

/** Why a partition is no longer fetched, until `seek` says where to go on. Nothing was skipped. */
export type PartitionStop = TopicPartition & { readonly offset: number } & StopReason

/** What a group is asked for; the rest of the options have these values. */
export const GROUP_DEFAULTS = {
  /** Time without heartbeat after which the broker gives the partitions to others. */
  sessionTimeoutMs: 30_000,
  /** How long the broker waits for members to re-join. */
  rebalanceTimeoutMs: 60_000,
  heartbeatIntervalMs: 3000,
  /** Longest wait for `revoking`. */
  revokeTimeoutMs: 5000,
  /** A commit without an answer after this time counts as lost. */
  commitTimeoutMs: 10_000,
  /** Fetched from one partition at once, in bytes. */
  fetchBytes: 1024 * 1024,
  /** Longest time a broker holds a fetch that finds nothing. */
  fetchWaitMs: 500,
  /** How often the group's leader looks for new partitions and for topics that were missing. */
  watchEveryMs: 30_000,
}

/** Which topics a group reads; the rest has the values of GROUP_DEFAULTS. */
export interface GroupOptions extends Readonly<Partial<typeof GROUP_DEFAULTS>> {
  readonly groupId: string
  readonly topics: readonly string[]
}
