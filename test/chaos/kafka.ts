import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type RunningBigQuery, startBigQuery } from '../../local/bigquery/index.ts'
import { createClock, createFaults, createRecorder, type FaultRule } from '../../local/faults/index.ts'
import { type RunningKafka, startKafka } from '../../local/kafka/index.ts'
import { loadConfig } from '../../shared/config/index.ts'
import { connectKafka, createTopics, type KafkaClient, readCommits, topicOffsets } from '../../shared/kafka/index.ts'
import { openWarehouse, type Warehouse } from '../../shared/warehouse/index.ts'
import { createRandom, type Random } from '../models/kafka-to-bigquery/services.ts'
import { ChaosPublisher } from './publisher.ts'

/**
 * `npm run chaos -- kafka --seed S --for 60s`: workers between a real broker and the BigQuery stand-in, while a seeded schedule kills,
 * freezes, adds and removes workers, kills the broker, and makes the service fail in every way it can. At the end everything heals, the
 * lag must go to zero, and SQL says whether each event is there once. Last line: `missing=N duplicates=N`; exit 1 unless both are 0.
 */

const COMMAND = fileURLToPath(new URL('../../cli/main.ts', import.meta.url))
const PARTITIONS = 3
const WORKERS_MAX = 3
const SESSION_MS = 6000
const PAUSE_MS_MAX = 900
const DAY_MS = 24 * 3_600_000
/** After the last fault: so long may it take until every event is in the table. */
const HEAL_WITHIN_MS = 90_000

const { values } = parseArgs({
  options: { seed: { type: 'string', default: '1' }, for: { type: 'string', default: '60s' } },
})
const durationMs = Number(values.for.replace(/s$/, '')) * 1000

type Harm = readonly [name: string, harm: () => void | Promise<void>]

class Chaos {
  readonly #random: Random
  readonly #folder = mkdtempSync(join(tmpdir(), 'millrace-chaos-'))
  readonly #faults = createFaults()
  readonly #clock = createClock()
  readonly #workers = new Set<ChildProcess>()
  readonly #done = new Map<string, number>()
  #kafka!: RunningKafka
  #bigQuery!: RunningBigQuery
  #client!: KafkaClient
  #warehouse!: Warehouse
  #publisher!: ChaosPublisher
  #configFile = ''
  #topic = ''

  constructor(seed: number) {
    this.#random = createRandom(seed)
  }

