import { type Bucket, openBucket } from '../shared/chunks/index.ts'
import type { Config } from '../shared/config/index.ts'
import { UserError } from '../shared/errors.ts'
import { connectKafka } from '../shared/kafka/index.ts'
import { type Decision, type PositionsStore, positionsStore, Session } from './publish/index.ts'
import { type Chunk, Decider, OwnChunks } from './upload/index.ts'

export interface AdoptOptions {
  /** Of topics in which Kafka has no position of the agent: has it carried all of the chunks (`end`), or nothing (`start`)? */
  readonly from?: 'start' | 'end'
  readonly report: (message: string) => void
}

/** What an adoption found undecided, and who carries it now. */
export interface Adopted {
  readonly agent: string
  readonly undecided: number
  readonly carried_by_kafka: number
  readonly handed_over: number
  /** Of routes whose topic cannot be used now. */
  readonly left: number
}

/** One for the transaction, one for the patch, and more for where somebody was faster. */
const ROUNDS_MAX = 5

/**
 * Decides for the undecided chunks of an agent whose host does not return, as it would itself: fences it, reads its
 * positions, hands over what Kafka has not carried. Rejects with UserError or KafkaError; then it can be begun again.
 */
export async function adoptAgent(config: Config, agent: string, options: AdoptOptions): Promise<Adopted> {
  if (!config.kafka) throw new UserError(`${config.file}: kafka is missing`, 'without it no chunk is ever undecided')
  const client = connectKafka(config.kafka, `millrace-adopt-${agent}`)
  try {
    return await adoptChunks(positionsStore(client), openBucket(config, 'adopt'), config, agent, options)
  } finally {
    await client.close()
  }
}

/** The same, with the connections made. */
export async function adoptChunks(
  store: PositionsStore,
  bucket: Bucket,
  { routes, agent: { transaction_timeout: transactionTimeoutMs } }: Config,
  agent: string,
  { from, report }: AdoptOptions,
): Promise<Adopted> {
  const topicOf = (route: string) => routes[route]?.topic
  const topics = [...new Set(Object.keys(routes).flatMap((route) => topicOf(route) ?? []))]
  const say = (_about: string, message: string) => message && report(message)
  const session = await Session.open(store, { agent, topics, transactionTimeoutMs, report: say })
  try {
    const chunks = await OwnChunks.list(bucket, agent, Object.keys(routes), [])
    const decider = new Decider(bucket, chunks, positionsOf(session), NO_FILES, topicOf)
    const found = chunks.undecided
    await decideForgotten(decider, found, agent, (chunk) => blankTopicOf(chunk, session, topicOf), from)
    for (let round = 0; round < ROUNDS_MAX; round++) for (const chunk of chunks.undecided) await decider.decide(chunk)
    return reportOf(agent, found, chunks)
  } finally {
    await session.close()
  }
}

const NO_FILES = {
  isPublishable: () => false,
  sources: [],
  hint: () => 0,
  fingerprintAt: () => Promise.resolve(undefined),
  sizeCarried: ({ metadata }: Chunk) => Promise.resolve(metadata.size),
}

function positionsOf(session: Session) {
  return {
    canUse: (topic: string) => session.topics.includes(topic),
    entries: () => session.entries,
    entry: (source: string) => session.entries.find((entry) => entry.source === source),
    async decide(decision: Decision): Promise<boolean> {
      if (session.note(decision)) await session.transact([])
      return true
    },
  }
}

function blankTopicOf({ metadata }: Chunk, session: Session, topicOf: (route: string) => string | undefined) {
  const topic = topicOf(metadata.route)
  return topic !== undefined && session.blank.has(topic) ? topic : undefined
}

/** Positions that Kafka does not have are not guessed: it has forgotten them, or the agent never reached it. */
async function decideForgotten(
  decider: Decider,
  chunks: readonly Chunk[],
  agent: string,
  blankTopicOf: (chunk: Chunk) => string | undefined,
  from: AdoptOptions['from'],
): Promise<void> {
  for (const chunk of chunks) {
    const topic = blankTopicOf(chunk)
    if (topic === undefined || from === 'start') continue
    if (from === undefined) {
      throw new UserError(
        `Kafka has no position of agent ${agent} in topic ${topic}: forgotten, or it never published there`,
        'adopt it with --from start (its undecided chunks are loaded whole, what Kafka carried of them is doubled) or --from end (nothing of them is loaded)',
      )
    }
    await decider.skip(chunk, topic)
  }
}

function reportOf(agent: string, found: readonly Chunk[], chunks: OwnChunks): Adopted {
  const left = new Set(chunks.undecided.map(({ object }) => object.name))
  const decided = [...chunks.sources].flatMap((source) => chunks.of(source))
  const after = new Map(decided.map(({ object, metadata }) => [object.name, metadata.ranges]))
  const count = (wanted: (name: string) => boolean) => found.filter(({ object }) => wanted(object.name)).length
  return {
    agent,
    undecided: found.length,
    carried_by_kafka: count((name) => !left.has(name) && after.get(name)?.length === 0),
    handed_over: count((name) => !left.has(name) && after.get(name)?.length !== 0),
    left: left.size,
  }
}
