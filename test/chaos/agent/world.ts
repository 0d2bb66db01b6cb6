import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { stringify } from 'yaml'
import { createFaults } from '../../../local/faults/index.ts'
import { createTopics, type RunningKafka, startKafka } from '../../../local/kafka/index.ts'
import { type RunningStorage, startStorage } from '../../../local/storage/index.ts'
import { type Bucket, openBucket } from '../../../shared/chunks/index.ts'
import { loadConfig } from '../../../shared/config/index.ts'
import { connectKafka, type KafkaClient, topicOffsets } from '../../../shared/kafka/index.ts'
import { carriedLines } from '../../support/carried.ts'
import { eventually } from '../../support/eventually.ts'
import { LogWriter } from '../../support/log-writer.ts'
import { type KafkaProxy, startProxy } from '../../support/proxy.ts'
import { Random } from '../../support/random.ts'
import { Children } from '../harness/children.ts'
import { whatStruck } from '../harness/faults.ts'
import type { Verdict, World } from '../harness/program.ts'
import { Wire } from '../harness/wire.ts'
import { compareCarried, type Lines } from './compare.ts'
import type { AgentHarm } from './plan.ts'
import { rotate } from './rotate.ts'

const BUCKET = 'chaos-chunks'
const TOPIC = 'chaos'
const PARTITIONS = 2
const AGENTS_MAX = 4
const BEAT_MS = 10
const LINES_A_BEAT_MAX = 200
const BEGIN_WITHIN_MS = 60_000
/** After the last harm: so long may it take until every line is carried. */
const HEAL_WITHIN_MS = 120_000
/** Nothing has changed for so long: longer than `finish_after`, `handover_after` and the retries of whoever has still to decide. */
const QUIET_MS = 8000
/** Nobody is going to carry what is missing by now: longer than any retry, and than Kafka keeps an open transaction of the dead. */
const GIVE_UP_MS = 45_000
const MUTANTS = new URL('./mutants.ts', import.meta.url)

type Carried = Lines & { readonly undecided: number; readonly byChunks: number }

/** Agents between a log that is written and rotated, a real broker and the stand-in of a bucket. */
export class AgentWorld implements World<AgentHarm> {
  readonly #folder: string
  readonly #random: Random
  readonly #writer: LogWriter
  readonly #faults = createFaults()
  readonly #agents: Children
  readonly #done = new AbortController()
  #writing: Promise<void> = Promise.resolve()
  #kafka!: RunningKafka
  #proxy!: KafkaProxy
  #wire!: Wire
  #storage!: RunningStorage
  #client!: KafkaClient
  #bucket!: Bucket
  /** What tells hosts apart is their lock file. */
  #host = 0

