import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type RunningBigQuery, startBigQuery } from '../../local/bigquery/index.ts'
import {
  type Clock,
  createClock,
  createFaults,
  createRecorder,
  type Faults,
  type Recorder,
} from '../../local/faults/index.ts'
import { type Config, loadConfig } from '../../shared/config/index.ts'
import { createTopics } from '../../local/kafka/index.ts'
import {
  BatchBuilder,
  type Compression,
  connectKafka,
  type KafkaClient,
  openProducer,
  type Producer,
  type RecordHeader,
} from '../../shared/kafka/index.ts'
import { openWarehouse, type Row, type Warehouse } from '../../shared/warehouse/index.ts'
import { type SharedBroker, sharedBroker } from './broker.ts'
import { settledOffsets } from './consume.ts'

const COMMAND = fileURLToPath(new URL('../../cli/main.ts', import.meta.url))
const BATCH_BYTES = 512 * 1024

export const VISIT_PROTO = `syntax = "proto3";
package shop;
message Visit { int64 number = 1; string page = 2; double price = 3; repeated string tags = 4; }
`

/** A broker's topics, a BigQuery stand-in and a configuration, for tests of the consumer. */
export interface Pipeline {
  readonly folder: string
  readonly configFile: string
  readonly config: Config
  readonly topics: Record<string, string>
  readonly kafka: KafkaClient
  readonly warehouse: Warehouse
  readonly bigQuery: RunningBigQuery
  readonly faults: Faults
  readonly clock: Clock
  readonly recorder: Recorder
  /** Sends values (with an agent's keys, unless told otherwise) in one transaction each batch, until they can be read. */
  publish(route: string, values: readonly Buffer[], options?: PublishOptions): Promise<void>
  /** Gives a route another topic, in the configuration file and for `publish`. */
  retarget(route: string, topic: string): void
  /** `millrace worker` as a process of its own. */
  worker(...args: string[]): WorkerProcess
  query(sql: string): Promise<Row[]>
}

export interface PublishOptions {
  readonly compression?: Compression
  readonly partition?: number
  readonly keys?: boolean
  readonly headers?: (index: number) => readonly RecordHeader[] | undefined
}

export interface WorkerProcess {
  readonly child: ChildProcess
  readonly log: string[]
  /** Its exit code, when it has ended and all of its log is there. */
  readonly ended: Promise<number | null>
  kill(signal: NodeJS.Signals): Promise<number | null>
}

export interface PipelineOptions {
  readonly partitions?: number
  /** A broker of the test's own. */
  readonly broker?: SharedBroker
  /** More of the configuration, as YAML. */
  readonly consumer?: string
  /** YAML of each route without topic and table. */
  readonly routes: Readonly<Record<string, string>>
}

export async function openPipeline(
  t: TestContext,
  { partitions = 2, broker: ownBroker, consumer = '', routes }: PipelineOptions,
): Promise<Pipeline> {
  const broker = ownBroker ?? (await sharedBroker())
  const folder = mkdtempSync(join(tmpdir(), 'millrace-pipeline-'))
  const [faults, clock, recorder] = [createFaults(), createClock(), createRecorder()]
  mkdirSync(join(folder, 'bigquery'))
  const bigQuery = await startBigQuery({ dataDir: join(folder, 'bigquery'), faults, clock, recorder })
  const topics = Object.fromEntries(Object.keys(routes).map((name) => [name, broker.unique(name)]))
  const configFile = join(folder, 'millrace.yaml')
  writeFileSync(join(folder, 'visit.proto'), VISIT_PROTO)
  writeFileSync(
    configFile,
    configText(broker.brokers, bigQuery, broker.unique('m').slice(-30), consumer, topics, routes),
  )
  const config = loadConfig(configFile, {})
  const kafka = connectKafka({ brokers: [broker.brokers], auth: 'none', tls: false }, 'test')
  const warehouse = openWarehouse(config, 'test')
  const producers = new Map<string, Promise<Producer>>()
  const workers: WorkerProcess[] = []
  t.after(async () => {
    await Promise.all(workers.map((worker) => worker.kill('SIGKILL')))
    for (const producer of producers.values()) await (await producer).close()
    await kafka.close()
    warehouse.close()
    await bigQuery.stop()
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  })
  await createTopics(
    kafka,
    Object.values(topics).map((topic) => ({ topic, partitions })),
  )
  const publish = publisher(kafka, topics, producers)

  return {
    folder,
    configFile,
    config,
    topics,
    kafka,
    warehouse,
    bigQuery,
    faults,
    clock,
    recorder,
    publish,
    retarget(route, topic) {
      const text = readFileSync(configFile, 'utf8').replace(`topic: ${topics[route]},`, `topic: ${topic},`)
      writeFileSync(configFile, text)
      topics[route] = topic
    },
    worker(...args) {
      const worker = startWorker(configFile, args)
      workers.push(worker)
      return worker
    },
    query: (sql) => Array.fromAsync(warehouse.query(sql)),
  }
}

