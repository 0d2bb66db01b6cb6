import type { AgentConfig } from '../../shared/config/index.ts'
import { UserError } from '../../shared/errors.ts'
import { KafkaError, type PartitionBatch } from '../../shared/kafka/index.ts'
import type { Follower } from '../follow/index.ts'
import { Filler, type FillerOptions } from './filler.ts'
import { Filling, type Pending, Transaction, type Update } from './filling.ts'
import { TopicLimits } from './lane-limits.ts'
import { type HostLock, LockError, isNew } from './lock.ts'
import type { Entry } from './positions.ts'
import type { Decision, Place, PositionsStore, SessionOptions } from './session.ts'
import { positionsGroup, Session } from './session.ts'
import type { Waker } from './waker.ts'

/** What a publisher works with, and what it is told. */
export interface PublisherParts extends FillerOptions, Omit<SessionOptions, 'refusing'> {
  readonly store: PositionsStore
  readonly follower: Follower
  readonly lock: HostLock
  readonly waker: Waker
  readonly agent: AgentConfig
  /** Where to begin in topics that the agent has no positions of; `forgotten`: what the operator said, if anything. */
  readonly from: { readonly new: 'start' | 'end'; readonly forgotten: 'start' | 'end' | undefined }
}

/** What one topic refuses, others may take. */
const OF_A_TOPIC: readonly KafkaError['kind'][] = ['unknown-topic', 'unauthorized', 'unavailable-topic', 'too-large']
const BACKOFF_MS_MIN = 100
const BACKOFF_MS_MAX = 10_000
/** Brokers behind a silent firewall let a try take more than a minute. */
const PATIENCE_MS = 10_000
/** Topics that could not be used are asked for again. */
const TOPICS_EVERY_MS = 30_000

/**
 * Carries events into Kafka: a loop of transactions, each with one or more batches and the positions behind them. While one
 * batch is compressed and sent the next is filled. After any error everything begins again with a new producer and with the positions that
 * Kafka knows (docs/protocols/agent-positions.md).
 */
export class Publisher {
  /** `dead`: events that travel without their bytes, too long or cut off. */
  readonly counts = { events: 0, bytes: 0, dead: 0, transactions: 0, sessions: 0 }
  readonly #with: PublisherParts
  readonly #filler: Filler
  readonly #tried = Promise.withResolvers<void>()
  /** When it was in touch with Kafka for the first time, or could not be within PATIENCE_MS. */
  readonly tried = this.#tried.promise
  /** Of these Kafka takes nothing now: sessions do without them, until one of these has lasted for TOPICS_EVERY_MS. */
  readonly #refusing = new Set<string>()
  #fillings = [new Filling(), new Filling()]
  #open: Transaction | undefined
  /**
   * Undefined: not in touch. In a session the former lives are fenced and the positions read: what is decided now is decided
   * for ever. What was learnt in one need not hold in another one: another life may have come between. Changed here alone.
   */
  session: Session | undefined
  #decisions: Pending[] = []
  #begunAtMs = 0

  constructor(parts: PublisherParts) {
    this.#with = parts
    this.#filler = new Filler(parts.follower, new TopicLimits(parts.agent), parts)
  }

