import { AssignerProtocol, type GroupMemberAssignment } from 'kafkajs'
import { UserError } from '../errors.ts'
import { createLog } from '../telemetry/index.ts'
import { assign } from './assignment.ts'
import type { KafkaClient } from './client.ts'
import type { Cluster, JoinAnswer } from './cluster.ts'
import { isDefect, KafkaError, kafkaError } from './errors.ts'
import { type Ending, GroupMembership, type Joined, type Membership } from './membership.ts'
import type { FetchedBatch } from './record-range.ts'
import { findTopics } from './topics.ts'
import { GROUP_DEFAULTS, type GroupOptions, type PartitionStop, type TopicPartition } from './types.ts'
import { pause, withTimeout } from './waiting.ts'

/** The name of our assignment strategy: all members of a group must have it. */
const STRATEGY = 'millrace'
/** Subscriptions and assignments on the wire. */
const PROTOCOL = { version: 1, userData: Buffer.alloc(0) }
/** Between two tries to join after an error. */
const REJOIN_AFTER_MS = 250
/** LeaveGroup is a courtesy: without it the session time-out does the same. */
const LEAVE_TIMEOUT_MS = 2000

const log = createLog('kafka')

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

/**
 * Joins a consumer group. Resolves when the cluster was reached; from then on the member joins, re-joins and survives every
 * error but a lack of rights and mistakes in the program, which `done` reports. Rejects with KafkaError when the cluster cannot be reached.
 */
export async function joinGroup(client: KafkaClient, options: GroupOptions, handlers: GroupHandlers): Promise<Group> {
  const cluster = client.openCluster()
  try {
    await cluster.connect()
  } catch (error) {
    await cluster.disconnect().catch(() => undefined)
    throw kafkaError(error)
  }
  return new Group(cluster, { ...GROUP_DEFAULTS, ...options }, handlers)
}

/** One member of a group: the loop of joining and being a member. docs/protocols/kafka-seams.md walks through it. */
export class Group {
  /** Resolves when the group was closed, rejects when it cannot go on (authorisation, a defect). */
  readonly done: Promise<void>
  readonly #cluster: Cluster
  readonly #options: Required<GroupOptions>
  readonly #handlers: GroupHandlers
  readonly #closing = new AbortController()
  #membership: GroupMembership | undefined
  #memberId = ''

  constructor(cluster: Cluster, options: Required<GroupOptions>, handlers: GroupHandlers) {
    this.#cluster = cluster
    this.#options = options
    this.#handlers = handlers
    this.done = this.#run()
    this.done.catch(() => undefined) // whoever waits for it hears of it
  }

