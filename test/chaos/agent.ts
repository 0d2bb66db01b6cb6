import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { stringify } from 'yaml'
import { createFaults, type FaultRule } from '../../local/faults/index.ts'
import { type RunningKafka, startKafka } from '../../local/kafka/index.ts'
import { type RunningStorage, startStorage } from '../../local/storage/index.ts'
import { type Bucket, openBucket } from '../../shared/chunks/index.ts'
import { loadConfig } from '../../shared/config/index.ts'
import { connectKafka, createTopics, type KafkaClient } from '../../shared/kafka/index.ts'
import { createRandom, type Random } from '../models/kafka-to-bigquery/services.ts'
import { carriedLines } from '../support/carried.ts'
import { compareLines, LogWriter } from '../support/log-writer.ts'
import { type KafkaProxy, startProxy } from '../support/proxy.ts'

/**
 * `npm run chaos -- agent --seed S --for 60s`: steady writing and rotation, while a seeded schedule kills the agent,
 * freezes it until another one has taken over, cuts its connections, kills the broker and makes the bucket fail. At the
 * end everything heals, and each line must be carried once: by the topic, or by the range of a chunk. Last line:
 * `missing=N duplicates=N`; exit 1 unless both are 0.
 */

const RUN_AGENT = join(import.meta.dirname, '..', 'support', 'run-agent.ts')
const BUCKET = 'chaos-chunks'
const TOPIC = 'chaos'
const PAUSE_MS_MAX = 1500
/** After the last harm: so long may it take until every line is carried. */
const HEAL_WITHIN_MS = 90_000

const { values } = parseArgs({
  options: { seed: { type: 'string', default: '1' }, for: { type: 'string', default: '60s' } },
})
const durationMs = Number(values.for.replace(/s$/, '')) * 1000

type Harm = readonly [name: string, harm: () => void | Promise<void>]

class Chaos {
  readonly #random: Random
  readonly #folder = mkdtempSync(join(tmpdir(), 'millrace-chaos-'))
  readonly #writer = new LogWriter(join(this.#folder, 'app.log'))
  readonly #faults = createFaults()
  readonly #agents = new Set<ChildProcess>()
  readonly #done = new Map<string, number>()
  #kafka!: RunningKafka
  #proxy!: KafkaProxy
  #storage!: RunningStorage
  #client!: KafkaClient
  #bucket!: Bucket
  #hosts = 0

  constructor(seed: number) {
    this.#random = createRandom(seed)
  }

  async run(forMs: number): Promise<boolean> {
    await this.#start()
    try {
      const until = Date.now() + forMs
      const writing = this.#write(until)
      this.#startAgent()
      while (Date.now() < until) {
        await delay(this.#random.below(PAUSE_MS_MAX))
        await this.#harm()
      }
      await writing
      return await this.#verdict()
    } finally {
      await this.#stop()
    }
  }

  async #start(): Promise<void> {
    this.#kafka = await startKafka({ dataDir: join(this.#folder, 'kafka') })
    this.#proxy = await startProxy(this.#kafka.brokers)
    this.#storage = await startStorage({
      dataDir: join(this.#folder, 'storage'),
      buckets: [BUCKET],
      faults: this.#faults,
    })
    this.#client = connectKafka({ brokers: [this.#kafka.brokers], auth: 'none', tls: false }, 'chaos')
    await createTopics(this.#client, [{ topic: TOPIC, partitions: 2 }])
    this.#bucket = openBucket(loadConfig(this.#configFile(), {}), 'chaos')
  }