  constructor(folder: string, seed: number) {
    this.#folder = folder
    this.#random = new Random(seed)
    this.#writer = new LogWriter(join(folder, 'app.log'))
    this.#agents = new Children({
      folder: join(folder, 'agents'),
      args: () => ['agent', '--config', this.#configFile()],
      mutants: MUTANTS,
      atLeast: 1,
      atMost: AGENTS_MAX,
    })
  }

  async start(failed: (error: Error) => void): Promise<void> {
    this.#kafka = await startKafka({ dataDir: join(this.#folder, 'kafka'), onCrash: failed })
    this.#proxy = await startProxy(this.#kafka.brokers)
    this.#wire = new Wire(this.#proxy)
    this.#storage = await startStorage({
      dataDir: join(this.#folder, 'storage'),
      buckets: [BUCKET],
      faults: this.#faults,
    })
    this.#client = connectKafka({ brokers: [this.#kafka.brokers], auth: 'none', tls: false }, 'chaos')
    await createTopics(this.#client, [{ topic: TOPIC, partitions: PARTITIONS }])
    this.#bucket = openBucket(loadConfig(this.#configFile(), {}), 'chaos')
  }

  #configFile(): string {
    const file = join(this.#folder, `millrace-${this.#host}.yaml`)
    const agent = {
      id: 'chaos',
      logs: [{ path: this.#writer.path, route: 'lines' }],
      linger: '5ms',
      poll_interval: '100ms',
      batch_bytes: '256KiB',
      finish_after: '1s',
      handover_after: '4s',
      after_upload: 'delete',
      lock_file: join(this.#folder, `host-${this.#host}.lock`),
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

  async begin(): Promise<void> {
    this.#writing = this.#write(this.#done.signal)
    this.#writing.catch(() => undefined) // the verdict waits for it
    this.#agents.ensure()
    const begun = async () => (await topicOffsets(this.#client, [TOPIC])).some(({ end }) => end > 0)
    await eventually(begun, { timeoutMs: BEGIN_WITHIN_MS, what: 'the first lines in the topic' })
  }

  async #write(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#writer.write(1 + this.#random.below(LINES_A_BEAT_MAX))
      await delay(BEAT_MS)
    }
  }

  async act(harm: AgentHarm): Promise<void> {
    switch (harm.kind) {
      case 'kill -9':
        return this.#agents.kill(harm.nth)
      case 'stop':
        return this.#agents.stop(harm.nth)
      case 'reload':
        return this.#agents.tell(harm.nth, 'SIGHUP')
      case 'freeze':
        this.#host++ // whoever takes over is on another host
        return this.#agents.freeze(harm.nth, harm.forMs)
      case 'cut':
        return this.#proxy.cutAll()
      case 'request':
        return this.#wire.add(harm)
      case 'fault':
        return this.#faults.add(harm.rule)
      case 'rotate':
        return rotate(this.#writer.path, harm)
      case 'broker':
        await this.#kafka.kill()
        await delay(harm.downMs)
        return this.#kafka.restart()
    }
  }

  async verdict(): Promise<Verdict> {
    const begunMs = performance.now()
    this.#done.abort()
    await this.#writing
    const struck = whatStruck(this.#faults.plan())
    this.#faults.clear()
    const met = this.#wire.heal()
    this.#agents.wakeAll()
    const { missing, duplicates, alien, undecided, byChunks } = await this.#settled()
    const healSeconds = Math.round((performance.now() - begunMs) / 1000)
    const late = await this.#agents.stopAll()
    return {
      missing,
      duplicates: duplicates + alien,
      wrong: [
        ...(undecided > 0 ? [`${undecided} chunks are undecided`] : []),
        ...(alien > 0 ? [`${alien} lines that were never written so`] : []),
        ...(late.length > 0 ? [`agents ${late.join(', ')} did not end after SIGTERM`] : []),
      ],
      notes: [
        `${this.#writer.count} lines written, ${byChunks} of them carried by chunks; healed in ${healSeconds} s`,
        this.#agents.report(),
        struck,
        `requests to the broker: ${met || 'none met'}`,
      ],
    }
  }

  /** What is carried when nothing changes any more: when all is well, or the time is over. */
  async #settled(): Promise<Carried> {
    const deadline = performance.now() + HEAL_WITHIN_MS
    let [state, sinceMs] = ['', performance.now()]
    let carried: Carried | undefined
    for (;;) {
      await delay(500)
      this.#agents.ensure()
      const seen = await this.#state()
      if (seen !== state) [state, sinceMs, carried] = [seen, performance.now(), undefined]
      const quietMs = performance.now() - sinceMs
      const isOver = performance.now() > deadline || quietMs > GIVE_UP_MS
      if (!isOver && (carried || quietMs < QUIET_MS)) continue
      carried = await this.#carried()
      if (isOver || (carried.missing === 0 && carried.undecided === 0)) return carried
    }
  }

  /** Changes with all that an agent still does: records, chunks, files that are gone. */
  async #state(): Promise<string> {
    const ends = (await topicOffsets(this.#client, [TOPIC])).map(({ end }) => end)
    const chunks = await Array.fromAsync(this.#bucket.list('lines/'), ({ name, metageneration }) => [
      name,
      metageneration,
    ])
    return JSON.stringify([ends, chunks, readdirSync(this.#folder)])
  }

  async #carried(): Promise<Carried> {
    const { values, ...chunks } = await carriedLines(this.#client, TOPIC, this.#bucket, 'lines/')
    return { ...compareCarried(values, this.#writer.count), ...chunks }
  }

  tails(): string {
    return this.#agents.tails()
  }

  async close(): Promise<void> {
    this.#done.abort()
    await this.#agents.killAll()
    await this.#client?.close()
    await this.#proxy?.close()
    await this.#storage?.stop()
    await this.#kafka?.stop()
  }
}