  async run(forMs: number): Promise<boolean> {
    await this.#start()
    try {
      const until = Date.now() + forMs
      const publishing = this.#publisher.run(until)
      for (let workers = 0; workers < 2; workers++) this.#addWorker()
      while (Date.now() < until) {
        await delay(this.#random.below(PAUSE_MS_MAX))
        await this.#harm()
      }
      await publishing
      return await this.#verdict()
    } finally {
      await this.#stop()
    }
  }

  async #start(): Promise<void> {
    mkdirSync(join(this.#folder, 'bigquery'))
    this.#kafka = await startKafka({ dataDir: this.#folder })
    this.#bigQuery = await startBigQuery({
      dataDir: join(this.#folder, 'bigquery'),
      faults: this.#faults,
      clock: this.#clock,
      recorder: createRecorder(),
    })
    this.#topic = `${this.#kafka.topicPrefix}chaos`
    this.#configFile = join(this.#folder, 'millrace.yaml')
    writeFileSync(
      join(this.#folder, 'event.json'),
      JSON.stringify([
        { name: 'number', type: 'INT64', mode: 'REQUIRED' },
        { name: 'text', type: 'STRING' },
      ]),
    )
    writeFileSync(this.#configFile, this.#configText())
    this.#client = connectKafka({ brokers: [this.#kafka.brokers], auth: 'none', tls: false }, 'chaos')
    await createTopics(this.#client, [{ topic: this.#topic, partitions: PARTITIONS }])
    this.#warehouse = openWarehouse(loadConfig(this.#configFile, {}), 'chaos')
    this.#publisher = new ChaosPublisher(this.#client, this.#topic, PARTITIONS)
  }

  #configText(): string {
    return `name: chaos
project: millrace-chaos
dataset: logs
kafka: { brokers: ["${this.#kafka.brokers}"] }
consumer: { flush_bytes: 16KiB, flush_after: 20ms, session_timeout: ${SESSION_MS}ms, answer_within: 2s }
endpoints: { bigquery: "${this.#bigQuery.rest}", bigquery_storage: "${this.#bigQuery.grpc}" }
routes:
  events: { topic: ${this.#topic}, schema: event.json, table: events, unknown: reject }
`
  }

  // What goes wrong.

  async #harm(): Promise<void> {
    const often: Harm[] = [['fault', () => this.#fail()]]
    const rarely: Harm[] = [
      ['kill -9', () => this.#replace('SIGKILL')],
      ['kill -9', () => this.#replace('SIGKILL')],
      ['stop', () => this.#replace('SIGTERM')],
      ['freeze', () => this.#freeze()],
      ['join', () => this.#addWorker()],
      ['expire', () => this.#clock.advance(4 * DAY_MS)],
      ['broker', () => this.#restartBroker()],
    ]
    // A new owner needs some seconds to begin: time to have something under way.
    const [name, harm] = this.#random.pick(this.#random.chance(0.85) ? often : rarely)
    if (this.#workers.size === 0) this.#addWorker()
    this.#done.set(name, (this.#done.get(name) ?? 0) + 1)
    await harm()
  }

  #addWorker(): void {
    if (this.#workers.size >= WORKERS_MAX) return
    const worker = spawn(process.execPath, [COMMAND, 'worker', '--config', this.#configFile], {
      stdio: ['ignore', 'inherit', process.env['CHAOS_LOG'] ? 'inherit' : 'ignore'],
    })
    this.#workers.add(worker)
    worker.once('exit', () => this.#workers.delete(worker))
  }

  #replace(signal: NodeJS.Signals): void {
    const worker = this.#random.pick([...this.#workers])
    worker?.kill(signal)
    this.#addWorker()
    if (this.#workers.size < 2) this.#addWorker()
  }

  /** Frozen beyond its session: it wakes as a zombie. */
  #freeze(): void {
    const worker = this.#random.pick([...this.#workers])
    worker?.kill('SIGSTOP')
    this.#addWorker()
    setTimeout(() => worker?.kill('SIGCONT'), this.#random.below(2 * SESSION_MS)).unref()
  }

  #fail(): void {
    const faults: FaultRule['fault'][] = [
      { kind: 'drop', when: 'before' },
      { kind: 'drop', when: 'after' },
      { kind: 'error', code: 'INTERNAL', when: 'after', inBand: true },
      { kind: 'error', code: 'UNAVAILABLE', when: 'after' },
      { kind: 'error', code: 'RESOURCE_EXHAUSTED', inBand: true },
      { kind: 'error', code: 'RESOURCE_EXHAUSTED', inBand: true, when: 'after' },
      { kind: 'error', code: 'ABORTED', message: 'the server is going away: please reconnect' },
      { kind: 'error', code: 'OUT_OF_RANGE', inBand: true, storageError: 'OFFSET_OUT_OF_RANGE' },
      { kind: 'error', code: 'ALREADY_EXISTS', inBand: true, storageError: 'OFFSET_ALREADY_EXISTS' },
      { kind: 'hang', landAfterMs: this.#random.below(8000) },
      { kind: 'hang' },
      { kind: 'delay', ms: this.#random.below(1500) },
    ]
    const unary: FaultRule['fault'][] = [
      { kind: 'error', code: 'UNAVAILABLE', when: this.#random.pick(['before', 'after'] as const) },
      { kind: 'error', code: 'RESOURCE_EXHAUSTED' },
      { kind: 'drop', when: this.#random.pick(['before', 'after'] as const) },
      { kind: 'delay', ms: this.#random.below(2000) },
    ]
    const append = this.#random.chance(0.7)
    this.#faults.add({
      service: 'bigquery-write',
      method: append ? 'AppendRows' : this.#random.pick(['CreateWriteStream', 'FinalizeWriteStream']),
      entry: 'kafka-*',
      nth: 1 + this.#random.below(20),
      times: 1 + this.#random.below(3),
      fault: this.#random.pick(append ? faults : unary),
    })
  }

  async #restartBroker(): Promise<void> {
    await this.#kafka.kill()
    await delay(this.#random.below(2000))
    await this.#kafka.restart()
  }

  // The proof.

  async #verdict(): Promise<boolean> {
    this.#faults.clear()
    for (const worker of this.#workers) worker.kill('SIGCONT')
    const ends = [...this.#workers].map((worker) => once(worker, 'exit'))
    for (const worker of this.#workers) worker.kill('SIGKILL')
    await Promise.all(ends)
    const settled = await this.#settles()
    const events = this.#publisher.published
    const { places, total } = await this.#count()
    const harms = [...this.#done].map(([name, times]) => `${name} ${times}`).join(', ')
    process.stdout.write(
      `seed ${values.seed}: ${events} events, ${total} rows and dead letters; ${harms}; ${settled ? 'lag 0' : 'LAG REMAINS'}\n`,
    )
    const [missing, duplicates] = [events - places, total - places]
    process.stdout.write(`missing=${missing} duplicates=${duplicates}\n`)
    return settled && missing === 0 && duplicates === 0
  }

  /** Until the group has passed everything that the topic holds. */
  async #settles(): Promise<boolean> {
    const deadline = Date.now() + HEAL_WITHIN_MS
    while (Date.now() < deadline) {
      await delay(500)
      if (this.#workers.size === 0) this.#addWorker()
      const ends = await topicOffsets(this.#client, [this.#topic])
      const commits = await readCommits(this.#client, 'millrace.chaos.worker', ends)
      const committed = new Map(commits.map(({ partition, offset, metadata }) => [partition, { offset, metadata }]))
      const passed = ends.every(({ partition, end }) => {
        const commit = committed.get(partition)
        return commit !== undefined && commit.offset >= end && commit.metadata.includes('"intents":[]')
      })
      if (passed) return true
    }
    return false
  }

  async #count(): Promise<{ places: number; total: number }> {
    const sql = `SELECT COUNT(*) AS total, COUNT(DISTINCT place) AS places FROM (
      SELECT CONCAT(millrace.source, '@', CAST(millrace.position AS STRING)) AS place FROM logs.events
      UNION ALL SELECT CONCAT(source, '@', CAST(position AS STRING)) FROM logs.millrace_dead_letters_open)`
    for await (const row of this.#warehouse.query(sql))
      return { places: Number(row['places']), total: Number(row['total']) }
    return { places: 0, total: 0 }
  }

  async #stop(): Promise<void> {
    const ends = [...this.#workers].map((worker) => once(worker, 'exit'))
    for (const worker of this.#workers) worker.kill('SIGKILL')
    await Promise.all(ends)
    this.#warehouse.close()
    await this.#client.close()
    await this.#bigQuery.stop()
    await this.#kafka.stop()
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 3 })
  }
}

process.exitCode = (await new Chaos(Number(values.seed)).run(durationMs)) ? 0 : 1
