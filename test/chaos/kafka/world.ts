import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type RunningBigQuery, startBigQuery } from '../../../local/bigquery/index.ts'
import { createClock, createFaults, createRecorder } from '../../../local/faults/index.ts'
import { createTopics, type RunningKafka, startKafka } from '../../../local/kafka/index.ts'
import { runAudit } from '../../../shared/audit/index.ts'
import { type Config, loadConfig } from '../../../shared/config/index.ts'
import {
  type Committed,
  connectKafka,
  type KafkaClient,
  readCommits,
  topicOffsets,
} from '../../../shared/kafka/index.ts'
import { openWarehouse, type Warehouse } from '../../../shared/warehouse/index.ts'
import { eventually } from '../../support/eventually.ts'
import { type KafkaProxy, startProxy } from '../../support/proxy.ts'
import { Children } from '../harness/children.ts'
import { whatStruck } from '../harness/faults.ts'
import { tally } from '../harness/plan.ts'
import type { Verdict, World } from '../harness/program.ts'
import { comparePlaces } from './compare.ts'
import { type KafkaHarm, SESSION_MS } from './plan.ts'
import { ChaosPublisher, EVENT_FIELDS } from './publisher.ts'
import { Wire } from '../harness/wire.ts'

const PARTITIONS = 3
const WORKERS_MIN = 2
const WORKERS_MAX = 4
const DAY_MS = 24 * 3_600_000
const BEGIN_WITHIN_MS = 60_000
/** After the last harm: so long may it take until the group has passed everything. */
const HEAL_WITHIN_MS = 90_000
/** Longer than anything hangs. */
const HANGS_MS_MAX = 60_000
const MUTANTS = new URL('./mutants.ts', import.meta.url)

/** Workers between a real broker and the BigQuery stand-in, and a publisher that no harm but the broker's reaches. */
export class KafkaWorld implements World<KafkaHarm> {
  readonly #folder: string
  readonly #configFile: string
  readonly #workers: Children
  readonly #faults = createFaults()
  readonly #clock = createClock()
  #kafka!: RunningKafka
  #proxy!: KafkaProxy
  #wire!: Wire
  #bigQuery!: RunningBigQuery
  #config!: Config
  #client!: KafkaClient
  #warehouse!: Warehouse
  #publisher!: ChaosPublisher
  readonly #done = new AbortController()
  #publishing: Promise<void> = Promise.resolve()
  #topic = ''

