import { setTimeout as delay } from 'node:timers/promises'
import { type Appender, highestOffset } from '../../shared/warehouse/index.ts'
import type { Call, Event } from '../../shared/warehouse/protocol/events.ts'
import type { Intake } from './intake.ts'
import type { Place } from './place.ts'

/** Longest wait between two streams, when none takes a row. */
const CREATE_MS_MAX = 30_000
/** A "not now" of the service: once a second, as new columns spread. */
const WAIT_MS = 1000

/** What one partition's owner wants of BigQuery and Kafka: each call gives the event that came of it, or throws: then it may be tried again. */
export class Calls {
  readonly #place: Place
  readonly #intake: Intake
  #appender: Appender | undefined

  constructor(place: Place, intake: Intake) {
    this.#place = place
    this.#intake = intake
  }

  async perform(call: Call): Promise<Event> {
    switch (call.kind) {
      case 'read':
        return this.#readAgain()
      case 'finalize':
        return this.#finalize(call.stream)
      case 'ask':
        return { kind: 'asked', highest: await highestOffset(this.#place.warehouse, this.#place.at, call) }
      case 'create':
        return { kind: 'created', stream: await this.#create(call.failures) }
      case 'write letters':
        await this.#place.letters.write(this.#intake.pieces.get(call.id)?.letters ?? [], this.#place.membership.ended)
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
    const { topic, partition } = this.#place.at
    const commits = await this.#place.membership.readCommits()
    const own = commits.find((commit) => commit.topic === topic && commit.partition === partition)
    return { kind: 'read', offset: own?.offset ?? -1, metadata: own?.metadata ?? '', start: 0, end: 0, now: Date.now() }
  }

  async #finalize(stream: string): Promise<Event> {
    this.close()
    const answer = await this.#place.warehouse.finalizeStream(stream)
    return answer.kind === 'gone' ? answer : { kind: 'counted', rows: answer.rows }
  }

  async #create(failures: number): Promise<string> {
    if (failures > 0) await delay(Math.min(2 ** failures * 100, CREATE_MS_MAX))
    try {
      return await this.#place.warehouse.createStream(this.#place.route.table, 'COMMITTED')
    } catch (error) {
      await this.#place.ensureTables()
      throw error
    }
  }

  async #append({ id, attempt, stream, offset }: Call & { kind: 'append' }): Promise<Event> {
    const { warehouse, consumer, metrics, codec, tell } = this.#place
    if (this.#appender?.stream !== stream) {
      this.close()
      const options = { answerWithinMs: consumer.answer_within }
      this.#appender = warehouse.openAppender(stream, codec.descriptor, options)
    }
    const piece = this.#intake.pieces.get(id)
    const sentAt = performance.now()
    const appender = this.#appender
    const answer = await appender.append(piece?.rows.slice() ?? Buffer.alloc(0), offset)
    metrics.append(performance.now() - sentAt)
    if (answer.kind === 'refused') {
      for (const { index, message } of answer.rows) this.#intake.refused.set(piece?.offsets[index] ?? -1, message)
      tell('refused', `BigQuery refuses ${answer.rows.length} rows: ${answer.rows[0]?.message}`)
    } else if (answer.kind === 'later') tell(answer.reason, `appends wait: ${answer.message}`)
    // Not what we ended ourselves.
    else if ((answer.kind === 'lost' || answer.kind === 'denied') && appender === this.#appender)
      tell(answer.kind, `an append has no good answer: ${answer.message}`)
    return { kind: 'answer', id, attempt, answer: answer.kind }
  }
}
