import { crc32 } from 'node:zlib'
import type { AgentConfig } from '../../shared/config/index.ts'
import { messageOf, orUserError } from '../../shared/errors.ts'
import type {
  Commit,
  Committed,
  KafkaClient,
  PartitionBatch,
  Producer,
  TopicPartition,
} from '../../shared/kafka/index.ts'
import { KafkaError, openProducer, readCommits, topicOffsets } from '../../shared/kafka/index.ts'
import { PartitionLedger } from './ledger.ts'
import { decodeEntries, type Entry } from './positions.ts'

/** Kafka forgets what is not renewed for a week. */
const RENEW_EVERY_MS = 24 * 3_600_000

/** Whose session it is, and of which topics. */
export interface SessionOptions {
  readonly agent: Pick<AgentConfig, 'id' | 'transaction_timeout'>
  readonly topics: readonly string[]
  /** Of these, those that take nothing now: their positions are known, and not touched. */
  readonly refusing?: ReadonlySet<string>
  /** How many retired entries a partition keeps. */
  readonly retiredMax?: number | undefined
  /** Called for a topic that cannot be used now; the others go on. */
  readonly report: (about: string, message: string) => void
}

/** What a session asks of Kafka. */
export interface PositionsStore {
  openProducer(transactionalId: string, timeoutMs: number): Promise<Pick<Producer, 'send' | 'transact' | 'close'>>
  partitionsOf(topic: string): Promise<readonly TopicPartition[]>
  readCommits(group: string, partitions: readonly TopicPartition[]): Promise<readonly Committed[]>
}

/** The store that a broker is. */
export function positionsStore(client: KafkaClient): PositionsStore {
  return {
    openProducer: (transactionalId, timeoutMs) => openProducer(client, { transactionalId, timeoutMs }),
    partitionsOf: (topic) => topicOffsets(client, [topic]),
    readCommits: (group, partitions) => readCommits(client, group, partitions),
  }
}

/** The transactional id of an agent, and the group of its positions; further groups have `.1`, `.2` behind it. */
export function positionsGroup(agent: string, number = 0): string {
  return `millrace.agent.${agent}${number > 0 ? `.${number}` : ''}`
}

/** A change of one entry that comes with no events: a hand-over, a retirement. Undefined: there is nothing to change. */
export interface Decision {
  readonly source: string
  readonly topic: string
  change(entry: Entry | undefined): Entry | undefined
}

/** Where a source's events and position belong. */
export interface Place {
  readonly topic: string
  readonly partition: number
  readonly ledger: PartitionLedger
}

/** One producer's life: it has fenced the former one, and read the positions after that. */
export class Session {
  readonly producer: Pick<Producer, 'send' | 'transact' | 'close'>
  readonly #agent: string
  readonly #ledgers: ReadonlyMap<string, readonly PartitionLedger[]>
  readonly #refusing: ReadonlySet<string>
  #renewedAtMs = 0
  /** Topics of which Kafka knows no position at all: new, or forgotten. */
  readonly blank: ReadonlySet<string>
  /** Topics of which Kafka has forgotten some positions, and knows others. */
  readonly torn: ReadonlySet<string>
  /** For `await using`. */
  readonly [Symbol.asyncDispose] = () => this.close()

  private constructor(producer: Session['producer'], options: SessionOptions, ledgers: Map<string, PartitionLedger[]>) {
    this.producer = producer
    this.#agent = options.agent.id
    this.#ledgers = ledgers
    this.#refusing = new Set(options.refusing)
    this.blank = new Set(this.topics.filter((topic) => ledgers.get(topic)!.every(({ isBlank }) => isBlank)))
    this.torn = new Set(this.topics.filter((topic) => ledgers.get(topic)!.some(({ isTorn }) => isTorn)))
  }

  /** Fences, then reads: never the other way round. Rejects with KafkaError. */
  static async open(store: PositionsStore, options: SessionOptions): Promise<Session> {
    const { id, transaction_timeout: timeoutMs } = options.agent
    const producer = await store.openProducer(positionsGroup(id), timeoutMs)
    try {
      const ledgers = new Map<string, PartitionLedger[]>()
      for (const topic of options.topics) {
        const partitions = await partitionsOf(store, topic, options.report)
        if (!partitions) continue
        const found = await readLedgers(store, id, partitions)
        for (const ledger of found) ledger.retiredMax = options.retiredMax ?? ledger.retiredMax
        ledgers.set(topic, found)
      }
      return new Session(producer, options, ledgers)
    } catch (error) {
      await producer.close()
      throw error
    }
  }

