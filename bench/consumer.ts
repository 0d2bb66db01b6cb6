import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import protobuf from 'protobufjs'
import { startBigQuery } from '../local/bigquery/index.ts'
import { startKafka } from '../local/kafka/index.ts'
import {
  BatchBuilder,
  type Compression,
  connectKafka,
  createTopics,
  type KafkaClient,
  openProducer,
} from '../shared/kafka/index.ts'

/**
 * `npm run bench -- consumer [--records N] [--check]`: one worker process from a real broker to a stand-in that only counts (and enforces
 * offsets): 220-byte events, 4 partitions. CPU is the worker's own, user and system, for a million rows. `--check` compares with
 * kafkajs's eachBatch doing nothing, in the same run, and exits 1 when a bar is missed.
 */

const PARTITIONS = 4
const BATCH_BYTES = 900_000
const TICKS_A_SECOND = 100
const COMMAND = fileURLToPath(new URL('../cli/main.ts', import.meta.url))
const SCHEMA = `syntax = "proto3";
import "google/protobuf/timestamp.proto";
message Visit {
  int64 user_id = 1; string session = 2; string method = 3; string path = 4; int32 status = 5;
  int32 bytes = 6; double latency = 7; string country = 8; bool cached = 9; google.protobuf.Timestamp at = 10;
}
`
interface Case {
  readonly name: string
  readonly format: 'json' | 'protobuf'
  readonly compression: Compression
  /** Issue 6: rows a second, CPU seconds for a million rows, megabytes. */
  readonly bars: readonly [rows: number, cpu: number, memory: number]
  /** How long an answer takes. */
  readonly answerMs: number
}
const CASES: readonly Case[] = [
  { name: 'json', format: 'json', compression: 'none', bars: [700_000, 1.2, 192], answerMs: 0 },
  { name: 'json-zstd', format: 'json', compression: 'zstd', bars: [450_000, 2.0, 256], answerMs: 0 },
  { name: 'protobuf', format: 'protobuf', compression: 'none', bars: [1_000_000, 0.7, 192], answerMs: 0 },
]

interface Figure {
  readonly rate: number
  readonly cpuPerMillion: number
  readonly megabytes: number
}

const { values: options } = parseArgs({
  options: {
    records: { type: 'string', default: '2000000' },
    check: { type: 'boolean' },
    sink: { type: 'boolean' },
    only: { type: 'string' },
  },
})
const RECORDS = Number(options.records)

if (options.sink) await sink()
else process.exitCode = await main()

/** The stand-in in a process of its own, so that its work is not counted as the worker's. */
async function sink(): Promise<void> {
  const { rest, grpc } = await startBigQuery({ dataDir: '', store: 'count' })
  process.stdout.write(`${JSON.stringify({ rest, grpc })}\n`)
  process.stdin.on('end', () => process.exit()).resume()
}

async function main(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  const kafka = await startKafka({ dataDir: folder, javaOptions: ['-Xmx1g', '-XX:TieredStopAtLevel=4'] })
  const client = connectKafka({ brokers: [kafka.brokers], auth: 'none', tls: false }, 'bench')
  const counting = spawn(process.execPath, [import.meta.filename, '--sink'], { stdio: ['pipe', 'pipe', 'inherit'] })
  let missed = 0
  try {
    const [line] = (await once(counting.stdout, 'data')) as [Buffer]
    const endpoints = JSON.parse(line.toString()) as { rest: string; grpc: string }
    writeFileSync(join(folder, 'visit.proto'), SCHEMA)
    process.stdout.write(`${RECORDS} events, ${PARTITIONS} partitions, ${kafka.name}, Node ${process.version}\n`)
    for (const one of CASES.filter(({ name }) => !options.only || name === options.only)) {
      const topic = `${kafka.topicPrefix}bench-${one.name}`
      await createTopics(client, [{ topic, partitions: PARTITIONS }])
      const bytes = await publish(client, topic, one)
      const figure = await measureWorker(folder, kafka.brokers, endpoints, topic, one)
      print(`${one.name}, ${Math.round(bytes / RECORDS)} bytes an event`, figure)
      const [rate, cpu, memory] = one.bars
      if (figure.rate < rate || figure.cpuPerMillion > cpu || figure.megabytes > memory) missed++
      if (one.name === 'json' && options.check) {
        const idle = await measureKafkajs(client, topic)
        print('kafkajs, eachBatch doing nothing', idle)
        const ratio = figure.cpuPerMillion / idle.cpuPerMillion
        process.stdout.write(`CPU of millrace / kafkajs: ${ratio.toFixed(2)} (bar 0.7)\n`)
        if (ratio > 0.7) missed++
      }
    }
  } finally {
    counting.stdin.end()
    await client.close()
    await kafka.stop()
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  }
  if (missed > 0) process.stdout.write(`${missed} bars missed\n`)
  return options.check && missed > 0 ? 1 : 0
}

function print(what: string, { rate, cpuPerMillion, megabytes }: Figure): void {
  const rows = `${Math.round(rate / 1000)} k rows/s`
  process.stdout.write(
    `${what.padEnd(36)}${rows.padStart(14)}${cpuPerMillion.toFixed(2).padStart(8)} s/M${megabytes.toFixed(0).padStart(6)} MB\n`,
  )
}

