import { openBucket } from '../shared/chunks/index.ts'
import type { Config } from '../shared/config/index.ts'
import { UserError } from '../shared/errors.ts'
import { connectKafka, topicOffsets } from '../shared/kafka/index.ts'
import { describeServiceError } from './service-error.ts'

/** Something harmless that a service is asked; resolves with what is wrong. */
type Probe = Promise<string | undefined>

/**
 * Asks the services that an agent needs, Kafka and the bucket, and `further` ones.
 * @throws UserError that lists what failed
 */
export async function connectAll(config: Config, further: readonly Probe[] = []): Promise<void> {
  const checks = [
    probe(`kafka ${config.kafka?.brokers.join(', ')}`, () => askKafka(config)),
    probe(`bucket ${config.bucket}`, () => askBucket(config)),
    ...further,
  ]
  const problems = (await Promise.all(checks)).filter((problem) => problem !== undefined)
  if (problems.length > 0)
    throw new UserError(problems.join('\n'), 'check the addresses, the network and the rights of this account')
}

export async function probe(what: string, ask: () => Promise<void>): Probe {
  try {
    await ask()
    return undefined
  } catch (error) {
    return `${what}: ${describeServiceError(error)}`
  }
}

async function askKafka(config: Config): Promise<void> {
  const topics = Object.values(config.routes).flatMap(({ topic }) => topic ?? [])
  if (!config.kafka || topics.length === 0) return
  const client = connectKafka(config.kafka, 'millrace-check')
  try {
    await topicOffsets(client, topics)
  } finally {
    await client.close()
  }
}

async function askBucket(config: Config): Promise<void> {
  if (!config.bucket) return
  for await (const _object of openBucket(config, 'check').list('')) return
}
