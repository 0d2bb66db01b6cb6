import { askAgent, readAllPositions } from '../agent/survey.ts'
import { openBucket } from '../shared/chunks/index.ts'
import type { Config } from '../shared/config/index.ts'
import { connectKafka, type KafkaClient } from '../shared/kafka/index.ts'
import {
  askChunks,
  askConsumer,
  findTopics,
  type StatusReport,
  type Topics,
  type Unreachable,
} from '../shared/status/index.ts'
import { describeServiceError } from './service-error.ts'
import { askLetters } from './status-letters.ts'

const DAY_MS = 86_400_000

/** Asks everybody that the configuration names; who does not answer is no reason not to ask the others. */
export async function askAll(
  config: Config,
  { lateMs, days }: { lateMs: number; days: number },
): Promise<StatusReport> {
  const { port, logs } = config.agent
  const client = config.kafka && connectKafka(config.kafka, 'millrace-status')
  const topics = client && findTopics(client, config)
  const kafka = <T>(ask: (client: KafkaClient, topics: Topics) => Promise<T>) =>
    client && asked(async () => ask(client, await topics!))
  try {
    const [agent, positions, consumer, chunks, dead_letters] = await Promise.all([
      port && logs.length > 0 ? asked(() => askAgent(port)) : undefined,
      kafka((client, { found }) => readAllPositions(client, found)),
      kafka((client, topics) => askConsumer(client, config, topics, lateMs)),
      config.bucket ? asked(() => askChunks(openBucket(config, 'status'), config, days)) : undefined,
      askLetters && asked(() => askLetters(config, new Date(Date.now() - DAY_MS))),
    ])
    return { agent, positions, consumer, chunks, dead_letters }
  } finally {
    await client?.close()
  }
}

async function asked<T>(ask: () => Promise<T>): Promise<T | Unreachable> {
  try {
    return await ask()
  } catch (error) {
    return { unreachable: describeServiceError(error).split('\n')[0] ?? '' }
  }
}
