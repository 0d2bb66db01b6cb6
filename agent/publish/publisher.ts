import { messageOf, UserError } from '../../shared/errors.ts'
import { Events } from '../../shared/framing/index.ts'
import { type Compression, KafkaError, type PartitionBatch } from '../../shared/kafka/index.ts'
import { type Followed, type Follower, Scratch, type Workspace } from '../follow/index.ts'
import { Batch, type LaneLimits } from './batch.ts'
import { type HostLock, withoutPositions } from './lock.ts'
import type { Entry } from './positions.ts'
import { type Decision, type Place, positionsGroup, type PositionsStore, Session } from './session.ts'
import type { Waker } from './waker.ts'

export interface PublisherOptions {
  readonly agent: string
  readonly topicOf: (route: string) => string | undefined
  readonly topics: readonly string[]
  readonly lingerMs: number
  readonly pollMs: number
  readonly batchBytes: number
  readonly maxEventBytes: number
  readonly compression: Compression
  readonly transactionTimeoutMs: number
  /** Where to begin in topics that the agent has no positions of; `forgotten`: what the operator said, if anything. */
  readonly from: { readonly new: 'start' | 'end'; readonly forgotten: 'start' | 'end' | undefined }
  /** The rest of this source goes by its chunk: it has been finished for too long. */
  readonly leaves: (followed: Followed) => boolean
  readonly report: (about: string, message: string) => void
}

export interface PublisherCounts {
  events: number
  bytes: number
  /** Events that travel without their bytes: too long, or cut off. */
  dead: number
  transactions: number
  sessions: number
}

interface Pending extends Decision {
  settle(isDone: boolean): void
}

interface Filling {
  readonly batch: Batch
  readonly updates: Map<string, Update>
  readonly decisions: Pending[]
  /** When its first event was read. */
  sinceMs: number
  /** Until then its memory is on its way. */
  sent: Promise<void>
}

/** What has been sent and not committed. */
interface Open {
  readonly sinceMs: number
  readonly entries: Entry[]
  readonly decisions: Pending[]
  events: number
  bytes: number
  dead: number
}

interface Update {
  readonly followed: Followed
  readonly place: Place
  finished: boolean
}

/** Between two looks, while there is still something to read; in milliseconds. */
const LOOK_EVERY_MS = 250
const BACKOFF_MS_MIN = 100
const BACKOFF_MS_MAX = 10_000
/** Kafka forgets what is not renewed for a week. */
const RENEW_EVERY_MS = 24 * 3_600_000
/** Topics that could not be used are asked for again. */
const TOPICS_EVERY_MS = 30_000
/** While there is more to read, a transaction goes on until it has this many bytes of sources, or is this old. */
const TRANSACTION_BYTES_MAX = 32 * 1024 * 1024
const TRANSACTION_MS_MAX = 250
/** Room for a batch's header, and for records that are larger than the lane by their overhead. */
const LANE_SPARE_BYTES = 64 * 1024
const LANE_BYTES_MIN = 16 * 1024

/**
 * Carries events into Kafka: a loop of transactions, each with one or more batches and the positions behind them. While one
 * batch is compressed and sent the next is filled. After any error everything begins again with a new producer and with the positions that
 * Kafka knows (docs/protocols/agent-positions.md).
 */
export class Publisher {
  readonly counts: PublisherCounts = { events: 0, bytes: 0, dead: 0, transactions: 0, sessions: 0 }
  readonly #store: PositionsStore
  readonly #follower: Follower
  readonly #lock: HostLock
  readonly #options: PublisherOptions
  readonly #waker: Waker
  readonly #workspace: Workspace = { scratch: new Scratch(), events: new Events() }
  #fillings = [newFilling(), newFilling()]
  #open: Open | undefined
  #limits: LaneLimits
  #session: Session | undefined
  #decisions: Pending[] = []
  #frozen = new Set<string>()
  #turn = 0
  #lookedAtMs = 0
  #renewAtMs = 0
  #begunAtMs = 0

