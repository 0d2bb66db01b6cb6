import assert from 'node:assert/strict'
import { test } from 'node:test'
import { drain } from '../functions/kafka-drain/index.ts'
import { createLog } from '../shared/telemetry/index.ts'
import { findJavaClients } from './support/java-clients.ts'
import { openPipeline } from './support/pipeline.ts'

const COUNT = 2000
const COMPRESSIONS = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

void test("what Kafka's console producer writes arrives once: each compression, tombstones", async (t) => {
  const java = await findJavaClients(t)
  if (!java) return
  const pipeline = await openPipeline(t, { partitions: 1, routes: { visits: 'schema: visit.proto#shop.Visit' } })
  const brokers = pipeline.config.kafka?.brokers[0] ?? ''
  const topic = pipeline.topics['visits'] ?? ''
  for (const [turn, compression] of COMPRESSIONS.entries()) {
    const events = Array.from({ length: COUNT }, (_, i) => JSON.stringify({ number: turn * COUNT + i, page: '/home' }))
    await java.consoleProducer(brokers, topic, compression, [...events, 'NULL'])
  }
  const rows = COMPRESSIONS.length * COUNT
  const answer = await drain(pipeline.config, createLog('test'))
  assert.deepEqual(answer, { partitions: 1, events: rows + COMPRESSIONS.length, rows, dead_letters: 0, remaining: 0 })
  const [found] = await pipeline.query(
    'SELECT COUNT(*) AS n, COUNT(DISTINCT number) AS numbers, MAX(number) AS last FROM logs.visits',
  )
  assert.deepEqual(found, { n: `${rows}`, numbers: `${rows}`, last: `${rows - 1}` })
})