async function publish(client: KafkaClient, topic: string, { format, compression }: Case): Promise<number> {
  const producer = await openProducer(client, { transactionalId: `${topic}-writer`, timeoutMs: 30_000 })
  const root = new protobuf.Root()
  root.addJSON(protobuf.common.get('google/protobuf/timestamp.proto')?.nested ?? {})
  const message = protobuf.parse(SCHEMA, root, { keepCase: true }).root.lookupType('Visit')
  const samples = Array.from({ length: 1000 }, (_, index) => sample(index, format, message))
  const builders = Array.from({ length: PARTITIONS }, () => new BatchBuilder(BATCH_BYTES))
  let [sent, bytes] = [0, 0]
  while (sent < RECORDS) {
    for (const [partition, builder] of builders.entries()) {
      builder.reset()
      while (sent < RECORDS) {
        const value = samples[sent % samples.length] as Buffer
        const key = Buffer.from(`abcdefghijklmnopqrstuvwx2${'abcd'[partition]}@${sent * 221}+221`)
        if (!builder.append(key, value, 0, value.length, Date.now())) break
        bytes += value.length
        sent++
      }
    }
    const batches = builders
      .filter(({ records }) => records > 0)
      .map(async (builder, partition) => ({ topic, partition, batch: await builder.seal(compression) }))
    await producer.transact(await Promise.all(batches), [])
  }
  await producer.close()
  return bytes
}

function sample(index: number, format: Case['format'], message: protobuf.Type): Buffer {
  const atMs = 1_764_000_000_000 + index * 37
  const visit = {
    user_id: 10_000_000 + index * 7,
    session: `s${(index * 2_654_435_761) >>> 0}`,
    method: index % 5 === 0 ? 'POST' : 'GET',
    path: `/api/v1/items/${index % 977}/offers/${'x'.repeat(20)}`,
    status: index % 17 === 0 ? 404 : 200,
    bytes: 200 + (index % 5000),
    latency: ((index * 37) % 10_000) / 1000,
    country: ['DE', 'SG', 'US', 'FR'][index % 4],
    cached: index % 3 === 0,
  }
  if (format === 'json') return Buffer.from(JSON.stringify({ ...visit, at: new Date(atMs).toISOString() }))
  const at = { seconds: Math.floor(atMs / 1000), nanos: (atMs % 1000) * 1_000_000 }
  return Buffer.from(message.encode(message.fromObject({ ...visit, at })).finish())
}

async function measureWorker(
  folder: string,
  brokers: string,
  endpoints: { rest: string; grpc: string },
  topic: string,
  { name, format }: Case,
): Promise<Figure> {
  const file = join(folder, `${name}.yaml`)
  const port = await freePort()
  writeFileSync(
    file,
    `name: bench-${name}
project: millrace-bench
dataset: bench
kafka: { brokers: ["${brokers}"] }
consumer: { port: ${port} }
endpoints: { bigquery: "${endpoints.rest}", bigquery_storage: "${endpoints.grpc}" }
routes:
  visits: { topic: ${topic}, schema: visit.proto#Visit, format: ${format}, table: ${name.replace('-', '_')} }
`,
  )
  const worker = spawn(
    process.execPath,
    [...(process.env['WORKER_ARGS']?.split(' ') ?? []), COMMAND, 'worker', '--config', file],
    {
      stdio: ['ignore', 'inherit', 'pipe'],
    },
  )
  try {
    await saidAssigned(worker)
    const [begun, cpu] = [performance.now(), cpuSeconds(worker)]
    await untilSettled(port, worker)
    const seconds = (performance.now() - begun) / 1000
    const cpuPerMillion = ((cpuSeconds(worker) - cpu) / RECORDS) * 1e6
    return { rate: RECORDS / seconds, cpuPerMillion, megabytes: peakMegabytes(worker) }
  } finally {
    worker.kill('SIGTERM')
    await once(worker, 'exit')
  }
}

async function saidAssigned(worker: ChildProcess): Promise<void> {
  for await (const text of worker.stderr?.setEncoding('utf8') ?? []) if (String(text).includes('assigned')) break
}

async function untilSettled(port: number, worker: ChildProcess): Promise<void> {
  for (;;) {
    if (worker.exitCode !== null) throw new Error(`the worker ended with ${worker.exitCode}`)
    const text = await fetch(`http://127.0.0.1:${port}/metrics`).then(
      (answer) => answer.text(),
      () => '', // not listening yet
    )
    if (Number(/^millrace_rows (\d+)/m.exec(text)?.[1] ?? 0) >= RECORDS) return
    await delay(20)
  }
}

/** User and system time of a process and all its threads. */
function cpuSeconds({ pid }: ChildProcess): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND
}

function peakMegabytes({ pid }: ChildProcess): number {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
}

async function measureKafkajs(client: KafkaClient, topic: string): Promise<Figure> {
  const consumer = client.kafka.consumer({ groupId: `${topic}-kafkajs`, maxBytesPerPartition: 1024 * 1024 })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  const [begun, cpu] = [performance.now(), process.cpuUsage()]
  const done = Promise.withResolvers<void>()
  let seen = 0
  await consumer.run({
    eachBatch: async ({ batch }) => {
      seen += batch.messages.length
      if (seen >= RECORDS) done.resolve()
    },
  })
  await done.promise
  const seconds = (performance.now() - begun) / 1000
  const { user, system } = process.cpuUsage(cpu)
  await consumer.disconnect()
  return {
    rate: RECORDS / seconds,
    cpuPerMillion: (user + system) / RECORDS,
    megabytes: process.memoryUsage.rss() / 1e6,
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
