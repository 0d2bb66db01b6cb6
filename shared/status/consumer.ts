import type { Config } from '../config/index.ts'
import { countMembers, type KafkaClient, offsetsSince, presentOffsets, readCommits } from '../kafka/index.ts'

/** The topics of a configuration, as far as Kafka has them. */
export type Topics = Awaited<ReturnType<typeof presentOffsets>>

/** Looks for the topics of all routes. Rejects with KafkaError. */
export function findTopics(client: KafkaClient, { routes }: Config): Promise<Topics> {
  return presentOffsets(client, [...new Set(Object.values(routes).flatMap(({ topic }) => topic ?? []))])
}

/** `missing`: topics of routes without push that Kafka does not have. */
export type ConsumerStatus = Awaited<ReturnType<typeof askConsumer>>

/**
 * How far the installation's consumer is in the topics of its routes: those without push. A record is late when it is older than
 * `lateMs`, by its own timestamp. Rejects with KafkaError.
 */
export async function askConsumer(client: KafkaClient, config: Config, { found, missing }: Topics, lateMs: number) {
  const { name, consumer, routes } = config
  const group = `millrace.${name}.${consumer.mode}`
  const own = Object.values(routes).filter(({ push }) => !push)
  const from = new Map(own.map((route) => [route.topic, route.from]))
  const consumed = found.filter(({ topic }) => from.has(topic))
  const [members, commits, young] = await Promise.all([
    countMembers(client, group),
    readCommits(client, group, consumed),
    offsetsSince(client, consumed, Date.now() - lateMs),
  ])
  const partitions = consumed.map(({ topic, partition, start, end }, i) => {
    /** Everything before it is durable; null: no commit yet. */
    const committed = commits[i]!.offset < 0 ? null : commits[i]!.offset
    const at = committed ?? (from.get(topic) === 'end' ? end : start)
    const behind = (until: number) => Math.max(0, until - at)
    // Records, transaction markers among them; and how many of these have waited for longer than they may.
    return { topic, partition, committed, start, end, lag: behind(end), late: behind(young[i]!) }
  })
  return { group, members, partitions, missing: missing.filter((topic) => from.has(topic)) }
}
