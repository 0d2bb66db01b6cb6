import { setTimeout as delay } from 'node:timers/promises'
import { failingFurther, type RouteSink } from '../../shared/dead-letters/index.ts'
import { messageOf } from '../../shared/errors.ts'
import { type FetchedBatch, keyOf, type PartitionCommit, type TopicPartition } from '../../shared/kafka/index.ts'
import { isStreamOf } from '../../shared/warehouse/index.ts'
import { type Call, type Effect, type Event, RULES } from '../../shared/warehouse/protocol/events.ts'
import { Owner } from '../../shared/warehouse/protocol/owner.ts'
import { Calls } from './calls.ts'
import { Intake } from './intake.ts'
import type { BuiltPiece } from './piece-builder.ts'
import type { Place, TaskContext } from './place.ts'

const RETRY_MS_MAX = 30_000
/** Trouble of one kind is told once in so long; what goes on and on is counted by the metrics. */
const TELL_EVERY_MS = 60_000
/** One partition in one membership: its owner decides, its intake builds pieces, its calls reach BigQuery; this joins them. */
export class PartitionTask {
  readonly at: TopicPartition
  stopped: string | undefined
  readonly #place: Place
  readonly #owner: Owner
  readonly #intake: Intake
  readonly #calls: Calls
  readonly #left = Promise.withResolvers<void>()
  /** On the way to `stop_after`. */
  #failing = 0
  #over = false
  /** The end of the partition as last heard. */
  #endOffset = 0
  /** An offset that the topic does not hold, and why. */
  #gone = { offset: Infinity, why: '' }
  /** When each kind of trouble was last told. */
  readonly #told = new Map<string, number>()

  constructor(context: TaskContext, sink: RouteSink, at: TopicPartition) {
    this.at = at
    const log = context.log.child(at)
    this.#place = { ...context, ...sink, at, log, tell: (trouble, message) => this.#tell(trouble, message) }
    const unreadable = (error: unknown) => this.halt('unreadable', messageOf(error))
    this.#intake = new Intake(this.#place, (piece) => this.#take(piece), unreadable)
    this.#calls = new Calls(this.#place, this.#intake)
    this.#owner = new Owner({
      isOwnStream: (stream) => isStreamOf(stream, sink.route.table),
      from: sink.route.from,
      acceptLossAt: context.acceptLoss?.get(keyOf(at)),
    })
  }

  get durable(): number {
    return this.#owner.durable
  }

  /** Everything before `offset` is in the table, or nothing more will be done. */
  reached(offset: number): boolean {
    return this.stopped !== undefined || (this.#intake.placed && this.durable >= offset)
  }

  get lagEvents(): number {
    return Math.max(0, this.#endOffset - this.durable)
  }

  /** Age of the oldest record that is built and not durable, by its own timestamp. */
  get lagMs(): number {
    const { oldestMs } = this.#intake
    return oldestMs > 0 ? Math.max(0, Date.now() - oldestMs) : 0
  }

  get heldBytes(): number {
    return this.#intake.heldBytes
  }

  begin(commit: { offset: number; metadata: string }, topic: { start: number; end: number }): void {
    this.#endOffset = topic.end
    this.handle({ kind: 'read', ...commit, ...topic, now: Date.now() })
  }

  /** Called by the fetcher; returns at once. */
  enqueue(batch: FetchedBatch): void {
    this.#endOffset = Math.max(this.#endOffset, batch.endOffset)
    this.#intake.enqueue(batch)
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

  /** Finishes what is named and commits `clean`. */
  leave(lost = false): Promise<void> {
    this.#intake.close()
    this.handle({ kind: 'leave', lost })
    return this.#left.promise
  }

  /** Fetching has stopped by itself, or must: an alarm, and nothing of it is skipped. `lost`: nor by the next owner. */
  halt(reason: string, message: string, lost = false): void {
    this.stopped = reason
    this.#place.log.error({ reason, route: this.#place.route.name, durable: this.durable }, `stopped: ${message}`)
    void this.leave(lost)
  }

  /** The topic does not hold `offset`: stops when what was fetched before is durable, since nobody may get that again. */
  stopAt(offset: number, why: string): void {
    this.#gone = { offset, why }
    this.handle({ kind: 'checkpoint' })
  }

  /** The membership is over: nothing is sent any more. */
  dispose(): void {
    this.#over = true
    this.#calls.close()
    this.#intake.close()
    for (const id of this.#intake.pieces.keys()) this.#intake.release(id, false)
    this.#left.resolve()
  }

  #take({ id, end, rows: { rows }, letters, reasons }: BuiltPiece): void {
    this.#failing = failingFurther(this.#failing, letters.length, rows)
    if (this.#failing >= this.#place.route.stop_after)
      this.halt('dead-letters', `${this.#failing} dead letters, and hardly a row: ${reasons.at(-1)}`)
    else if (letters.length > 0)
      this.#tell('dead-letters', `${letters.length} events become dead letters: ${reasons[0]}`)
    this.handle({ kind: 'piece', id, end, rows, letters: letters.length > 0 })
  }

  // What the core decides.

  /** Tells the owner, and does what it says. */
  handle(event: Event): void {
    if (this.#over) return
    for (const effect of this.#owner.handle(event)) this.#apply(effect)
    if (!this.stopped && this.durable >= this.#gone.offset) this.halt('out-of-range', this.#gone.why, true)
    this.#place.progressed()
  }

  #apply(effect: Effect): void {
    switch (effect.kind) {
      case 'fetch':
        return this.#intake.seek(effect.from, this.#owner.since)
      case 'release':
        return this.#intake.release(effect.id, effect.durable)
      case 'commit':
        return // taken by turn()
      case 'rejoin':
        return this.#place.membership.lose()
      case 'stop':
        this.#calls.close()
        return this.halt(effect.reason, effect.message)
      case 'left':
        return this.#left.resolve()
      case 'note':
        this.#place.metrics.rule(effect.rule)
        if (RULES[effect.rule] === 'log') this.#tell(effect.rule, effect.message)
        return
      default:
        this.#call(effect).catch((error: unknown) => this.halt('internal', messageOf(error)))
    }
  }

  /** Tries until there is an answer; between tries it waits longer each time. */
  async #call(call: Call): Promise<void> {
    for (let attempt = 1; !this.#over; attempt++) {
      try {
        return this.handle(await this.#calls.perform(call))
      } catch (error) {
        if (this.#over) return
        if (attempt === 2)
          this.#place.log.warn({ error: messageOf(error) }, 'BigQuery or Kafka does not answer: trying again')
        await delay(Math.min(2 ** attempt * 50, RETRY_MS_MAX))
      }
    }
  }

  #tell(trouble: string, message: string): void {
    const now = performance.now()
    if (now - (this.#told.get(trouble) ?? -TELL_EVERY_MS) < TELL_EVERY_MS) return
    this.#told.set(trouble, now)
    this.#place.log.warn({ rule: trouble }, message)
  }
}
