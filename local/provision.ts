import { openCodec } from '../shared/codec/index.ts'
import type { Config } from '../shared/config/index.ts'
import { createTopics } from './kafka/index.ts'
import { connectKafka } from '../shared/kafka/index.ts'
import { ensureRouteTables, openWarehouse } from '../shared/warehouse/index.ts'

/** Where the parts of the embedded cloud listen: `host:port`, or a URL where they speak HTTP. */
export interface Endpoints {
  readonly kafka: string
  readonly bigquery: string
  readonly bigqueryStorage: string
  readonly storage: string
  readonly faults: string
}

const PARTITIONS = 4

/** Makes what Terraform makes in the cloud: the bucket, the topics, the datasets and their tables. */
export async function provision(config: Config, endpoints: Endpoints): Promise<void> {
  if (config.bucket) await makeBucket(`${endpoints.storage}/storage/v1/b?project=${config.project}`, config.bucket)
  await provisionTopics(config, endpoints.kafka)
  await provisionTables(config, endpoints)
}

async function provisionTables(config: Config, { bigquery, bigqueryStorage }: Endpoints): Promise<void> {
  const own = { ...config, endpoints: { bigquery, bigquery_storage: bigqueryStorage } }
  const warehouse = openWarehouse(own, 'provision')
  try {
    for (const route of Object.values(config.routes)) {
      await ensureRouteTables(warehouse, own, route, openCodec(route).fields)
    }
  } finally {
    warehouse.close()
  }
}

async function provisionTopics(config: Config, brokers: string): Promise<void> {
  const topics = [...new Set(Object.values(config.routes).flatMap(({ topic }) => topic ?? []))]
  if (topics.length === 0) return
  const client = connectKafka({ brokers: brokers.split(','), auth: 'none', tls: false }, 'millrace-local')
  try {
    await createTopics(
      client,
      topics.map((topic) => ({ topic, partitions: PARTITIONS })),
    )
  } finally {
    await client.close()
  }
}

/** 409: it is there already. */
async function makeBucket(url: string, name: string): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ name }) })
  const text = await response.text()
  if (!response.ok && response.status !== 409) throw new Error(`${url}: ${response.status} ${text}`)
}
