import { setTimeout as delay } from 'node:timers/promises'
import type { TopicPartition } from '../../shared/kafka/index.ts'
import { type Appender, highestOffset } from '../../shared/warehouse/index.ts'
import type { Call, Event } from '../../shared/warehouse/protocol/events.ts'
import type { RouteSink, TaskContext } from './partition-task.ts'
import type { BuiltPiece, RefusedRows } from './piece-builder.ts'

/** Longest wait between two streams, when none takes a row. */
const CREATE_MS_MAX = 30_000
/** A "not now" of the service: once a second, as new columns spread. */
const WAIT_MS = 1000

/** What one partition's owner wants of BigQuery and Kafka: each call gives the event that came of it, or throws: then it may be tried again. */
export class Calls {
  readonly #context: TaskContext
  readonly #sink: RouteSink
  readonly #at: TopicPartition
  readonly #pieces: ReadonlyMap<number, BuiltPiece>
  readonly #refused: RefusedRows
  readonly #tell: (trouble: string, message: string) => void
  #appender: Appender | undefined

  constructor(
    context: TaskContext,
    sink: RouteSink,
    at: TopicPartition,
    { pieces, refused }: { pieces: ReadonlyMap<number, BuiltPiece>; refused: RefusedRows },
    tell: (trouble: string, message: string) => void,
  ) {
    this.#context = context
    this.#sink = sink
    this.#at = at
    this.#pieces = pieces
    this.#refused = refused
    this.#tell = tell
  }

  async perform(call: Call): Promise<Event> {
    switch (call.kind) {
      case 'read':
        return this.#readAgain()
      case 'finalize':
        return this.#finalize(call.stream)
      case 'ask': {
        const range = { ...this.#at, from: call.from, below: call.below, since: call.since }
        return { kind: 'asked', highest: await highestOffset(this.#context.warehouse, call.stream, range) }
      }
      case 'create':
        return { kind: 'created', stream: await this.#create(call.failures) }
      case 'write letters':
        await this.#sink.letters.write(this.#pieces.get(call.id)?.letters ?? [], this.#context.membership.ended)
        return { kind: 'letters durable', id: call.id }
      case 'append':
        return this.#append(call)
      case 'wait':
        await delay(WAIT_MS)
        return { kind: 'retry' }
    }
  }

  /** What is under way is lost: it may land, or may not. */
  close(): void {
    this.#appender?.close()
    this.#appender = undefined
  }

  async #readAgain(): Promise<Event> {
    const { topic, partition } = this.#at
    const commits = await this.#context.membership.readCommits()
    const own = commits.find((commit) => commit.topic === topic && commit.partition === partition)
    return { kind: 'read', offset: own?.offset ?? -1, metadata: own?.metadata ?? '', start: 0, end: 0, now: Date.now() }
  }

  async #finalize(stream: string): Promise<Event> {
    this.close()
    const answer = await this.#context.warehouse.finalizeStream(stream)
    return answer.kind === 'gone' ? answer : { kind: 'counted', rows: answer.rows }
  }

  async #create(failures: number): Promise<string> {
    if (failures > 0) await delay(Math.min(2 ** failures * 100, CREATE_MS_MAX))
    try {
      return await this.#context.warehouse.createStream(this.#sink.route.table, 'COMMITTED')
    } catch (error) {
      await this.#sink.ensureTables()
      throw error
    }
  }

  async #append({ id, attempt, stream, offset }: Call & { kind: 'append' }): Promise<Event> {
    const { warehouse, consumer, metrics } = this.#context
    if (this.#appender?.stream !== stream) {
      this.close()
      const options = { answerWithinMs: consumer.answer_within }
      this.#appender = warehouse.openAppender(stream, this.#sink.codec.descriptor, options)
    }
    const piece = this.#pieces.get(id)
    const sentAt = performance.now()
    const answer = await this.#appender.append(piece?.rows.slice() ?? Buffer.alloc(0), offset)
    metrics.append(performance.now() - sentAt)
    if (answer.kind === 'refused') {
      for (const { index, message } of answer.rows) this.#refused.set(piece?.offsets[index] ?? -1, message)
      this.#tell('refused', `BigQuery refuses ${answer.rows.length} rows: ${answer.rows[0]?.message}`)
    } else if (answer.kind === 'later') this.#tell(answer.reason, `appends wait: ${answer.message}`)
    return { kind: 'answer', id, attempt, answer: answer.kind }
  }
}
