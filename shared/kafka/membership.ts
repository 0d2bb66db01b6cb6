import type { Broker, Cluster } from './cluster.ts'
import { KafkaError, kafkaError } from './errors.ts'
import { Fetcher, type FetchOptions, type FetchSink } from './fetcher.ts'
import { commitRequest, fetchCommits } from './topics.ts'
import type { Committed, PartitionCommit, TopicPartition } from './types.ts'
import { UserError } from '../errors.ts'
import { withTimeout } from './waiting.ts'

/** What a member got from one JoinGroup and SyncGroup. */
export type Joined = Pick<GroupMembership, 'group' | 'generation' | 'memberId' | 'partitions' | 'coordinator'>

/**
 * Why a membership is over.
 * - `rebalance`: the group forms a new generation; commits of this one still pass until the member joins it.
 * - `leaving`: this member wants to go; commits still pass.
 * - `lost`: thrown out, or a commit without a good answer: whatever is still under way must be fenced by a new member id.
 */
export type Ending = 'rebalance' | 'leaving' | 'lost'

/** What those see of it who work for the group. */
export type Membership = Omit<GroupMembership, 'coordinator' | 'fetcher' | 'finish' | 'end' | 'lost' | 'over'>

/** Kafka's default is 4,096: what a log has at most. */
const METADATA_FIX = 'set offset.metadata.max.bytes of the brokers to 4096, or lower consumer.in_flight'

/**
 * What one generation of the group gave to this member. Ends when the member re-joins, leaves, was thrown out, or when a
 * commit failed or got no answer.
 */
export class GroupMembership {
  readonly group: string
  readonly generation: number
  readonly memberId: string
  readonly partitions: readonly TopicPartition[]
  readonly fetcher: Fetcher
  /** Whether what was sent may still be under way somewhere. */
  lost = false
  /** Where heartbeats and commits go; replaced when the coordinator moves. */
  coordinator: Broker
  /**
   * Fetches this partition from `offset` on; batches of an earlier position that are still under way are dropped.
   * Without it nothing of the partition is fetched.
   */
  readonly seek: Fetcher['seek'] = (at, offset) => this.fetcher.seek(at, offset)
  /** No further fetch of these partitions is sent; an answer that is under way is still delivered. */
  readonly pause: Fetcher['pause'] = (partitions) => this.fetcher.pause(partitions)
  readonly resume: Fetcher['resume'] = (partitions) => this.fetcher.resume(partitions)
  readonly #controller = new AbortController()
  readonly #commitTimeoutMs: number
  readonly #over = Promise.withResolvers<Ending>()
  /** Resolves with the first reason to end it; `lost` may still follow another. */
  readonly over: Promise<Ending> = this.#over.promise

  constructor(joined: Joined, cluster: Cluster, options: FetchOptions & { commitTimeoutMs: number }, sink: FetchSink) {
    this.group = joined.group
    this.generation = joined.generation
    this.memberId = joined.memberId
    this.partitions = joined.partitions
    this.coordinator = joined.coordinator
    this.#commitTimeoutMs = options.commitTimeoutMs
    this.fetcher = new Fetcher(cluster, joined.partitions, options, sink)
  }

  /** Fires when the membership has ended; from then on nothing is fetched and no commit is sent. */
  get ended(): AbortSignal {
    return this.#controller.signal
  }

  /**
   * Sends one OffsetCommit with this membership's member id and generation, once. Refused locally (KafkaError `ended`,
   * nothing was sent) when the membership has ended. Any other rejection leaves the outcome unknown and ends the
   * membership: the member leaves and joins under a new id, so that a late commit is fenced.
   */
  async commit(entries: readonly PartitionCommit[]): Promise<void> {
    if (this.ended.aborted) throw new KafkaError('ended', 'ENDED', 'the membership has ended, the commit was not sent')
    const { group, generation: groupGenerationId, memberId } = this
    const request = { ...commitRequest(group, entries), groupGenerationId, memberId }
    try {
      // kafkajs's broker sends a request once: the retries of commits that it is known for are in its consumer.
      await withTimeout(this.coordinator.offsetCommit(request), this.#commitTimeoutMs)
    } catch (thrown) {
      const error = kafkaError(thrown)
      this.lose(error.code === 'OFFSET_METADATA_TOO_LARGE' ? new UserError(error.message, METADATA_FIX) : undefined)
      throw error
    }
  }

  /** The group's commits of all assigned partitions, read after this generation was formed. */
  readCommits(): Promise<Committed[]> {
    return fetchCommits(this.coordinator, this.group, this.partitions)
  }

  /** Asks for the end while commits still pass. */
  finish(ending: 'rebalance' | 'leaving'): void {
    this.#over.resolve(ending)
  }

  /** Ends it here and now: the member leaves and joins under a new id, so that whatever it has sent is fenced. `defect`: the group ends, too. */
  lose(defect?: unknown): void {
    this.lost = true
    if (defect) this.#over.reject(defect)
    else this.#over.resolve('lost')
    this.end()
  }

  /** From now on nothing of this membership is sent. */
  end(): void {
    this.fetcher.stop()
    this.#controller.abort()
  }
}
