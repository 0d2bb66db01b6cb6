import { type Bucket, openBucket } from '../shared/chunks/index.ts'
import type { Config } from '../shared/config/index.ts'
import { UserError } from '../shared/errors.ts'
import { connectKafka } from '../shared/kafka/index.ts'
import { type PositionsStore, positionsStore, Session } from './publish/index.ts'
import { type Authority, type Chunk, Decider, NO_FILES, OwnChunks } from './upload/index.ts'

/** How an agent is adopted; `report` is told what could not be. */
export interface AdoptOptions {
  /** Of chunks of which nothing tells it: has Kafka carried all of them (`end`), or nothing (`start`)? */
  readonly from?: 'start' | 'end' | undefined
  readonly report: (message: string) => void
}

/** What an adoption found undecided, and who carries it now. */
export type Adopted = ReturnType<typeof reportOf>

/** One for the transaction, one for the patch, and more for where somebody was faster. */
const ROUNDS_MAX = 5

/**
 * Decides for the undecided chunks of an agent whose host does not return, as it would itself: fences it, reads its
 * positions, hands over what Kafka has not carried. Rejects with UserError or KafkaError; then it can be begun again.
 */
export async function adoptAgent(config: Config, agent: string, options: AdoptOptions): Promise<Adopted> {
  if (!config.kafka) throw new UserError(`${config.file}: kafka is missing`, 'without it no chunk is ever undecided')
  await using client = connectKafka(config.kafka, `millrace-adopt-${agent}`)
  return await adoptChunks(positionsStore(client), openBucket(config, 'adopt'), config, agent, options)
}

/** The same, with the connections made. */
export async function adoptChunks(
  store: PositionsStore,
  bucket: Bucket,
  { routes, agent: own }: Config,
  agent: string,
  { from, report }: AdoptOptions,
): Promise<Adopted> {
  const topics = [...new Set(Object.values(routes).flatMap(({ topic }) => topic ?? []))]
  const say = (_about: string, message: string) => message && report(message)
  await using session = await Session.open(store, { agent: { ...own, id: agent }, topics, report: say })
  const chunks = await OwnChunks.list(bucket, agent, Object.keys(routes), [])
  const authority = authorityOf(session, routes)
  const decider = new Decider({ bucket, chunks, authority, positions: session, files: NO_FILES })
  const found = chunks.undecided
  if (found.length === 0 && session.blank.size === session.topics.length)
    report(`nobody knows an agent ${agent}: no positions in Kafka, no undecided chunks in the bucket`)
  const gaps = session.blank.union(session.torn)
  const forgotten = found.filter(({ metadata }) => gaps.has(authority.topicOf(metadata.route) ?? ''))
  if (forgotten[0] && !from) throw blank(agent, authority.topicOf(forgotten[0].metadata.route)!)
  if (from === 'end') for (const chunk of forgotten) await decider.say(chunk, from)
  await decideAll(decider, chunks)
  const untold = chunks.undecided.filter(({ object }) => decider.untold.has(object.name))
  for (const { object } of untold) report(`${object.name}: nothing tells what Kafka has carried of it`)
  if (from) for (const chunk of untold) await decider.say(chunk, from)
  if (from && untold.length > 0) await decideAll(decider, chunks)
  return reportOf(agent, found, chunks)
}

function authorityOf(session: Session, routes: Config['routes']): Authority {
  return {
    topicOf: (route) => session.topics.find((topic) => topic === routes[route]?.topic),
    forgottenMs: (topic) => session.forgottenMs(topic),
    async decide(decision) {
      if (session.note(decision)) await session.transact([])
      return true
    },
  }
}

async function decideAll(decider: Decider, chunks: OwnChunks): Promise<void> {
  for (let round = 0; round < ROUNDS_MAX; round++) for (const chunk of chunks.undecided) await decider.decide(chunk)
}

/** Positions that Kafka does not have are not guessed: it has forgotten them, or the agent never reached it. */
function blank(agent: string, topic: string): UserError {
  return new UserError(
    `Kafka has no position of agent ${agent} in topic ${topic}, or not all of them: forgotten, or it never published there`,
    'adopt it with --from start (its undecided chunks are loaded whole, what Kafka carried of them is doubled) or --from end (nothing of them is loaded)',
  )
}

/** `left`: of routes whose topic cannot be used now, or without `from` of sources that Kafka may have forgotten. */
function reportOf(agent: string, found: readonly Chunk[], chunks: OwnChunks) {
  const known = [...chunks.sources].flatMap((source) => chunks.of(source))
  const after = new Map(known.map(({ object, metadata }) => [object.name, metadata.ranges]))
  const ranges = found.map(({ object }) => after.get(object.name))
  const left = ranges.filter((now) => now === 'undecided').length
  const carriedByKafka = ranges.filter((now) => now?.length === 0).length
  const handedOver = found.length - left - carriedByKafka
  return { agent, undecided: found.length, carried_by_kafka: carriedByKafka, handed_over: handedOver, left }
}
