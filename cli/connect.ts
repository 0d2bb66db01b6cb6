import { openBucket } from '../shared/chunks/index.ts'
import type { Config } from '../shared/config/index.ts'
import { UserError } from '../shared/errors.ts'
import { connectKafka, topicOffsets } from '../shared/kafka/index.ts'
import { askWarehouse } from './ask-warehouse.ts'
import { describeServiceError } from './service-error.ts'

/** Asks every service that the configuration names for something harmless. @throws UserError that lists what failed */
export async function connectAll(config: Config): Promise<void> {
  const checks = [
    problemOf(`kafka ${config.kafka?.brokers.join(', ')}`, askKafka(config)),
    problemOf(`bucket ${config.bucket}`, askBucket(config)),
    askWarehouse && problemOf(`BigQuery, project ${config.project}`, askWarehouse(config)),
  ]
  const problems = (await Promise.all(checks)).filter((problem) => problem !== undefined)
  if (problems.length > 0)
    throw new UserError(problems.join('\n'), 'create what is missing; check addresses, network and rights')
}

function problemOf(what: string, asked: Promise<void>): Promise<string | void> {
  return asked.catch((error: unknown) => `${what}: ${describeServiceError(error)}`)
}

async function askKafka(config: Config): Promise<void> {
  const topics = Object.values(config.routes).flatMap(({ topic, push }) => (topic && !push ? topic : []))
  if (!config.kafka || topics.length === 0) return
  await using client = connectKafka(config.kafka, 'millrace-check')
  await topicOffsets(client, topics)
}

async function askBucket(config: Config): Promise<void> {
  if (!config.bucket) return
  for await (const _object of openBucket(config, 'check').list('')) return
}
