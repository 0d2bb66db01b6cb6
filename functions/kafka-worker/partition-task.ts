import { setImmediate, setTimeout as delay } from 'node:timers/promises'
import type { RowCodec } from '../../shared/codec/index.ts'
import type { ConsumerConfig, Route } from '../../shared/config/index.ts'
import { messageOf } from '../../shared/errors.ts'
import type { FetchedBatch, Membership, PartitionCommit, TopicPartition } from '../../shared/kafka/index.ts'
import type { Log } from '../../shared/telemetry/index.ts'
import {
  type Appender,
  highestOffset,
  isStreamOf,
  type StreamName,
  type Warehouse,
} from '../../shared/warehouse/index.ts'
import type { Effect, Event, Rule } from '../../shared/warehouse/protocol/events.ts'
import { Owner } from '../../shared/warehouse/protocol/owner.ts'
import type { LetterWriter } from '../../shared/dead-letters/index.ts'
import type { Metrics } from './metrics.ts'
import { type BuiltPiece, PieceBuilder, type RefusedRows } from './piece-builder.ts'
import type { RowPool } from './row-pool.ts'

/** Where a route's rows and dead letters go. */
export interface RouteSink {
  readonly route: Route
  readonly codec: RowCodec
  readonly letters: LetterWriter
  /** Makes sure that the route's tables are there: they may have been deleted meanwhile. */
  ensureTables(): Promise<unknown>
}

/** What all partitions of a membership share. */
export interface TaskContext {
  readonly membership: Membership
  readonly consumer: ConsumerConfig
  readonly warehouse: Warehouse
  readonly metrics: Metrics
  readonly pool: RowPool
  readonly log: Log
  readonly acceptLossAt: (partition: TopicPartition) => number | undefined
  /** Something happened that may need a commit, or that somebody may be waiting for. */
  readonly progressed: () => void
  /** The membership must end, although nothing has failed. */
  readonly rejoin: () => void
}

const RETRY_MS_MAX = 30_000
/** A "not now" of the service: once a second, as new columns spread. */
const WAIT_MS = 1000
/** Trouble of one kind is told once in so long; what goes on and on is counted by the metrics. */
const TELL_EVERY_MS = 60_000
/** Rules that are worth a line: what operators will ask about. The others are in the metrics. */
const RULES_TO_LOG: ReadonlySet<Rule> = new Set([
  'first-start',
  'offsets-reset',
  'loss-accepted',
  'table-changed',
  'expired-asked',
  'moved-on',
  'surprise',
])

/** The I/O around one partition's owner: does what the protocol's core says, and tells it what came of it. */
export class PartitionTask {
  readonly at: TopicPartition
  readonly #context: TaskContext
  readonly #sink: RouteSink
  readonly #owner: Owner
  readonly #builder: PieceBuilder
  readonly #refused: RefusedRows = new Map()
  readonly #pieces = new Map<number, BuiltPiece>()
  readonly #log: Log
  readonly #left = Promise.withResolvers<void>()
  #appender: Appender | undefined
  readonly #queue: { batch: FetchedBatch; bytes: number }[] = []
  #queuedBytes = 0
  #paused = true
  #pumping = false
  /** The offset that is built next; undefined: the take-over is not done. */
  #next: number | undefined
  /** Grows when the partition is rewound: what was fetched before means nothing then. */
  #epoch = 0
  #flushTimer: NodeJS.Timeout | undefined
  #lettersInARow = 0
  #over = false
  /** The end of the partition as last heard. */
  #endOffset = 0
  /** When each kind of trouble was last told. */
  readonly #told = new Map<string, number>()
  stopped: string | undefined

