import type { AgentConfig } from '../../shared/config/index.ts'
import { UserError } from '../../shared/errors.ts'
import { KafkaError, type PartitionBatch } from '../../shared/kafka/index.ts'
import type { Follower } from '../follow/index.ts'
import { Filler, type FillerOptions } from './filler.ts'
import { Filling, type Pending, Transaction, type Update } from './filling.ts'
import { TopicLimits } from './lane-limits.ts'
import { type HostLock, LockError, withoutPositions } from './lock.ts'
import type { Entry } from './positions.ts'
import {
  type Decision,
  type Place,
  positionsGroup,
  type PositionsStore,
  Session,
  type SessionOptions,
} from './session.ts'
import type { Waker } from './waker.ts'

/** What a publisher is told besides what it works with. */
export interface PublisherOptions extends FillerOptions, Omit<SessionOptions, 'refusing'> {
  readonly agent: AgentConfig
  /** Where to begin in topics that the agent has no positions of; `forgotten`: what the operator said, if anything. */
  readonly from: { readonly new: 'start' | 'end'; readonly forgotten: 'start' | 'end' | undefined }
}

/** What one topic refuses, others may take. */
const OF_A_TOPIC: ReadonlySet<KafkaError['kind']> = new Set([
  'unknown-topic',
  'unauthorized',
  'unavailable-topic',
  'too-large',
])
const BACKOFF_MS_MIN = 100
const BACKOFF_MS_MAX = 10_000
/** Kafka forgets what is not renewed for a week. */
const RENEW_EVERY_MS = 24 * 3_600_000
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
  readonly #store: PositionsStore
  readonly #follower: Follower
  readonly #lock: HostLock
  readonly #options: PublisherOptions
  readonly #waker: Waker
  readonly #filler: Filler
  readonly #tried = Promise.withResolvers<void>()
  /** Of these Kafka takes nothing now: sessions do without them, until one of these has lasted for TOPICS_EVERY_MS. */
  readonly #refusing = new Set<string>()
  #fillings = [new Filling(), new Filling()]
  #open: Transaction | undefined
  #session: Session | undefined
  #decisions: Pending[] = []
  #renewAtMs = 0
  #begunAtMs = 0

  constructor(store: PositionsStore, follower: Follower, lock: HostLock, waker: Waker, options: PublisherOptions) {
    this.#store = store
    this.#follower = follower
    this.#lock = lock
    this.#waker = waker
    this.#options = options
    this.#filler = new Filler(follower, new TopicLimits(options.agent), options)
  }

  /**
   * Undefined: not in touch. In a session the former lives are fenced and the positions read: what is decided now is decided
   * for ever. What was learnt in one need not hold in another one: another life may have come between.
   */
  get session(): Session | undefined {
    return this.#session
  }

  /** When it was in touch with Kafka for the first time, or could not be within PATIENCE_MS. */
  get tried(): Promise<void> {
    return this.#tried.promise
  }

  /**
   * Has the next transaction make this change, and resolves with true when it has; with false when that is not known:
   * then look at the entry again. The source is read no further meanwhile.
   */
  decide(decision: Decision): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    this.#decisions.push({ ...decision, settle: resolve })
    this.#waker.wake()
    return promise
  }

  /** Runs until the signal; then finishes the batch that it has begun. Rejects when it must not go on. */
  async run(signal: AbortSignal): Promise<void> {
    const late = setTimeout(() => {
      this.#options.report('kafka', 'not in touch with Kafka, trying again: no answer yet')
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
        await this.#waker.pause(backoffMs, signal)
      } finally {
        await this.#end()
      }
    }
    this.#tried.resolve()
  }

  async #begin(): Promise<void> {
    const { report } = this.#options
    const session = await Session.open(this.#store, { ...this.#options, refusing: this.#refusing })
    const skipped = await this.#takeUp(session).catch(async (error: unknown) => {
      await session.close() // nobody else knows it yet, and its connection would keep the process alive
      throw error
    })
    this.#session = session
    session.renew(session.topics)
    for (const update of await this.#filler.skip(session, skipped)) {
      const entry = this.#entryAfter({ ...update, finished: false })
      update.place.ledger.put({ ...entry, start: entry.position })
      this.#follower.acknowledge({ ...entry, start: entry.position })
    }
    await session.transact([])
    for (const topic of session.topics) this.#lock.setMark(topic, 'started', Date.now())
    this.#renewAtMs = Date.now() + RENEW_EVERY_MS
    this.#begunAtMs = performance.now()
    this.counts.sessions++
    report('kafka', '')
    report('lock', '')
  }

  /** Recognises the files by the session's positions. Answers the topics that are not read from their start. */
  async #takeUp(session: Session): Promise<Set<string>> {
    const skipped = this.#topicsToSkip(session)
    this.#follower.adopt(session.entries, this.counts.sessions === 0)
    await this.#follower.look()
    return skipped
  }

  async #end(): Promise<void> {
    const session = this.#session
    this.#session = undefined
    const noted = [...this.#fillings, ...(this.#open ? [this.#open] : [])].flatMap(({ decisions }) => decisions)
    for (const decision of [...noted, ...this.#decisions]) decision.settle(false)
    this.#decisions = []
    this.#filler.thawAll()
    this.#open = undefined
    this.#fillings = [new Filling(), new Filling()] // a dying socket may still read from the memory of the old ones
    await session?.close()
  }

  /** Of the topics without positions, or without some, those whose unknown files are not to be read from their start. */
  #topicsToSkip(session: Session): Set<string> {
    const skipped = new Set<string>()
    for (const topic of session.blank.union(session.torn)) {
      const nowMs = Date.now()
      const isNew = !session.torn.has(topic) && withoutPositions(this.#lock.mark(topic), nowMs) === 'new'
      const from = isNew ? this.#options.from.new : this.#options.from.forgotten
      if (from === undefined) throw forgotten(this.#options.agent.id, topic)
      if (from === 'end') skipped.add(topic)
      if (from === 'end' && !isNew) session.forget(topic)
      this.#lock.setMark(topic, 'starting', nowMs)
    }
    return skipped
  }

  async #pump(signal: AbortSignal): Promise<void> {
    let inFlight: Promise<void> | undefined
    try {
      while (!signal.aborted && !this.#topicsAreDue()) {
        const filling = this.#fillings[0]!
        await filling.sent
        await this.#filler.fill(filling, this.#session!, this.#decisions)
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
    if (this.#session!.topics.length === this.#options.topics.length) return false
    if (performance.now() - this.#begunAtMs < TOPICS_EVERY_MS) return false
    this.#refusing.clear()
    return true
  }

  /** With nothing to send, the first change of a file wakes us; after that one more look, at the end of the linger, will do. */
  async #wait(filling: Filling, waitMs: number, signal: AbortSignal): Promise<void> {
    if (filling.isEmpty) await this.#waker.wait(waitMs)
    else await this.#waker.pause(waitMs, signal)
    this.#filler.lookSoon()
  }

  /** How long a batch may still wait for more events; an empty one waits for the next look. */
  #waitBeforeSending(filling: Filling): number {
    if (filling.batch.full || this.#open) return 0
    if (filling.isEmpty) return this.#renewIsDue() ? 0 : this.#options.agent.poll_interval
    return filling.sinceMs + this.#options.agent.linger - performance.now()
  }

  #renewIsDue(): boolean {
    return Date.now() >= this.#renewAtMs
  }

  /** Has the first filling compressed, and sent behind what is in flight; the other one can be filled when that was sent. */
  #send(inFlight?: Promise<void>): Promise<void> {
    const filling = this.#fillings[0]!
    const entries = Array.from(filling.updates.values(), (update) => [update.place, this.#entryAfter(update)] as const)
    const ready = Promise.all([filling.batch.seal(this.#options.agent.compression), inFlight])
    const isLast = !filling.batch.full
    filling.sent = ready.then(([sealed]) => this.#transmit(filling, sealed, entries, isLast))
    filling.sent.catch(() => undefined) // it is awaited before the next one, or at the end
    this.#fillings.reverse()
    return filling.sent
  }

  async #transmit(
    filling: Filling,
    sealed: readonly PartitionBatch[],
    entries: readonly (readonly [Place, Entry])[],
    isLast: boolean,
  ): Promise<void> {
    const session = this.#session!
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
    if (isLast || open.decisions.length > 0 || open.isLarge) await this.#commit(session, open, sealed)
    else await session.producer.send(sealed)
    filling.clear()
  }

  async #commit(session: Session, open: Transaction, sealed: readonly PartitionBatch[]): Promise<void> {
    if (this.#renewIsDue()) {
      session.renew(session.topics)
      this.#renewAtMs = Date.now() + RENEW_EVERY_MS
    }
    await session.transact(sealed)
    this.#open = undefined
    for (const entry of open.entries) this.#follower.acknowledge(entry)
    if (open.entries.some(({ retired }) => retired)) this.#follower.keepEntries(session.entries)
    for (const { source, settle } of open.decisions) {
      const entry = this.#follower.entry(source)
      if (entry) this.#follower.moveTo(entry)
      this.#filler.thaw(source)
      settle(true)
    }
    for (const { topic } of sealed) this.#options.report(topic, '')
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
      file: file.hint,
      retired: false,
    }
  }

  /** Decides what an error means. Throws when no further try may help. */
  #explain(error: unknown): void {
    const { report } = this.#options
    if (error instanceof UserError) throw error
    if (error instanceof LockError) return report('lock', error.message)
    if (!(error instanceof KafkaError)) throw error
    if (error.kind === 'fenced') {
      throw new UserError(
        `another agent has taken over the transactional id ${positionsGroup(this.#options.agent.id)}`,
        'give each agent an id of its own: agent.id',
      )
    }
    const { topic, kind, message } = error
    if (error.code === 'WORN' || (kind === 'too-large' && topic !== undefined && this.#filler.limits.shrink(topic)))
      return
    if (topic === undefined || !OF_A_TOPIC.has(kind))
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
