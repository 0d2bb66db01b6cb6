/** How we compress the records of a RecordBatch. */
export type Compression = 'none' | 'gzip' | 'zstd'
/** How anybody may have. */
export type Codec = Compression | 'snappy' | 'lz4'

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

/**
 * One record of a batch: the object is reused, take what you need before the next one. Key and value are ranges of
 * `buffer`; a start of -1 stands for null.
 */
export interface RecordView {
  readonly buffer: Buffer
  readonly offset: number
  readonly timestampMs: number
  readonly keyStart: number
  readonly keyEnd: number
  readonly valueStart: number
  readonly valueEnd: number
  /** How many headers it has. */
  readonly headers: number
  /** The value of the last header of that name (a view), or undefined. */
  header(name: string): Buffer | undefined
}

/** Returning false stops the walk before this record: it counts as not taken. */
export type RecordVisitor = (record: RecordView) => boolean | void

/**
 * A range of a partition's offsets: the records of one RecordBatch, or none (`records` 0) where control records, aborted
 * transactions or compaction left only offsets to pass. Ranges of a partition come in order, without overlap.
 */
export interface FetchedBatch extends TopicPartition {
  /** The first offset to visit: a fetch may begin inside a RecordBatch. */
  readonly firstOffset: number
  readonly lastOffset: number
  /** Records of the RecordBatch, those before `firstOffset` included; 0: nothing to visit. */
  readonly records: number
  /** Memory that the batch holds now, in bytes: compressed, and decompressed once `ready()` has resolved. */
  readonly bytes: number
  /** The end of the partition as of this fetch: records beyond `lastOffset` wait for another fetch. */
  readonly endOffset: number
  /** Decompresses in the thread pool, before any visit; at once when there is nothing to do. Rejects with a KafkaError `corrupt`. */
  ready(): Promise<void>
  /**
   * Calls the visitor for each record from `fromOffset` (or `firstOffset`, if that is later) on. Returns where the next visit must go on: `lastOffset + 1` when all were
   * taken. Going on at the offset that the last visit returned costs nothing. Throws a KafkaError `corrupt`.
   */
  visit(fromOffset: number, visitor: RecordVisitor): number
  /**
   * Gives its memory back: what a visitor was shown has length 0 from then on, and there are no visits any more. A batch that
   * is dropped without it costs no more than the collector's time.
   */
  release(): void
}

export type StopReason =
  | { readonly kind: 'out-of-range'; readonly start: number; readonly end: number }
  | { readonly kind: 'corrupt' | 'refused'; readonly message: string }

/** Why a partition is no longer fetched, until `seek` says where to go on. Nothing was skipped. */
export type PartitionStop = TopicPartition & { readonly offset: number } & StopReason

/**
 * What one generation of the group gave to this member. Ends when the member re-joins, leaves, was thrown out, or when a
 * commit failed or got no answer.
 */
export interface Membership {
  readonly group: string
  readonly generation: number
  readonly memberId: string
  readonly partitions: readonly TopicPartition[]
  /** Fires when the membership has ended; from then on nothing is fetched and no commit is sent. */
  readonly ended: AbortSignal
  /**
   * Sends one OffsetCommit with this membership's member id and generation, once. Refused locally (KafkaError `ended`,
   * nothing was sent) when the membership has ended. Any other rejection leaves the outcome unknown and ends the
   * membership: the member leaves and joins under a new id, so that a late commit is fenced.
   */
  commit(entries: readonly PartitionCommit[]): Promise<void>
  /** The group's commits of all assigned partitions, read after this generation was formed. */
  readCommits(): Promise<Committed[]>
  /**
   * Fetches this partition from `offset` on; batches of an earlier position that are still under way are dropped.
   * Without it nothing of the partition is fetched.
   */
  seek(partition: TopicPartition, offset: number): void
  /** No further fetch of these partitions is sent; an answer that is under way is still delivered. */
  pause(partitions: readonly TopicPartition[]): void
  resume(partitions: readonly TopicPartition[]): void
  /** Ends it here and now: the member leaves and joins under a new id, so that whatever it has sent is fenced. */
  lose(): void
}

/** What the owner of a group's membership does. All are called for one membership at a time, in this order. */
export interface GroupHandlers {
  /**
   * After SyncGroup of a generation, before any batch of it. Partitions without a commit are those whose `readCommits()`
   * entry has offset -1. A rejection ends the membership (re-joined after a pause).
   */
  assigned(membership: Membership): Promise<void>
  /** A range of a partition. Must return at once; bound what is queued by `pause` and `resume`. */
  batch(membership: Membership, batch: FetchedBatch): void
  /** The partition is not fetched any more: an alarm, never a skip. */
  stopped(membership: Membership, stop: PartitionStop): void
  /**
   * Before the member re-joins or leaves, while commits still pass: finish, commit `clean`, settle. Nothing is delivered any
   * more. Bounded by `revokeTimeoutMs`. Not called when commits cannot pass (`ended` has fired then).
   */
  revoking(membership: Membership): Promise<void>
}

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

export interface GroupOptions extends Readonly<Partial<typeof GROUP_DEFAULTS>> {
  readonly groupId: string
  readonly topics: readonly string[]
}
