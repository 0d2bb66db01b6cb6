import type { Config } from '../shared/config/index.ts'
import { connectKafka, createTopics } from '../shared/kafka/index.ts'

const PARTITIONS = 4

/** Makes what Terraform makes in the cloud: the bucket, the datasets and the topics that a configuration names. */
export async function provision(
  config: Config,
  endpoints: { bigquery: string; storage: string; kafka: string },
): Promise<void> {
  if (config.bucket) await post(`${endpoints.storage}/storage/v1/b?project=${config.project}`, { name: config.bucket })
  const datasets = new Map(
    Object.values(config.routes).map(({ table }) => [`${table.project}.${table.dataset}`, table]),
  )
  for (const { project, dataset } of datasets.values()) {
    const datasetReference = { projectId: project, datasetId: dataset }
    await post(`${endpoints.bigquery}/bigquery/v2/projects/${project}/datasets`, {
      datasetReference,
      location: config.region,
    })
  }
  await provisionTopics(config, endpoints.kafka)
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
async function post(url: string, body: object): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
  const text = await response.text()
  if (!response.ok && response.status !== 409) throw new Error(`${url}: ${response.status} ${text}`)
}