  /**
   * Has the next transaction make this change, and resolves with true when it has; with false when that is not known:
   * then look at the entry again. The source is read no further meanwhile.
   */
  decide(decision: Decision): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    this.#decisions.push({ ...decision, settle: resolve })
    this.#with.waker.wake()
    return promise
  }

  /** Runs until the signal; then finishes the batch that it has begun. Rejects when it must not go on. */
  async run(signal: AbortSignal): Promise<void> {
    const late = setTimeout(() => {
      this.#with.report('kafka', 'not in touch with Kafka, trying again: no answer yet')
      this.#tried.resolve()
    }, PATIENCE_MS).unref()
    void this.tried.then(() => clearTimeout(late))
    for (let backoffMs = BACKOFF_MS_MIN; !signal.aborted; backoffMs = Math.min(backoffMs * 2, BACKOFF_MS_MAX)) {
      try {
        await this.#begin().finally(this.#tried.resolve)
        backoffMs = BACKOFF_MS_MIN
        await this.#pump(signal)
      } catch (error) {
        this.#explain(error)
        await this.#with.waker.pause(backoffMs, signal)
      } finally {
        await this.#end()
      }
    }
    this.#tried.resolve()
  }

  async #begin(): Promise<void> {
    const { report } = this.#with
    const session = await Session.open(this.#with.store, { ...this.#with, refusing: this.#refusing })
    const skipped = await this.#takeUp(session).catch(async (error: unknown) => {
      await session.close() // nobody else knows it yet, and its connection would keep the process alive
      throw error
    })
    this.session = session
    session.renew()
    for (const update of await this.#filler.skip(session, skipped)) {
      const entry = this.#entryAfter({ ...update, finished: false })
      update.place.ledger.put({ ...entry, start: entry.position })
      this.#with.follower.acknowledge({ ...entry, start: entry.position })
    }
    await session.transact([])
    for (const topic of session.topics) this.#with.lock.setMark(topic, 'started', Date.now())
    this.#begunAtMs = performance.now()
    this.counts.sessions++
    report('kafka', '')
    report('lock', '')
  }

  /** Recognises the files by the session's positions. Answers the topics that are not read from their start. */
  async #takeUp(session: Session): Promise<Set<string>> {
    const skipped = this.#topicsToSkip(session)
    this.#with.follower.adopt(session.entries, this.counts.sessions === 0)
    await this.#with.follower.look()
    return skipped
  }

  async #end(): Promise<void> {
    const session = this.session
    this.session = undefined
    const noted = [...this.#fillings, ...(this.#open ? [this.#open] : [])].flatMap(({ decisions }) => decisions)
    for (const decision of [...noted, ...this.#decisions]) decision.settle(false)
    this.#decisions = []
    this.#filler.frozen.clear()
    this.#open = undefined
    this.#fillings = [new Filling(), new Filling()] // a dying socket may still read from the memory of the old ones
    await session?.close()
  }

  /** Of the topics without positions, or without some, those whose unknown files are not to be read from their start. */
  #topicsToSkip(session: Session): Set<string> {
    const skipped = new Set<string>()
    for (const topic of session.blank.union(session.torn)) {
      const nowMs = Date.now()
      const begins = !session.torn.has(topic) && isNew(this.#with.lock.mark(topic), nowMs)
      const from = begins ? this.#with.from.new : this.#with.from.forgotten
      if (from === undefined) throw forgotten(this.#with.agent.id, topic)
      if (from === 'end') skipped.add(topic)
      if (from === 'end' && !begins) session.forget(topic)
      this.#with.lock.setMark(topic, 'starting', nowMs)
    }
    return skipped
  }

  async #pump(signal: AbortSignal): Promise<void> {
    let inFlight: Promise<void> | undefined
    try {
      while (!signal.aborted && !this.#topicsAreDue()) {
        const filling = this.#fillings[0]!
        await filling.sent
        await this.#filler.fill(filling, this.session!, this.#decisions)
        if (inFlight && !filling.batch.full) {
          await inFlight
          inFlight = undefined
          continue
        }
        const waitMs = this.#waitBeforeSending(filling)
        if (waitMs > 0) await this.#wait(filling, waitMs, signal)
        else inFlight = this.#send(inFlight)
      }
      await inFlight
      if (this.#open || !this.#fillings[0]!.isEmpty) await this.#send() // what was begun before the signal is finished
    } finally {
      await Promise.allSettled(this.#fillings.map(({ sent }) => sent))
    }
  }

  /** A topic that could not be used may be of use by now: only a new session tells. */
  #topicsAreDue(): boolean {
    if (this.session!.topics.length === this.#with.topics.length) return false
    if (performance.now() - this.#begunAtMs < TOPICS_EVERY_MS) return false
    this.#refusing.clear()
    return true
  }

  /** With nothing to send, the first change of a file wakes us; after that one more look, at the end of the linger, will do. */
  async #wait(filling: Filling, waitMs: number, signal: AbortSignal): Promise<void> {
    if (filling.isEmpty) await this.#with.waker.wait(waitMs)
    else await this.#with.waker.pause(waitMs, signal)
    this.#filler.lookSoon()
  }

  /** How long a batch may still wait for more events; an empty one waits for the next look. */
  #waitBeforeSending(filling: Filling): number {
    if (filling.batch.full || this.#open) return 0
    if (filling.isEmpty) return this.session!.renewIsDue ? 0 : this.#with.agent.poll_interval
    return filling.sinceMs + this.#with.agent.linger - performance.now()
  }

  /** Has the first filling compressed, and sent behind what is in flight; the other one can be filled when that was sent. */
  #send(inFlight?: Promise<void>): Promise<void> {
    const filling = this.#fillings[0]!
    const entries = Array.from(filling.updates.values(), (update) => [update.place, this.#entryAfter(update)] as const)
    const ready = Promise.all([filling.batch.seal(this.#with.agent.compression), inFlight])
    filling.sent = ready.then(([sealed]) => this.#transmit(filling, sealed, entries))
    filling.sent.catch(() => undefined) // it is awaited before the next one, or at the end
    this.#fillings.reverse()
    return filling.sent
  }

  async #transmit(filling: Filling, sealed: readonly PartitionBatch[], entries: readonly (readonly [Place, Entry])[]) {
    const session = this.session!
    const open = (this.#open ??= new Transaction())
    for (const [{ ledger }, entry] of entries) {
      ledger.put(entry)
      open.entries.push(entry)
    }
    for (const decision of filling.decisions) {
      const entry = session.note(decision)
      if (entry) open.entries.push(entry)
    }
    open.decisions.push(...filling.decisions)
    filling.batch.addTo(open.counts)
    if (!filling.batch.full || open.decisions.length > 0 || open.isLarge) await this.#commit(session, open, sealed)
    else await session.producer.send(sealed)
    filling.clear()
  }

  async #commit(session: Session, open: Transaction, sealed: readonly PartitionBatch[]): Promise<void> {
    if (session.renewIsDue) session.renew()
    await session.transact(sealed)
    this.#open = undefined
    for (const entry of open.entries) this.#with.follower.acknowledge(entry)
    if (open.entries.some(({ retired }) => retired)) this.#with.follower.keepEntries(session.entries)
    for (const { source, settle } of open.decisions) {
      const entry = this.#with.follower.entry(source)
      if (entry) this.#with.follower.moveTo(entry)
      this.#filler.frozen.delete(source)
      settle(true)
    }
    for (const { topic } of sealed) this.#with.report(topic, '')
    this.counts.transactions++
    for (const key of ['events', 'bytes', 'dead'] as const) this.counts[key] += open.counts[key]
  }

  #entryAfter({ followed: { source, file }, place, finished }: Update): Entry {
    const { position, head, tail } = source.progress
    const before = place.ledger.get(source.id)
    return {
      source: source.id,
      position,
      start: before?.start ?? 0,
      ...(finished ? { size: position } : {}),
      ...(before?.handed ? { handed: before.handed } : {}),
      head,
      tail,
      ...file.inode,
      retired: false,
    }
  }

  /** Decides what an error means. Throws when no further try may help. */
  #explain(error: unknown): void {
    const { report } = this.#with
    if (error instanceof UserError) throw error
    if (error instanceof LockError) return report('lock', error.message)
    if (!(error instanceof KafkaError)) throw error
    if (error.kind === 'fenced') {
      throw new UserError(
        `another agent has taken over the transactional id ${positionsGroup(this.#with.agent.id)}`,
        'give each agent an id of its own: agent.id',
      )
    }
    const { topic, kind, message } = error
    if (error.code === 'WORN' || (kind === 'too-large' && topic !== undefined && this.#filler.limits.shrink(topic)))
      return
    if (topic === undefined || !OF_A_TOPIC.includes(kind))
      return report('kafka', `not in touch with Kafka, trying again: ${message}`)
    this.#refusing.add(topic)
    report(topic, `topic ${topic} takes nothing now, trying again: ${message}`)
  }
}

function forgotten(agent: string, topic: string): UserError {
  return new UserError(
    `agent ${agent} has published to topic ${topic} before, and Kafka has forgotten its positions, or some of them`,
    'start it with --from end (events in between travel by no carrier) or with --from start (everything that is still there is published again)',
  )
}