  constructor(folder: string) {
    this.#folder = folder
    this.#configFile = join(folder, 'millrace.yaml')
    this.#workers = new Children({
      folder: join(folder, 'workers'),
      args: () => ['worker', '--config', this.#configFile],
      mutants: MUTANTS,
      atLeast: WORKERS_MIN,
      atMost: WORKERS_MAX,
    })
  }

  async start(failed: (error: Error) => void): Promise<void> {
    const dataDir = join(this.#folder, 'bigquery')
    mkdirSync(dataDir)
    this.#kafka = await startKafka({ dataDir: this.#folder, onCrash: failed })
    this.#proxy = await startProxy(this.#kafka.brokers)
    this.#wire = new Wire(this.#proxy)
    const recorder = createRecorder()
    this.#bigQuery = await startBigQuery({ dataDir, faults: this.#faults, clock: this.#clock, recorder })
    this.#topic = `${this.#kafka.topicPrefix}chaos`
    this.#writeConfig()
    this.#config = loadConfig(this.#configFile, {})
    this.#client = connectKafka({ brokers: [this.#kafka.brokers], auth: 'none', tls: false }, 'chaos')
    await createTopics(this.#client, [{ topic: this.#topic, partitions: PARTITIONS }])
    this.#warehouse = openWarehouse(this.#config, 'chaos')
    this.#publisher = new ChaosPublisher(this.#client, this.#topic, PARTITIONS)
  }

  #writeConfig(): void {
    writeFileSync(join(this.#folder, 'event.json'), JSON.stringify(EVENT_FIELDS))
    const text = `name: chaos
project: millrace-chaos
dataset: logs
kafka: { brokers: ["${this.#proxy.brokers}"] }
consumer: { flush_bytes: 16KiB, flush_after: 20ms, session_timeout: ${SESSION_MS}ms, answer_within: 2s }
endpoints: { bigquery: "${this.#bigQuery.rest}", bigquery_storage: "${this.#bigQuery.grpc}" }
routes:
  events: { topic: ${this.#topic}, schema: event.json, table: events, unknown: reject }
`
    writeFileSync(this.#configFile, text)
  }

  async begin(): Promise<void> {
    this.#publishing = this.#publisher.run(this.#done.signal)
    this.#publishing.catch(() => undefined) // the verdict waits for it
    this.#workers.ensure()
    const begun = async () => (await this.#commits()).some(({ offset }) => offset > 0)
    await eventually(begun, { timeoutMs: BEGIN_WITHIN_MS, what: 'the first events in the table' })
  }

  async act(harm: KafkaHarm): Promise<void> {
    switch (harm.kind) {
      case 'kill -9':
        return this.#workers.kill(harm.nth)
      case 'stop':
        return this.#workers.stop(harm.nth)
      case 'join':
        return this.#workers.add() ? undefined : this.#workers.stop(harm.nth)
      case 'freeze':
        return this.#workers.freeze(harm.nth, harm.forMs)
      case 'expire':
        return this.#clock.advance(4 * DAY_MS)
      case 'cut':
        return this.#proxy.cutAll()
      case 'request':
        return this.#wire.add(harm)
      case 'fault':
        return this.#faults.add(harm.rule)
      case 'broker':
        await this.#kafka.kill()
        await delay(harm.downMs)
        return this.#kafka.restart()
    }
  }

  async verdict(): Promise<Verdict> {
    const begunMs = performance.now()
    const struck = whatStruck(this.#faults.plan())
    this.#done.abort()
    this.#faults.clear()
    const met = this.#wire.heal()
    this.#workers.wakeAll()
    await this.#publishing
    const settled = await this.#settles()
    const healSeconds = Math.round((performance.now() - begunMs) / 1000)
    this.#clock.advance(HANGS_MS_MAX) // what hangs lands now, before it is counted
    const late = await this.#workers.stopAll()
    const places = await comparePlaces(this.#warehouse, this.#publisher.published)
    const { faults, sources, events } = await runAudit(this.#warehouse, this.#config)
    const published = this.#publisher.published.reduce((sum, { events }) => sum + events, 0)
    const { missing, duplicates, alien } = places
    return {
      missing,
      duplicates: duplicates + alien,
      wrong: [
        ...(settled ? [] : ['the group has not passed all that is in the topic']),
        ...(alien > 0 ? [`${alien} rows or dead letters of what was never published so`] : []),
        ...(late.length > 0 ? [`workers ${late.join(', ')} did not end after SIGTERM`] : []),
        ...(faults > 0 || sources !== PARTITIONS ? [`audit: ${faults} faults in ${sources} sources`] : []),
      ],
      notes: [
        `${published} events published; audit: ${events} events in ${sources} sources, ${faults} faults; healed in ${healSeconds} s`,
        this.#workers.report(),
        struck,
        `requests to the broker: ${met || 'none met'}`,
        `take-overs that they told of: ${this.#rulesTold() || 'none'}`,
      ],
    }
  }

  /** Until the group has passed everything that the topic holds. */
  async #settles(): Promise<boolean> {
    const deadline = Date.now() + HEAL_WITHIN_MS
    const ends = await topicOffsets(this.#client, [this.#topic])
    while (Date.now() < deadline) {
      this.#workers.ensure()
      const commits = await this.#commits()
      const passed = ends.every(({ partition, end }) =>
        commits.some((c) => c.partition === partition && c.offset >= end && c.metadata.includes('"intents":[]')),
      )
      if (passed) return true
      await delay(500)
    }
    return false
  }

  async #commits(): Promise<Committed[]> {
    const partitions = Array.from({ length: PARTITIONS }, (_, partition) => ({ topic: this.#topic, partition }))
    return readCommits(this.#client, 'millrace.chaos.worker', partitions)
  }

  /** The protocol's rules that workers log by name. */
  #rulesTold(): string {
    const lines = this.#workers.logs().flatMap((log) => log.lines)
    return tally(lines.flatMap((line) => /"rule":"([^"]+)"/.exec(line)?.[1] ?? []))
  }

  tails(): string {
    return this.#workers.tails()
  }

  async close(): Promise<void> {
    await this.#workers.killAll()
    this.#warehouse?.close()
    await this.#client?.close()
    await this.#proxy?.close()
    await this.#bigQuery?.stop()
    await this.#kafka?.stop()
  }
}