  constructor(context: TaskContext, sink: RouteSink, at: TopicPartition) {
    this.#context = context
    this.#sink = sink
    this.at = at
    this.#log = context.log.child({ topic: at.topic, partition: at.partition })
    const { route, codec } = sink
    this.#builder = new PieceBuilder(route, codec, at.partition, this.#flushBytes, this.#refused, context.pool.take)
    this.#owner = new Owner({
      isOwnStream: (stream) => isStreamOf(stream, route.table),
      from: route.from,
      acceptLossAt: context.acceptLossAt(at),
    })
    // Nothing is fetched before the take-over says from where.
    context.membership.seek(at, 0)
    context.membership.pause([at])
  }

  get durable(): number {
    return this.#owner.durable
  }

  /** Everything before `offset` is in the table, or nothing more will be done. */
  reached(offset: number): boolean {
    return this.stopped !== undefined || (this.#next !== undefined && this.#owner.durable >= offset)
  }

  get lagEvents(): number {
    return this.#next === undefined ? 0 : Math.max(0, this.#endOffset - this.#owner.durable)
  }

  /** Age of the oldest record that is built and not durable, by its own timestamp. */
  get lagMs(): number {
    const [oldest] = this.#pieces.values()
    const timestampMs = oldest?.oldestMs ?? this.#builder.oldestMs
    return timestampMs > 0 ? Math.max(0, Date.now() - timestampMs) : 0
  }

  get heldBytes(): number {
    let bytes = this.#queuedBytes
    for (const { rows } of this.#pieces.values()) bytes += rows.length
    return bytes
  }

  begin(commit: { offset: number; metadata: string }, topic: { start: number; end: number }): void {
    this.#endOffset = topic.end
    this.#handle({ kind: 'read', ...commit, ...topic, now: Date.now() })
  }

  /** Instead of `begin`: nothing is done until the operator starts it again. */
  refuse(message: string): void {
    this.halt('topic-replaced', message)
    this.#left.resolve()
  }

  /** What this partition adds to the next commit of its membership. */
  turn(): PartitionCommit | undefined {
    let commit: PartitionCommit | undefined
    for (const effect of this.#owner.handle({ kind: 'turn' })) {
      if (effect.kind === 'commit') commit = { ...this.at, offset: effect.offset, metadata: effect.metadata }
      else this.#apply(effect)
    }
    return commit
  }

  committed(): void {
    this.#handle({ kind: 'committed' })
  }

  checkpoint(): void {
    this.#handle({ kind: 'checkpoint' })
  }

  /** Finishes what is named and commits `clean`. */
  leave(lost = false): Promise<void> {
    this.#discardUnbuilt()
    this.#handle({ kind: 'leave', lost })
    return this.#left.promise
  }

  /** Fetching has stopped by itself, or must: an alarm, and nothing of it is skipped. `lost`: nor by the next owner. */
  halt(reason: string, message: string, lost = false): void {
    this.stopped = reason
    this.#log.error({ reason, route: this.#sink.route.name, durable: this.durable }, `stopped: ${message}`)
    this.#context.membership.pause([this.at])
    void this.leave(lost)
  }

  /** The membership is over: nothing is sent any more. */
  dispose(): void {
    if (this.#over) return
    this.#over = true
    this.#appender?.close()
    this.#discardUnbuilt()
    for (const { rows } of this.#pieces.values()) this.#context.pool.give(rows)
    this.#pieces.clear()
    this.#left.resolve()
  }

  // Records in.

  /** Called by the fetcher; returns at once. */
  enqueue(batch: FetchedBatch): void {
    this.#endOffset = Math.max(this.#endOffset, batch.endOffset)
    if (this.#over || this.stopped || this.#next === undefined || batch.lastOffset < this.#next) return batch.release()
    this.#queue.push({ batch, bytes: batch.bytes })
    this.#queuedBytes += batch.bytes
    this.#regulate()
    void this.#pump()
  }

  /** The partition's share of `queue_bytes`: of what is fetched, and of what is built. */
  get #shareBytes(): number {
    const { membership, consumer } = this.#context
    return consumer.queue_bytes / membership.partitions.length
  }

  /** So that a piece of each partition has room: appends are smaller where there are many. */
  get #flushBytes(): number {
    return Math.min(this.#context.consumer.flush_bytes, this.#shareBytes)
  }

  /** Pauses fetching above half of the partition's share, and goes on below a quarter. */
  #regulate(): void {
    const { membership } = this.#context
    const share = this.#shareBytes / 2
    if (!this.#paused && this.#queuedBytes > share) {
      this.#paused = true
      membership.pause([this.at])
    } else if (this.#paused && !this.stopped && this.#next !== undefined && this.#queuedBytes <= share / 2) {
      this.#paused = false
      membership.resume([this.at])
    }
  }

  /** Bounds what is built and not durable: by number for one partition, by memory for all; one piece is always allowed. */
  get #mayBuild(): boolean {
    if (this.#over || this.stopped || this.#next === undefined) return false
    const { consumer, pool } = this.#context
    const pieces = this.#pieces.size
    return pieces === 0 || (pieces <= consumer.in_flight && pool.inUse * this.#flushBytes < consumer.queue_bytes)
  }

  async #pump(): Promise<void> {
    if (this.#pumping) return
    this.#pumping = true
    try {
      while (this.#mayBuild && this.#queue.length > 0) {
        await this.#build()
        await setImmediate()
      }
    } catch (error) {
      this.halt('unreadable', messageOf(error))
    } finally {
      this.#pumping = false
    }
    this.#flushLater()
  }

  async #build(): Promise<void> {
    const [first] = this.#queue
    if (!first) return
    const epoch = this.#epoch
    await first.batch.ready()
    if (epoch !== this.#epoch || this.#over || this.#next === undefined) return
    const { batch, bytes } = first
    if (this.#next <= batch.lastOffset) {
      this.#next = this.#builder.take(batch, this.#next, Math.max(Date.now(), this.#owner.since))
    }
    if (this.#next > batch.lastOffset) {
      this.#queue.shift()
      this.#queuedBytes -= bytes
      batch.release()
      this.#regulate()
    }
    if (this.#builder.full || this.#age >= this.#context.consumer.flush_after) this.#seal()
  }

  get #age(): number {
    return Date.now() - this.#builder.startedAtMs
  }

  #flushLater(): void {
    if (!this.#builder.started || this.#flushTimer || this.#over) return
    const flush = () => {
      this.#flushTimer = undefined
      if (!this.#mayBuild || !this.#builder.started) return
      if (this.#age >= this.#context.consumer.flush_after) this.#seal()
      void this.#pump()
    }
    this.#flushTimer = setTimeout(flush, Math.max(1, this.#context.consumer.flush_after - this.#age))
  }

  #seal(): void {
    const piece = this.#builder.seal()
    this.#pieces.set(piece.id, piece)
    this.#lettersInARow = piece.rows.rows > 0 ? piece.letters.length : this.#lettersInARow + piece.letters.length
    const { stop_after: limit } = this.#sink.route
    if (piece.rows.rows === 0 && this.#lettersInARow >= limit) {
      this.halt('dead-letters', `${this.#lettersInARow} events in a row had no row: ${piece.reasons.at(-1)}`)
    }
    const { id, end, rows, letters } = piece
    if (letters.length > 0)
      this.#tell('dead-letters', `${letters.length} events become dead letters: ${piece.reasons[0]}`)
    this.#handle({ kind: 'piece', id, end, rows: rows.rows, letters: letters.length > 0 })
  }

  #discardUnbuilt(): void {
    this.#epoch++
    for (const { batch } of this.#queue.splice(0)) batch.release()
    this.#queuedBytes = 0
    clearTimeout(this.#flushTimer)
    this.#flushTimer = undefined
    const rows = this.#builder.discard()
    if (rows) this.#context.pool.give(rows)
  }

  // What the core decides.

  #handle(event: Event): void {
    if (this.#over) return
    for (const effect of this.#owner.handle(event)) this.#apply(effect)
    this.#context.progressed()
  }

  #apply(effect: Effect): void {
    switch (effect.kind) {
      case 'fetch':
        return this.#fetchFrom(effect.from)
      case 'finalize':
        return this.#do(() => this.#finalize(effect.stream))
      case 'ask':
        return this.#do(async () => {
          const range = { ...this.at, from: effect.from, below: effect.below, since: effect.since }
          return { kind: 'asked', highest: await highestOffset(this.#context.warehouse, effect.stream, range) }
        })
      case 'read':
        return this.#do(() => this.#readAgain())
      case 'create':
        return this.#do(async () => ({ kind: 'created', stream: await this.#create(effect.failures) }))
      case 'write letters':
        return this.#do(() => this.#writeLetters(effect.id))
      case 'append':
        return this.#do(() => this.#append(effect))
      case 'wait':
        return this.#do(async () => {
          await delay(WAIT_MS)
          return { kind: 'retry' }
        })
      case 'release':
        return this.#release(effect.id, effect.durable)
      case 'rejoin':
        return this.#context.rejoin()
      case 'stop':
        this.#appender?.close()
        return this.halt(effect.reason, effect.message)
      case 'left':
        return this.#left.resolve()
      case 'note':
        return this.#note(effect.rule, effect.message)
      case 'commit':
        return // taken by turn()
    }
  }

  #fetchFrom(offset: number): void {
    this.#discardUnbuilt()
    this.#next = offset
    this.#context.membership.seek(this.at, offset)
    this.#regulate()
  }

  /** Tries until there is an answer; between tries it waits longer each time. */
  #do(call: () => Promise<Event>): void {
    const run = async () => {
      for (let attempt = 1; !this.#over; attempt++) {
        try {
          return this.#handle(await call())
        } catch (error) {
          if (this.#over) return
          if (attempt === 2)
            this.#log.warn({ error: messageOf(error) }, 'BigQuery or Kafka does not answer: trying again')
          await delay(Math.min(2 ** attempt * 50, RETRY_MS_MAX))
        }
      }
    }
    run().catch((error: unknown) => this.halt('internal', messageOf(error)))
  }

  async #finalize(stream: StreamName): Promise<Event> {
    this.#appender?.close()
    this.#appender = undefined
    const answer = await this.#context.warehouse.finalizeStream(stream)
    return answer.kind === 'gone' ? { kind: 'gone' } : { kind: 'counted', rows: answer.rows }
  }

  async #readAgain(): Promise<Event> {
    const commits = await this.#context.membership.readCommits()
    const { topic, partition } = this.at
    const own = commits.find((commit) => commit.topic === topic && commit.partition === partition)
    return { kind: 'read', offset: own?.offset ?? -1, metadata: own?.metadata ?? '', start: 0, end: 0, now: Date.now() }
  }

  async #create(failures: number): Promise<StreamName> {
    if (failures > 0) await delay(Math.min(2 ** failures * 100, RETRY_MS_MAX))
    try {
      return await this.#context.warehouse.createStream(this.#sink.route.table, 'COMMITTED')
    } catch (error) {
      await this.#sink.ensureTables()
      throw error
    }
  }

  async #writeLetters(id: number): Promise<Event> {
    const letters = this.#pieces.get(id)?.letters ?? []
    await this.#sink.letters.write(letters, this.#context.membership.ended)
    return { kind: 'letters durable', id }
  }

  async #append({ id, attempt, stream, offset }: Effect & { kind: 'append' }): Promise<Event> {
    const piece = this.#pieces.get(id)
    if (this.#appender?.stream !== stream) {
      this.#appender?.close()
      this.#appender = this.#context.warehouse.openAppender(stream, this.#sink.codec.descriptor, {
        answerWithinMs: this.#context.consumer.answer_within,
      })
    }
    const sentAt = performance.now()
    const answer = await this.#appender.append(piece?.rows.slice() ?? Buffer.alloc(0), offset)
    this.#context.metrics.append(performance.now() - sentAt)
    if (answer.kind === 'refused') {
      for (const { index, message } of answer.rows) this.#refused.set(piece?.offsets[index] ?? -1, message)
      this.#tell('refused', `BigQuery refuses ${answer.rows.length} rows: ${answer.rows[0]?.message}`)
    } else if (answer.kind === 'later') this.#tell(answer.reason, `appends wait: ${answer.message}`)
    return { kind: 'answer', id, attempt, answer: answer.kind }
  }

  #release(id: number, durable: boolean): void {
    const piece = this.#pieces.get(id)
    if (!piece) return
    this.#pieces.delete(id)
    const { rows, reasons, passed } = piece
    if (durable) {
      this.#context.metrics.settled(rows.rows + reasons.length + passed, rows.rows, rows.length, reasons)
      for (const offset of this.#refused.keys()) if (offset < piece.end) this.#refused.delete(offset)
    }
    this.#context.pool.give(rows)
    void this.#pump()
  }

  #note(rule: Rule, message: string): void {
    this.#context.metrics.rule(rule)
    if (RULES_TO_LOG.has(rule)) this.#tell(rule, message)
  }

  #tell(rule: string, message: string): void {
    const now = performance.now()
    if (now - (this.#told.get(rule) ?? -TELL_EVERY_MS) < TELL_EVERY_MS) return
    this.#told.set(rule, now)
    this.#log.warn({ rule }, message)
  }
}