  /** A configuration for this host: what distinguishes hosts is their lock file. */
  #configFile(): string {
    const file = join(this.#folder, `millrace-${this.#hosts}.yaml`)
    const agent = {
      id: 'chaos',
      logs: [{ path: this.#writer.path, route: 'lines' }],
      linger: '5ms',
      poll_interval: '100ms',
      batch_bytes: '256KiB',
      finish_after: '1s',
      handover_after: '4s',
      after_upload: 'delete',
      lock_file: join(this.#folder, `host-${this.#hosts}.lock`),
    }
    const config = {
      project: 'millrace-chaos',
      dataset: 'logs',
      bucket: BUCKET,
      kafka: { brokers: [this.#proxy.brokers] },
      endpoints: { storage: this.#storage.endpoint },
      routes: { lines: { topic: TOPIC, format: 'raw', table: 'lines' } },
      agent,
    }
    writeFileSync(file, stringify(config))
    return file
  }

  #startAgent(): void {
    const agent = spawn(process.execPath, [RUN_AGENT, this.#configFile()], {
      stdio: ['ignore', 'ignore', process.env['CHAOS_LOG'] ? 'inherit' : 'ignore'],
    })
    this.#agents.add(agent)
    agent.once('exit', () => this.#agents.delete(agent))
  }

  async #write(until: number): Promise<void> {
    for (let beat = 0; Date.now() < until; beat++) {
      this.#writer.write(1 + this.#random.below(200))
      if (this.#random.chance(0.02)) this.#rotate()
      await delay(10)
    }
  }

  #rotate(): void {
    if (this.#random.chance(0.7)) return this.#writer.rotate()
    const { path } = this.#writer
    if (readFileSync(path).length === 0) return
    let last = 1
    while (existsSync(`${path}.${last}`)) last++
    for (let n = last; n > 1; n--) renameSync(`${path}.${n - 1}`, `${path}.${n}`)
    copyFileSync(path, `${path}.1`)
    truncateSync(path, 0)
  }

  // What goes wrong.

  async #harm(): Promise<void> {
    const harms: Harm[] = [
      ['kill -9', () => this.#kill()],
      ['kill -9', () => this.#kill()],
      ['freeze', () => this.#freeze()],
      ['cut', () => this.#proxy.cutAll()],
      ['cut', () => this.#proxy.cutAll()],
      ['bucket', () => this.#failBucket()],
      ['bucket', () => this.#failBucket()],
      ['broker', () => this.#restartBroker()],
    ]
    const [name, harm] = this.#random.pick(harms)
    this.#done.set(name, (this.#done.get(name) ?? 0) + 1)
    await harm()
    if (this.#agents.size === 0) this.#startAgent()
  }

  async #kill(): Promise<void> {
    const ends = [...this.#agents].map((agent) => once(agent, 'exit'))
    for (const agent of this.#agents) agent.kill('SIGKILL')
    await Promise.all(ends)
  }

  /** Frozen until another one, which takes itself for the same on another host, has taken over: it wakes as a zombie. */
  #freeze(): void {
    const frozen = [...this.#agents]
    for (const agent of frozen) agent.kill('SIGSTOP')
    this.#hosts++
    this.#startAgent()
    const wake = () => frozen.forEach((agent) => agent.kill('SIGCONT'))
    setTimeout(wake, 500 + this.#random.below(4000)).unref()
  }

  #failBucket(): void {
    const faults: FaultRule['fault'][] = [
      { kind: 'error', code: 'UNAVAILABLE', when: this.#random.pick(['before', 'after'] as const) },
      { kind: 'drop', when: this.#random.pick(['before', 'after'] as const) },
      { kind: 'cut', afterBytes: this.#random.below(100_000), then: this.#random.pick(['error', 'drop'] as const) },
    ]
    this.#faults.add({
      service: 'storage',
      entry: 'agent',
      times: 1 + this.#random.below(4),
      fault: this.#random.pick(faults),
    })
  }

  async #restartBroker(): Promise<void> {
    await this.#kafka.kill()
    await delay(this.#random.below(6000))
    await this.#kafka.restart()
  }

  // The proof.

  async #verdict(): Promise<boolean> {
    this.#faults.clear()
    for (const agent of this.#agents) agent.kill('SIGCONT')
    await this.#kill()
    this.#startAgent()
    const deadline = Date.now() + HEAL_WITHIN_MS
    for (;;) {
      const { numbers, undecided } = await carriedLines(this.#client, TOPIC, this.#bucket, 'lines/')
      const { missing, doubled } = compareLines(numbers, this.#writer.count)
      if ((missing > 0 || undecided > 0) && Date.now() < deadline) {
        await delay(1000)
        continue
      }
      const harms = [...this.#done].map(([name, times]) => `${name} ${times}`).join(', ')
      process.stdout.write(
        `seed ${values.seed}: ${this.#writer.count} lines; ${harms}; undecided chunks: ${undecided}\n`,
      )
      process.stdout.write(`missing=${missing} duplicates=${doubled}\n`)
      return missing === 0 && doubled === 0 && undecided === 0
    }
  }

  async #stop(): Promise<void> {
    for (const agent of this.#agents) agent.kill('SIGCONT')
    await this.#kill()
    await this.#client.close()
    await this.#proxy.close()
    await this.#storage.stop()
    await this.#kafka.stop()
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 3 })
  }
}

process.exitCode = (await new Chaos(Number(values.seed)).run(durationMs)) ? 0 : 1