  /** Those that can be used now. */
  get topics(): string[] {
    return [...this.#ledgers.keys()].filter((topic) => !this.#refusing.has(topic))
  }

  /** Of the topics that can be used now. */
  get entriesByTopic(): { topic: string; entry: Entry }[] {
    return this.topics.flatMap((topic) =>
      this.#ledgers.get(topic)!.flatMap((ledger) => ledger.entries.map((entry) => ({ topic, entry }))),
    )
  }

  /** All that is known. */
  get entries(): Entry[] {
    return [...this.#ledgers.values()].flat().flatMap((ledger) => ledger.entries)
  }

  entry(source: string): Entry | undefined {
    return this.entries.find((entry) => entry.source === source)
  }

  /** The partition that has carried the source before, else one by its name. Undefined: the topic cannot be used now. */
  place(topic: string, source: string): Place | undefined {
    const ledgers = this.#ledgers.get(topic)
    if (!ledgers?.length || this.#refusing.has(topic)) return undefined
    const before = ledgers.findIndex((ledger) => ledger.get(source))
    const partition = before >= 0 ? before : crc32(source) % ledgers.length
    return { topic, partition, ledger: ledgers[partition]! }
  }

  /** When Kafka was last made to forget entries of this topic; 0: never. */
  forgottenMs(topic: string): number {
    return Math.max(0, ...(this.#ledgers.get(topic) ?? []).map((ledger) => ledger.forgottenMs))
  }

  /** All positions of this topic were forgotten, and are not replaced by what its files hold. */
  forget(topic: string): void {
    for (const ledger of this.#ledgers.get(topic) ?? []) ledger.forgottenMs = Date.now()
  }

  /** Makes a decision part of the next transaction. Undefined: there is nothing to change. */
  note({ source, topic, change }: Decision): Entry | undefined {
    const ledger = this.place(topic, source)?.ledger
    const entry = change(ledger?.get(source))
    if (entry?.retired) ledger?.retire(entry)
    else if (entry) ledger?.put(entry)
    return entry
  }

  /** Has all positions of the topics that can be used now written anew by the next transaction. */
  renew(): void {
    this.#renewedAtMs = Date.now()
    for (const topic of this.topics) for (const ledger of this.#ledgers.get(topic)!) ledger.renew()
  }

  get renewIsDue(): boolean {
    return Math.abs(Date.now() - this.#renewedAtMs) >= RENEW_EVERY_MS // a clock may be set back
  }

  /** One transaction: these records, and every position that changed in a ledger since the last one. */
  async transact(batches: readonly PartitionBatch[]): Promise<void> {
    const commits: Commit[] = []
    for (const [topic, ledgers] of this.#ledgers) {
      ledgers.forEach((ledger, partition) => {
        for (const { group, metadata } of ledger.takeChanged()) {
          // Each session begins with a commit on every partition: as an offset it says on how many.
          const at = { topic, partition, offset: ledgers.length }
          commits.push({ group: positionsGroup(this.#agent, group), ...at, metadata })
        }
      })
    }
    await this.producer.transact(batches, commits)
  }

  close(): Promise<void> {
    return this.producer.close()
  }
}

async function partitionsOf(store: PositionsStore, topic: string, report: SessionOptions['report']) {
  try {
    return await store.partitionsOf(topic)
  } catch (error) {
    if (!(error instanceof KafkaError) || (error.kind !== 'unknown-topic' && error.kind !== 'unauthorized')) throw error
    report(topic, `topic ${topic} cannot be used: ${messageOf(error)}`)
    return undefined
  }
}

/** An agent's ledgers of these partitions, in their order. Rejects with KafkaError; UserError when they cannot be read. */
export async function readLedgers(store: PositionsStore, agent: string, partitions: readonly TopicPartition[]) {
  const read = (group: number) => store.readCommits(positionsGroup(agent, group), partitions)
  const found = [await read(0)]
  const counts = found[0]!.map(({ metadata }, i) => decoding(agent, partitions[i]!, () => groupsIn(metadata)))
  const written = Math.max(...found[0]!.map(({ metadata, offset }, i) => (metadata ? Math.max(i + 1, offset) : 0)))
  while (found.length < Math.max(...counts)) found.push(await read(found.length))
  return counts.map((count, i) => {
    const metadata = found.slice(0, count).map((commits) => commits[i]!.metadata)
    return decoding(agent, partitions[i]!, () => new PartitionLedger(metadata, i < written))
  })
}

function groupsIn(text: string): number {
  return text ? decodeEntries(text).groups : 1
}

function decoding<T>(agent: string, { topic }: TopicPartition, decode: () => T): T {
  const where = `the positions of group ${positionsGroup(agent)} in topic ${topic} cannot be read`
  const fix =
    'use the version of Millrace that wrote them, or delete the group and start with --from start or --from end'
  return orUserError(decode, where, fix)
}
