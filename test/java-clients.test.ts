import { createTopics } from '../local/kafka/index.ts'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { drain } from '../functions/kafka-drain/index.ts'
import { loadConfig } from '../shared/config/index.ts'

import { createLog } from '../shared/telemetry/index.ts'
import { settledOffsets } from './support/consume.ts'
import { findJavaClients } from './support/java-clients.ts'
import { openPipeline, type Pipeline } from './support/pipeline.ts'

const log = createLog('test')
const ROUTE = { visits: 'schema: visit.proto#shop.Visit' }
const COUNT = 2000
const COMPRESSIONS = 5
const brokersOf = ({ config }: Pipeline) => config.kafka?.brokers[0] ?? ''

void test("what Kafka's Java producer writes arrives once: each compression, foreign keys, tombstones, empty values, 9 MB", async (t) => {
  const java = await findJavaClients(t)
  if (!java) return
  const pipeline = await openPipeline(t, { partitions: 1, routes: ROUTE })
  const topic = `${pipeline.topics['visits']}-java`
  const config = { 'max.message.bytes': String(32 * 1024 * 1024) }
  await createTopics(pipeline.kafka, [{ topic, partitions: 1, config }])
  pipeline.retarget('visits', topic)
  await java.run('compressions', brokersOf(pipeline), topic, `${COUNT}`)
  const rows = COMPRESSIONS * (COUNT + 1)
  const answer = await drain(loadConfig(pipeline.configFile, {}), log)
  const events = rows + 2 * COMPRESSIONS // tombstones and empty values
  assert.deepEqual(answer, { partitions: 1, events, rows, dead_letters: COMPRESSIONS, remaining: 0 })
  const [found] = await pipeline.query(`SELECT COUNT(*) AS n, COUNT(DISTINCT number) AS numbers, MAX(number) AS last,
    COUNTIF(LENGTH(page) > 8900000) AS large, COUNT(millrace.source) AS sources FROM logs.visits`)
  const [n, last] = [`${rows}`, `${rows - 1}`]
  assert.deepEqual(found, { n, numbers: n, last, large: `${COMPRESSIONS}`, sources: '0' })
})

void test("of a transactional Java producer's events those of committed transactions arrive, and no aborted ones", async (t) => {
  const java = await findJavaClients(t)
  if (!java) return
  const pipeline = await openPipeline(t, { partitions: 1, routes: ROUTE })
  const topic = pipeline.topics['visits'] ?? ''
  const committed = await java.run('transactions', brokersOf(pipeline), topic, '12')
  await settledOffsets(pipeline.kafka, topic)
  const { rows, remaining } = await drain(pipeline.config, log)
  assert.deepEqual({ rows: `${rows}`, remaining }, { rows: committed, remaining: 0 })
  const [found] = await pipeline.query(
    'SELECT COUNT(*) AS n, COUNT(DISTINCT number) AS numbers, MIN(number) AS first FROM logs.visits',
  )
  assert.deepEqual(found, { n: committed, numbers: committed, first: '0' })
})
