import type { Broker, Cluster } from './cluster.ts'
import { KafkaError, kafkaError } from './errors.ts'
import { Fetcher, type FetchOptions, type FetchSink } from './fetcher.ts'
import { commitRequest, fetchCommits } from './topics.ts'
import type { Committed, Membership, PartitionCommit, TopicPartition } from './types.ts'
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

export class GroupMembership implements Membership {
  readonly group: string
  readonly generation: number
  readonly memberId: string
  readonly partitions: readonly TopicPartition[]
  readonly fetcher: Fetcher
  /** Whether what was sent may still be under way somewhere. */
  lost = false
  /** Where heartbeats and commits go; replaced when the coordinator moves. */
  coordinator: Broker
  readonly seek: Membership['seek'] = (at, offset) => this.fetcher.seek(at, offset)
  readonly pause: Membership['pause'] = (partitions) => this.fetcher.pause(partitions)
  readonly resume: Membership['resume'] = (partitions) => this.fetcher.resume(partitions)
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

  get ended(): AbortSignal {
    return this.#controller.signal
  }

  async commit(entries: readonly PartitionCommit[]): Promise<void> {
    if (this.ended.aborted) throw new KafkaError('ended', 'ENDED', 'the membership has ended, the commit was not sent')
    try {
      await withTimeout(this.#sendCommit(entries), this.#commitTimeoutMs)
    } catch (error) {
      this.lose()
      throw kafkaError(error)
    }
  }

  /** kafkajs's broker sends a request once: the retries of commits that it is known for are in its consumer. */
  #sendCommit(entries: readonly PartitionCommit[]): Promise<unknown> {
    return this.coordinator.offsetCommit({
      ...commitRequest(this.group, entries),
      groupGenerationId: this.generation,
      memberId: this.memberId,
    })
  }

  readCommits(): Promise<Committed[]> {
    return fetchCommits(this.coordinator, this.group, this.partitions)
  }

  /** Asks for the end while commits still pass. */
  finish(ending: 'rebalance' | 'leaving'): void {
    this.#over.resolve(ending)
  }

  /** Ends it here and now; `defect`: and the group with it. */
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
