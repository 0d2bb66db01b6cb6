import { once } from 'node:events'
import type { Server } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { openBucket } from '../shared/chunks/index.ts'
import type { Config } from '../shared/config/index.ts'
import { framingOf } from '../shared/framing/index.ts'
import { connectKafka, type KafkaClient } from '../shared/kafka/index.ts'
import type { Log } from '../shared/telemetry/index.ts'
import { type FollowedLog, Follower, LogPattern, RateLimit } from './follow/index.ts'
import { type HostLock, positionsStore, Publisher, Waker } from './publish/index.ts'
import { measures, serveStatus } from './status.ts'
import { Uploader } from './upload/index.ts'
import { FolderWatch } from './watch.ts'

const METRICS_EVERY_MS = 60_000
/** Longer than an operator takes to see what is wrong, shorter than most lives: what was deleted between two of them retires. */
const UNSEEN_MS = 12 * 3_600_000

/** What outlives a reload. */
export interface Host {
  readonly lock: HostLock
  readonly log: Log
  /** Where to begin in topics whose positions Kafka has forgotten. */
  readonly from: 'start' | 'end' | undefined
  /** Sources of the lives before: their logs may have left the configuration, so nobody may say that their files are gone. */
  readonly parked: Set<string>
}

/** The agent with one configuration, from its start to its end, or to the next configuration. */
export class Life {
  readonly config: Config
  readonly follower: Follower
  readonly publisher: Publisher | undefined
  readonly uploader: Uploader
  readonly startedMs = Date.now()
  readonly #host: Host
  readonly #waker = new Waker()
  readonly #client: KafkaClient | undefined
  readonly #stop = new AbortController()
  #isRunning = false

  /** Makes all that can be made without touching anything. @throws UserError for what is unreadable in the configuration */
  constructor(config: Config, host: Host) {
    this.config = config
    this.#host = host
    const { agent } = config
    const report = reporter(host.log, (about) => hintOn(about, config))
    this.follower = new Follower({ agent, logs: followedLogs(config), report })
    const topics = topicsOf(config)
    if (config.kafka && topics.length > 0) {
      this.#client = connectKafka(config.kafka, `millrace-agent-${agent.id}`)
      this.publisher = this.#openPublisher(this.#client, topics, report)
    }
    this.uploader = this.#openUploader(report)
  }

  /** It has done with its configuration what a wrong one cannot: begun, and been in touch with Kafka if it has topics. */
  get hasBegun(): boolean {
    return this.publisher ? this.publisher.counts.sessions > 0 : this.#isRunning
  }

  /** Has `run` come to its end as at the signal. */
  stop(): void {
    this.#stop.abort()
  }

  /** Runs until the signal, or `stop`. Rejects with UserError for what only an operator can mend. */
  async run(signal: AbortSignal): Promise<void> {
    const { agent } = this.config
    const follower = this.follower
    const watch = new FolderWatch((name) => {
      follower.touch(name)
      this.#waker.wake()
    })
    const looking = setInterval(() => watch.follow(follower.files.folders), agent.poll_interval)
    const tell = () => this.#host.log.info({ metrics: measures(this) }, 'millrace.metrics')
    const metrics = setInterval(tell, METRICS_EVERY_MS)
    const ending = AbortSignal.any([signal, this.#stop.signal])
    ending.addEventListener('abort', () => this.#waker.wake())
    let publishing: Promise<void> | undefined
    let server: Server | undefined
    try {
      if (agent.port !== undefined) server = await serveStatus(agent.port, this)
      await follower.look()
      watch.follow(follower.files.folders)
      this.#isRunning = true
      publishing = this.publisher?.run(ending)
      // Who does not know yet what Kafka has carried would upload again what was uploaded long ago.
      const tried = Promise.race([this.publisher?.tried, publishing])
      const uploading = tried.then(() => this.uploader.run(ending))
      await Promise.race([Promise.all([publishing, uploading]), later(ending, agent.stop_within)])
    } finally {
      this.#stop.abort() // if one of the two has failed, the other one is to end
      clearInterval(looking)
      clearInterval(metrics)
      server?.close()
      server?.closeAllConnections()
      // Another life in this process: this one may send nothing after that one has fenced it.
      if (!signal.aborted) await publishing?.catch(() => undefined)
      watch.follow([])
      follower.close()
      await this.#client?.close()
    }
  }

  #openPublisher(client: KafkaClient, topics: readonly string[], report: Report): Publisher {
    const { agent, routes } = this.config
    const { lock, from } = this.#host
    return new Publisher({
      store: positionsStore(client),
      follower: this.follower,
      lock,
      waker: this.#waker,
      agent,
      topicOf: (route) => routes[route]?.topic,
      topics,
      from: { new: from ?? agent.from, forgotten: from },
      leaves: (followed) => this.uploader.takesOver(followed),
      report,
    })
  }

  #openUploader(report: Report): Uploader {
    const { agent, bucket, routes } = this.config
    return new Uploader({
      bucket: bucket ? openBucket(this.config, 'agent') : undefined,
      follower: this.follower,
      publisher: this.publisher,
      agent,
      routes: new Map(agent.logs.map(({ route }) => [route, routes[route]!])),
      parked: this.#host.parked,
      unseenMs: UNSEEN_MS,
      report,
    })
  }
}

type Report = (about: string, message: string) => void

/** Topics of the logs that are followed. */
export function topicsOf({ agent, routes }: Config): string[] {
  return [...new Set(agent.logs.flatMap(({ route }) => routes[route]?.topic ?? []))]
}

/** So long after the signal. */
async function later(signal: AbortSignal, ms: number): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort')
  await delay(ms, undefined, { ref: false })
}

function followedLogs(config: Config): FollowedLog[] {
  return config.agent.logs.map(({ path, route, complete, rate_limit }) => ({
    pattern: new LogPattern(path),
    route,
    framing: framingOf(config.routes[route]!, config.agent.max_event_bytes),
    complete,
    ...(rate_limit ? { rate: new RateLimit(rate_limit, config.agent.poll_interval, Date.now()) } : {}),
  }))
}

/** Says what is wrong once, and that it is over when it is: an empty message. */
function reporter(log: Log, hintOn: (about: string) => object): Report {
  const wrong = new Map<string, string>()
  return (about, message) => {
    if ((wrong.get(about) ?? '') === message) return
    if (message) log.warn({ about, ...hintOn(about) }, message)
    else log.info({ about }, `over: ${wrong.get(about)}`)
    if (message) wrong.set(about, message)
    else wrong.delete(about)
  }
}

/** Where the configuration names what is wrong, and what to do; the agent goes on by itself when it is done. */
function hintOn(about: string, { file, kafka, bucket, routes }: Config): object {
  const hint = (key: string, value: string | undefined, fix: string) => ({ file, key, value, fix })
  const forKafka = 'start the brokers, open the way to them, or correct kafka.auth and the rights of this agent'
  if (about === 'kafka') return hint('kafka.brokers', kafka?.brokers.join(', '), forKafka)
  const forBucket = 'create it, or give this account the right to list, write and change its objects; chunks wait'
  if (about === 'bucket') return hint('bucket', bucket, forBucket)
  const route = Object.values(routes).find(({ topic }) => topic === about)
  const forTopic = 'create the topic, or give this agent the right to read and write it; its events wait in their files'
  return route ? hint(`routes.${route.name}.topic`, about, forTopic) : {}
}