/** Sends values in transactions; positions of each source go on from call to call. */
function publisher(
  kafka: KafkaClient,
  topics: Readonly<Record<string, string>>,
  producers: Map<string, Promise<Producer>>,
): Pipeline['publish'] {
  const positions = new Map<string, number>()
  return async (route, values, options = {}) => {
    const topic = topics[route] ?? ''
    const producer = producers.get(topic) ?? openProducer(kafka, { transactionalId: `${topic}-t`, timeoutMs: 20_000 })
    producers.set(topic, producer)
    const { partition = 0, compression = 'none', keys = true, headers } = options
    const source = sourceOf(topic, partition)
    let position = positions.get(source) ?? 0
    for (let index = 0; index < values.length; ) {
      const builder = new BatchBuilder(Math.max(BATCH_BYTES, (values[index]?.length ?? 0) + 1024))
      for (; index < values.length; index++) {
        const value = values[index] as Buffer
        const key = keys ? Buffer.from(`${source}@${position}+${value.length + 1}`) : null
        if (!builder.append(key, value, 0, value.length, Date.now(), headers?.(index))) break
        position += value.length + 1
      }
      try {
        await (await producer).transact([{ topic, partition, batch: await builder.seal(compression) }], [])
      } catch (error) {
        producers.delete(topic) // its life is over
        await (await producer).close()
        throw error
      }
    }
    positions.set(source, position)
    await settledOffsets(kafka, topic) // a drain ends at the end that it sees
  }
}

/** 26 base32 characters for each topic and partition. */
export function sourceOf(topic: string, partition: number): string {
  const hash = Buffer.from(`${topic}${partition}`)
    .toString('hex')
    .replaceAll(/[0189]/g, 'x')
  return hash.slice(-26).padStart(26, 'a')
}

function configText(
  brokers: string,
  bigQuery: RunningBigQuery,
  name: string,
  consumer: string,
  topics: Readonly<Record<string, string>>,
  routes: Readonly<Record<string, string>>,
): string {
  const entries = Object.entries(routes).map(
    ([route, yaml]) => `  ${route}: { topic: ${topics[route]}, table: ${route}, ${yaml} }`,
  )
  return `name: ${name.toLowerCase().replaceAll(/[^a-z0-9-]/g, '')}
project: millrace-test
dataset: logs
kafka: { brokers: ["${brokers}"], auth: none }
consumer: { flush_after: 50ms, session_timeout: 6s, ${consumer} }
endpoints: { bigquery: "${bigQuery.rest}", bigquery_storage: "${bigQuery.grpc}" }
routes:
${entries.join('\n')}
`
}

function startWorker(configFile: string, args: readonly string[]): WorkerProcess {
  const child = spawn(process.execPath, [COMMAND, 'worker', '--config', configFile, ...args], {
    stdio: ['ignore', 'inherit', 'pipe'],
    env: { ...process.env, MILLRACE_LOG_LEVEL: 'info' }, // tests wait for lines
  })
  const log: string[] = []
  child.stderr.setEncoding('utf8').on('data', (text: string) => log.push(text))
  const ended = once(child, 'close').then(([code]) => code as number | null)
  return {
    child,
    log,
    ended,
    async kill(signal) {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal)
      return ended
    },
  }
}