  /** Leaves: `revoking`, LeaveGroup, connections closed. */
  async close(): Promise<void> {
    this.#closing.abort()
    this.#membership?.finish('leaving')
    const longest = this.#options.revokeTimeoutMs + 2 * LEAVE_TIMEOUT_MS
    await withTimeout(this.done, longest).catch(() => this.#membership?.lose())
    await withTimeout(this.#cluster.disconnect(), LEAVE_TIMEOUT_MS).catch(() => undefined)
  }

  async #run(): Promise<void> {
    let level: 'warn' | 'debug' = 'warn' // told once, until it has joined
    while (!this.#closing.signal.aborted) {
      try {
        const joined = await this.#join()
        level = 'warn'
        const ending = this.#closing.signal.aborted ? 'leaving' : await this.#serve(joined)
        if (ending !== 'rebalance') await this.#leave()
        if (ending === 'lost') await pause(REJOIN_AFTER_MS, this.#closing.signal)
      } catch (thrown) {
        if (isDefect(thrown) || thrown instanceof UserError) throw thrown
        const error = kafkaError(thrown)
        if (error.kind === 'unauthorized') throw error
        if (error.code === 'REBALANCE_IN_PROGRESS') continue // while joining: join again, under the same id
        log[level]({ group: this.#options.groupId }, `cannot join for now, trying again: ${error.message}`)
        level = 'debug'
        await this.#leave()
        await pause(REJOIN_AFTER_MS, this.#closing.signal)
      }
    }
  }

  async #join(): Promise<Joined & { leader: boolean }> {
    const { groupId, sessionTimeoutMs, rebalanceTimeoutMs } = this.#options
    const topics = [...this.#options.topics]
    const missing = await findTopics(this.#cluster, topics)
    if (missing.length > 0) log.warn({ topics: missing, group: groupId }, 'the topic does not exist: waiting for it')
    const coordinator = await this.#cluster.findGroupCoordinator({ groupId })
    const metadata = AssignerProtocol.MemberMetadata.encode({ ...PROTOCOL, topics })
    const answer = await coordinator.joinGroup({
      groupId,
      sessionTimeout: sessionTimeoutMs,
      rebalanceTimeout: rebalanceTimeoutMs,
      memberId: this.#memberId,
      groupProtocols: [{ name: STRATEGY, metadata }],
    })
    this.#refuseSameGeneration(answer)
    const { memberId, generationId: generation } = answer
    this.#memberId = memberId
    const leader = answer.leaderId === memberId
    const groupAssignment = leader ? await this.#assignAll(answer) : []
    const synced = await coordinator.syncGroup({ groupId, generationId: generation, memberId, groupAssignment })
    const partitions = decodeAssignment(synced.memberAssignment)
    return { group: groupId, generation, memberId, leader, coordinator, partitions }
  }

  /** A new generation is what fences late commits of the last one; without it the member id must go. */
  #refuseSameGeneration({ memberId, generationId }: JoinAnswer): void {
    const last = this.#membership
    if (last?.memberId !== memberId || last.generation !== generationId) return
    throw new KafkaError('refused', 'SAME_GENERATION', `joined generation ${generationId} a second time`)
  }

  async #assignAll({ members }: JoinAnswer): Promise<GroupMemberAssignment[]> {
    const subscriptions = members.map(({ memberId, memberMetadata }) => ({
      memberId,
      topics: AssignerProtocol.MemberMetadata.decode(memberMetadata)?.topics ?? [],
    }))
    await findTopics(this.#cluster, [...new Set(subscriptions.flatMap(({ topics }) => topics))])
    const assigned = assign(subscriptions, this.#partitionsByTopic())
    return Array.from(assigned, ([memberId, partitions]) => ({
      memberId,
      memberAssignment: encodeAssignment(partitions),
    }))
  }

  #partitionsByTopic(): Map<string, number[]> {
    const partitionsOf = (topic: string) =>
      this.#cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId)
    return new Map(Array.from(this.#cluster.targetTopics, (topic) => [topic, partitionsOf(topic)]))
  }

  /** From the assignment to the end of the membership, whatever ends it. */
  async #serve(joined: Joined & { leader: boolean }): Promise<Ending> {
    const membership: GroupMembership = new GroupMembership(joined, this.#cluster, this.#options, {
      batch: (batch) => this.#guard(membership, () => this.#handlers.batch(membership, batch)),
      stopped: (stop) => this.#guard(membership, () => this.#handlers.stopped(membership, stop)),
      failed: (error) => this.#fail(membership, error),
    })
    this.#membership = membership
    const beating = this.#beat(membership, joined.leader)
    try {
      const assigned = this.#handlers.assigned(membership).then(() => membership.fetcher.start())
      const started = assigned.catch((error: unknown) => this.#fail(membership, error))
      const ending = await membership.over
      membership.fetcher.stop()
      const handOver = started.then(() => (membership.ended.aborted ? undefined : this.#handlers.revoking(membership)))
      await withTimeout(handOver, this.#options.revokeTimeoutMs).catch((error: unknown) =>
        log.warn({ group: joined.group, generation: joined.generation, err: error }, 'the hand-over was not finished'),
      )
      return membership.lost ? 'lost' : ending
    } finally {
      membership.end()
      await beating
    }
  }

  /** A handler that throws must not take the fetch loop with it. */
  #guard(membership: GroupMembership, call: () => void): void {
    try {
      call()
    } catch (error) {
      this.#fail(membership, error)
    }
  }

  #fail(membership: GroupMembership, thrown: unknown): void {
    const level = membership.ended.aborted ? 'debug' : 'error'
    const { group, generation } = membership
    log[level]({ group, generation, err: thrown }, 'the membership ends by an error')
    membership.lose(isDefect(thrown) ? thrown : undefined)
  }

  /** Heartbeats on a clock of their own, so that neither a slow handler nor a long fetch costs the membership. */
  async #beat(membership: GroupMembership, leader: boolean): Promise<void> {
    const { heartbeatIntervalMs, sessionTimeoutMs } = this.#options
    const known = this.#layout()
    let heardAt = performance.now()
    let watchedAt = heardAt
    while (await pause(heartbeatIntervalMs, membership.ended)) {
      try {
        await withTimeout(this.#sendHeartbeat(membership), sessionTimeoutMs / 3)
        heardAt = performance.now()
        if (leader && heardAt - watchedAt > this.#options.watchEveryMs) {
          watchedAt = heardAt
          await findTopics(this.#cluster, [...new Set([...this.#cluster.targetTopics, ...this.#options.topics])])
          if (this.#layout() !== known) membership.finish('rebalance') // a leader that joins again makes a new generation
        }
      } catch (error) {
        // A coordinator that moved or cannot be reached is asked again until the session is over.
        const isOver = isThrownOut(error) || performance.now() - heardAt > sessionTimeoutMs
        if (isDefect(error)) membership.lose(error)
        else if (kafkaError(error).code === 'REBALANCE_IN_PROGRESS') membership.finish('rebalance')
        else if (isOver) membership.lose()
      }
    }
  }

  /** The coordinator may have moved: it is asked for each time. */
  async #sendHeartbeat(membership: GroupMembership): Promise<void> {
    const { group: groupId, generation: groupGenerationId, memberId } = membership
    membership.coordinator = await this.#cluster.findGroupCoordinator({ groupId })
    await membership.coordinator.heartbeat({ groupId, groupGenerationId, memberId })
  }

  /** All known topics with the number of their partitions. */
  #layout(): string {
    return Array.from(this.#partitionsByTopic(), ([topic, { length }]) => `${topic}/${length}`)
      .sort()
      .join()
  }

  /** Gives the member id up, so that nothing that was sent under it can take effect later. */
  async #leave(): Promise<void> {
    const { groupId } = this.#options
    const memberId = this.#memberId
    this.#memberId = ''
    if (memberId === '') return
    const coordinator = this.#cluster.findGroupCoordinator({ groupId })
    const leaving = coordinator.then((broker) => broker.leaveGroup({ groupId, memberId }))
    await withTimeout(leaving, LEAVE_TIMEOUT_MS).catch(() => undefined)
  }
}

function isThrownOut(error: unknown): boolean {
  const { code, kind } = kafkaError(error)
  return code === 'UNKNOWN_MEMBER_ID' || code === 'ILLEGAL_GENERATION' || kind === 'unauthorized'
}

function encodeAssignment(partitions: readonly TopicPartition[]): Buffer {
  const assignment: Record<string, number[]> = {}
  for (const { topic, partition } of partitions) (assignment[topic] ??= []).push(partition)
  return AssignerProtocol.MemberAssignment.encode({ ...PROTOCOL, assignment })
}

function decodeAssignment(bytes: Buffer): TopicPartition[] {
  const assignment = AssignerProtocol.MemberAssignment.decode(bytes)?.assignment ?? {}
  return Object.entries(assignment).flatMap(([topic, partitions]) =>
    partitions.map((partition) => ({ topic, partition })),
  )
}