  constructor(store: PositionsStore, follower: Follower, lock: HostLock, waker: Waker, options: PublisherOptions) {
    this.#store = store
    this.#follower = follower
    this.#lock = lock
    this.#waker = waker
    this.#options = options
    this.#limits = {
      laneBytes: Math.max(options.batchBytes - LANE_SPARE_BYTES, LANE_BYTES_MIN),
      maxEventBytes: options.maxEventBytes,
      deadAboveBytes: Infinity,
    }
  }

  /** The former lives are fenced and the positions read: what is decided now is decided for ever. */
  get inTouch(): boolean {
    return this.#session !== undefined
  }

  /** The entries of the last transaction, with the topic that carries them. */
  entries(): { topic: string; entry: Entry }[] {
    return this.#session?.entriesByTopic ?? []
  }

  canUse(topic: string): boolean {
    return this.#session?.topics.includes(topic) ?? false
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
    for (let backoffMs = BACKOFF_MS_MIN; !signal.aborted; backoffMs = Math.min(backoffMs * 2, BACKOFF_MS_MAX)) {
      try {
        await this.#begin()
        backoffMs = BACKOFF_MS_MIN
        await this.#pump(signal)
      } catch (error) {
        this.#explain(error)
        await this.#waker.pause(backoffMs, signal)
      } finally {
        await this.#end()
      }
    }
  }

  async #begin(): Promise<void> {
    const { agent, topics, transactionTimeoutMs, report } = this.#options
    const session = await Session.open(this.#store, { agent, topics, transactionTimeoutMs, report })
    const skipped = await this.#takeUp(session).catch(async (error: unknown) => {
      await session.close() // nobody else knows it yet, and its connection would keep the process alive
      throw error
    })
    this.#session = session
    session.renew(session.topics)
    await this.#skip(session, skipped)
    await session.transact([])
    for (const topic of session.topics) this.#lock.setMark(topic, 'started', Date.now())
    this.#renewAtMs = Date.now() + RENEW_EVERY_MS
    this.#begunAtMs = performance.now()
    this.counts.sessions++
    report('kafka', '')
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
    this.#frozen.clear()
    this.#open = undefined
    this.#fillings = [newFilling(), newFilling()] // a dying socket may still read from the memory of the old ones
    await session?.close()
  }

  /** Of the topics without any position, those whose files are not to be read from their start. */
  #topicsToSkip(session: Session): Set<string> {
    const skipped = new Set<string>()
    for (const topic of session.blank) {
      const nowMs = Date.now()
      const isNew = withoutPositions(this.#lock.mark(topic), nowMs) === 'new'
      const from = isNew ? this.#options.from.new : this.#options.from.forgotten
      if (from === undefined) throw forgotten(this.#options.agent, topic)
      if (from === 'end') skipped.add(topic)
      this.#lock.setMark(topic, 'starting', nowMs)
    }
    return skipped
  }

  /** Passes all events that are there now, without publishing them. */
  async #skip(session: Session, topics: ReadonlySet<string>): Promise<void> {
    if (topics.size === 0) return
    for (const followed of this.#follower.sources.values()) {
      const { source, log } = followed
      const place = this.#placeOf(followed, session)
      if (!place || !topics.has(this.#options.topicOf(log.route) ?? '')) continue
      for (;;) {
        const reading = await source.read(this.#workspace, Infinity, Infinity, false)
        if (reading.kind !== 'piece') break
        source.accept(reading, reading.events.count)
      }
      const entry = this.#entryAfter({ followed, place, finished: false })
      place.ledger.put({ ...entry, start: entry.position })
      this.#follower.acknowledge({ ...entry, start: entry.position })
    }
  }

  async #pump(signal: AbortSignal): Promise<void> {
    let inFlight: Promise<void> | undefined
    try {
      while (!signal.aborted && !this.#topicsAreDue(inFlight)) {
        const filling = this.#fillings[0]!
        await filling.sent
        await this.#lookWhenDue(filling)
        await this.#fill(filling)
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
      if (this.#open || !isEmpty(this.#fillings[0]!)) await this.#send() // what was begun before the signal is finished
    } finally {
      await Promise.allSettled(this.#fillings.map(({ sent }) => sent))
    }
  }

  /** A topic that could not be used may be there by now: only a new session tells. */
  #topicsAreDue(inFlight: Promise<void> | undefined): boolean {
    if (this.#session!.topics.length === this.#options.topics.length) return false
    const isBusy = inFlight || this.#open || !isEmpty(this.#fillings[0]!)
    return !isBusy && performance.now() - this.#begunAtMs > TOPICS_EVERY_MS
  }

  /** With nothing to send, the first change of a file wakes us; after that one more look, at the end of the linger, will do. */
  async #wait(filling: Filling, waitMs: number, signal: AbortSignal): Promise<void> {
    if (isEmpty(filling)) await this.#waker.wait(waitMs)
    else await this.#waker.pause(waitMs, signal)
    this.#lookedAtMs = 0
  }

  /** How long a batch may still wait for more events; an empty one waits for the next look. */
  #waitBeforeSending(filling: Filling): number {
    if (filling.batch.full || this.#open) return 0
    if (isEmpty(filling)) return this.#renewIsDue() ? 0 : this.#options.pollMs
    return filling.sinceMs + this.#options.lingerMs - performance.now()
  }

  #renewIsDue(): boolean {
    return Date.now() >= this.#renewAtMs
  }

  /** Has the first filling compressed, and sent behind what is in flight; the other one can be filled when that was sent. */
  #send(inFlight?: Promise<void>): Promise<void> {
    const filling = this.#fillings[0]!
    const entries = Array.from(filling.updates.values(), (update) => [update.place, this.#entryAfter(update)] as const)
    const ready = Promise.all([filling.batch.seal(this.#options.compression), inFlight])
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
    const { batch } = filling
    const open = (this.#open ??= newOpen())
    for (const [{ ledger }, entry] of entries) {
      ledger.put(entry)
      open.entries.push(entry)
    }
    for (const decision of filling.decisions) {
      const entry = session.note(decision)
      if (entry) open.entries.push(entry)
    }
    open.decisions.push(...filling.decisions)
    open.events += batch.records
    open.bytes += batch.bytes
    open.dead += batch.dead
    if (isLast || open.decisions.length > 0 || isLarge(open)) await this.#commit(session, open, sealed)
    else await session.producer.send(sealed)
    clear(filling)
  }

  async #commit(session: Session, open: Open, sealed: readonly PartitionBatch[]): Promise<void> {
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
      this.#frozen.delete(source)
      settle(true)
    }
    this.counts.transactions++
    this.counts.events += open.events
    this.counts.bytes += open.bytes
    this.counts.dead += open.dead
    if (session.producer.worn) throw new KafkaError('expired', 'WORN', 'the producer has sent 2^30 records')
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

  #placeOf({ source, log }: Followed, session = this.#session!): Place | undefined {
    const topic = this.#options.topicOf(log.route)
    return topic === undefined ? undefined : session.place(topic, source.id)
  }

  async #lookWhenDue({ batch }: Filling): Promise<void> {
    if (batch.full || Date.now() - this.#lookedAtMs < LOOK_EVERY_MS) return
    await this.#follower.glance(this.#options.pollMs)
    this.#lookedAtMs = Date.now()
  }

  /** Reads what there is, rotation by rotation, each time beginning with another one, until the batch is full. */
  async #fill(filling: Filling): Promise<void> {
    if (filling.batch.full) return
    if (isEmpty(filling)) filling.sinceMs = performance.now()
    for (const decision of this.#decisions.splice(0)) {
      filling.decisions.push(decision)
      this.#frozen.add(decision.source)
    }
    // The sizes are taken before anything is read: what is in a newer file by now was written after all that an older one held.
    const nowMs = Date.now()
    const rotations = this.#follower
      .rotations()
      .filter((rotation) => rotation.some((followed) => this.#follower.isDue(followed, nowMs)))
      .map((rotation) => rotation.map((followed) => ({ followed, limit: limitOf(followed) })))
    this.#turn++
    for (let i = 0; i < rotations.length; i++) {
      for (const { followed, limit } of rotations[(i + this.#turn) % rotations.length]!) {
        if (!(await this.#drain(filling, followed, limit))) break
      }
    }
  }

  /** Reads one source; false: those after it must wait, because it has more. */
  async #drain(filling: Filling, followed: Followed, limit: number): Promise<boolean> {
    const { source, file, log } = followed
    if (this.#frozen.has(source.id) || source.file !== file) return false
    const place = this.#placeOf(followed)
    if (!place || this.#options.leaves(followed)) return true
    if (source.finished && !source.hasMore) return true
    const final = this.#follower.isFinishable(followed, Date.now())
    const lane = filling.batch.lane(place.topic, place.partition, this.#limits)
    for (;;) {
      if (!lane || lane.full) return false
      const room = Math.min(lane.room, log.rate?.room(Date.now()) ?? Infinity)
      if (room === 0) return false
      const reading = await this.#read(followed, final ? Infinity : limit, room, final)
      if (reading.kind === 'lost') {
        this.#follower.lose(followed)
        this.#lookedAtMs = 0
        return false
      }
      if (reading.kind === 'drained') {
        source.finished = final && reading.atEnd
        if (source.finished && place.ledger.get(source.id)?.size !== source.progress.position) {
          filling.updates.set(source.id, { followed, place, finished: true })
        }
        return file.newest || !reading.waits
      }
      const taken = lane.append(source.id, reading, filling.batch.keys, Date.now())
      const before = source.progress.position
      source.accept(reading, taken)
      log.rate?.take(source.progress.position - before)
      if (taken > 0) filling.updates.set(source.id, { followed, place, finished: false })
    }
  }

  /** A file that cannot be read does not stop the others. */
  async #read({ source, file }: Followed, limit: number, room: number, final: boolean) {
    try {
      return await source.read(this.#workspace, limit, room, final)
    } catch (error) {
      this.#options.report(source.id, `${file.seen.path} cannot be read on behind ${source.next}: ${messageOf(error)}`)
      return { kind: 'drained', atEnd: false, waits: false } as const
    }
  }

  /** Decides what an error means. Throws when no further try may help. */
  #explain(error: unknown): void {
    if (error instanceof UserError) throw error
    if (!(error instanceof KafkaError)) throw error
    if (error.kind === 'fenced') {
      throw new UserError(
        `another agent has taken over the transactional id ${positionsGroup(this.#options.agent)}`,
        'give each agent an id of its own: agent.id',
      )
    }
    if (error.kind === 'too-large') this.#shrink()
    else if (error.code !== 'WORN')
      this.#options.report('kafka', `not in touch with Kafka, trying again: ${error.message}`)
  }

  /** The broker takes no batch of this size: smaller ones from now on, and no event larger than the smallest. */
  #shrink(): void {
    const { laneBytes } = this.#limits
    if (laneBytes > LANE_BYTES_MIN)
      this.#limits = { ...this.#limits, laneBytes: Math.max(laneBytes / 2, LANE_BYTES_MIN) }
    else {
      const largest = Math.min(this.#limits.deadAboveBytes, this.#options.maxEventBytes)
      this.#limits = { ...this.#limits, deadAboveBytes: Math.max(largest / 2, LANE_BYTES_MIN) }
    }
  }
}

function newFilling(): Filling {
  return { batch: new Batch(), updates: new Map(), decisions: [], sinceMs: 0, sent: Promise.resolve() }
}

function newOpen(): Open {
  return { sinceMs: performance.now(), entries: [], decisions: [], events: 0, bytes: 0, dead: 0 }
}

function isLarge({ bytes, sinceMs }: Open): boolean {
  return bytes >= TRANSACTION_BYTES_MAX || performance.now() - sinceMs >= TRANSACTION_MS_MAX
}

function clear({ batch, updates, decisions }: Filling): void {
  batch.clear()
  updates.clear()
  decisions.length = 0
}

function isEmpty({ updates, decisions }: Filling): boolean {
  return updates.size === 0 && decisions.length === 0
}

/** The newest file is read up to the size of the last look, any other to its end. */
function limitOf({ file }: Followed): number {
  return file.newest && file.encoding === 'plain' ? file.seen.size : Infinity
}

function forgotten(agent: string, topic: string): UserError {
  return new UserError(
    `agent ${agent} has published to topic ${topic} before, and Kafka has forgotten its positions`,
    'start it with --from end (events in between travel by no carrier) or with --from start (everything that is still there is published again)',
  )
}
