import { setTimeout as delay } from 'node:timers/promises'
import {
  BatchBuilder,
  type KafkaClient,
  openProducer,
  type Producer,
  readCommits,
} from '../../../shared/kafka/index.ts'
import { eventually } from '../../support/eventually.ts'

const EVENTS_A_BATCH = 200
const BATCH_BYTES = 64 * 1024
const PAUSE_MS = 15
/** One event in so many is no JSON, and becomes a dead letter. */
export const BROKEN_EVERY = 97
/** What an event is, as a schema file. */
export const EVENT_FIELDS = [
  { name: 'number', type: 'INT64', mode: 'REQUIRED' },
  { name: 'text', type: 'STRING' },
]
/** After the last event: so long may it take until the outcome of the last transaction is known. */
const RECOVER_WITHIN_MS = 60_000

/** A source, and how many events of it are in the topic: those with the positions from 0 on. */
export interface PublishedSource {
  readonly source: string
  readonly events: number
}

/** Publishes numbered events, each once: the position goes with them in one transaction, as an agent does it. */
export class ChaosPublisher {
  /** What is in the topic for certain; known when `run` has ended. */
  published: readonly PublishedSource[] = []
  readonly #client: KafkaClient
  readonly #topic: string
  readonly #partitions: number
  readonly #group: string
  #producer: Producer | undefined
  #sent: number[] = []

  constructor(client: KafkaClient, topic: string, partitions: number) {
    this.#client = client
    this.#topic = topic
    this.#partitions = partitions
    this.#group = `${topic}-publisher`
  }

  /** Publishes until the signal; rejects when the outcome of the last transaction stays unknown. */
  async run(signal: AbortSignal): Promise<void> {
    for (let turn = 0; !signal.aborted; turn++) {
      try {
        await this.#publish(turn % this.#partitions)
      } catch {
        await this.#producer?.close().catch(() => undefined)
        this.#producer = undefined
        await delay(200)
      }
      await delay(PAUSE_MS)
    }
    // The outcome of the last transaction may be unknown.
    await eventually(() => this.#recover(), {
      timeoutMs: RECOVER_WITHIN_MS,
      what: 'the outcome of the last transaction',
    })
    await this.#producer?.close().catch(() => undefined)
    this.published = this.#sent.map((events, partition) => ({ source: sourceOf(partition), events }))
  }

  async #publish(partition: number): Promise<void> {
    const producer = this.#producer ?? (await this.#recover())
    const first = this.#sent[partition] ?? 0
    const builder = new BatchBuilder(BATCH_BYTES)
    for (let number = first; number < first + EVENTS_A_BATCH; number++) this.#append(builder, partition, number)
    const batch = await builder.seal(partition % 2 === 0 ? 'zstd' : 'none')
    const topic = this.#topic
    const position = { group: this.#group, topic, partition, offset: first + EVENTS_A_BATCH, metadata: '' }
    await producer.transact([{ topic, partition, batch }], [position])
    this.#sent[partition] = first + EVENTS_A_BATCH
  }

  #append(builder: BatchBuilder, partition: number, number: number): void {
    const broken = number % BROKEN_EVERY === 0
    const value = Buffer.from(broken ? `broken ${number}` : JSON.stringify({ number, text: 'x'.repeat(number % 200) }))
    builder.append(Buffer.from(`${sourceOf(partition)}@${number}+1`), value, 0, value.length, Date.now())
  }

  /** A new life of the producer, and only then the positions. */
  async #recover(): Promise<Producer> {
    const producer = await openProducer(this.#client, { transactionalId: this.#group, timeoutMs: 20_000 })
    const partitions = Array.from({ length: this.#partitions }, (_, partition) => ({ topic: this.#topic, partition }))
    const commits = await readCommits(this.#client, this.#group, partitions)
    for (const { partition, offset } of commits) this.#sent[partition] = Math.max(0, offset)
    this.#producer = producer
    return producer
  }
}

function sourceOf(partition: number): string {
  return `chaos${'abcdefg'[partition]}`.padEnd(26, 'z')
}
