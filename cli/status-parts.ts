import { askAgent, readAllPositions } from '../agent/survey.ts'
import { openBucket } from '../shared/chunks/index.ts'
import type { Config } from '../shared/config/index.ts'
import { connectKafka, type KafkaClient, withTimeout } from '../shared/kafka/index.ts'
import { askChunks, askConsumer, findTopics, type StatusReport, type Topics } from '../shared/status/index.ts'
import { askLetters } from './ask-warehouse.ts'
import { describeServiceError } from './service-error.ts'

const DAY_MS = 86_400_000
/** Whoever has not answered a first, small question by then cannot be reached: the services' clients would try for a minute or more. */
const REACH_WITHIN_MS = 5000

/**
 * Asks everybody that the configuration names; who does not answer is no reason not to ask the others. Leaves connections open, also such as still
 * try to reach somebody: the process is to exit.
 */
export async function askAll(config: Config, { lateMs, days }: { lateMs: number; days: number }) {
  const { port, logs } = config.agent
  const unreachable: Record<string, string> = {}
  const asked = async <T>(part: keyof StatusReport, ask: () => Promise<T>): Promise<T | undefined> =>
    ask().catch((error: unknown) => void (unreachable[part] = describeServiceError(error).split('\n')[0] ?? ''))
  const client = config.kafka && connectKafka(config.kafka, 'millrace-status')
  const topics = client && withTimeout(findTopics(client, config), REACH_WITHIN_MS)
  const kafka = <T>(part: keyof StatusReport, ask: (client: KafkaClient, topics: Topics) => Promise<T>) =>
    client && asked(part, async () => ask(client, await topics!))
  const [agent, positions, consumer, chunks, dead_letters] = await Promise.all([
    port && logs.length > 0 ? asked('agent', () => askAgent(port)) : undefined,
    kafka('positions', (client, { found }) => readAllPositions(client, found)),
    kafka('consumer', (client, topics) => askConsumer(client, config, topics, lateMs)),
    config.bucket ? asked('chunks', () => askBucket(config, days)) : undefined,
    askLetters && asked('dead_letters', () => askLetters(config, new Date(Date.now() - DAY_MS), REACH_WITHIN_MS)),
  ])
  return { unreachable, agent, positions, consumer, chunks, dead_letters }
}

async function askBucket(config: Config, days: number) {
  const bucket = openBucket(config, 'status')
  await withTimeout(Array.fromAsync(bucket.list('millrace-status/')), REACH_WITHIN_MS)
  return askChunks(bucket, config, days)
}
