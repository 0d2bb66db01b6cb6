import { once } from 'node:events'
import type { Server } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from '../shared/config/index.ts'
import { openBucket } from '../shared/chunks/index.ts'
import { connectKafka } from '../shared/kafka/index.ts'
import { framingOf } from '../shared/framing/index.ts'
import { createLog, type Log } from '../shared/telemetry/index.ts'
import { type FollowedLog, Follower, LogPattern, RateLimit } from './follow/index.ts'
import { HostLock, positionsStore, Publisher, Waker } from './publish/index.ts'
import { measures, serveStatus } from './status.ts'
import { Uploader } from './upload/index.ts'
import { FolderWatch } from './watch.ts'

/** Between two rounds of the uploader, at most. */
const UPLOAD_EVERY_MS = 1000
const METRICS_EVERY_MS = 60_000

export interface RunOptions {
  /** Where to begin in topics whose positions Kafka has forgotten. */
  readonly from?: 'start' | 'end'
  /** Ends the agent: it finishes the batch that it has begun. */
  readonly signal: AbortSignal
}

/** Runs the agent until the signal. Rejects with UserError for what only an operator can mend. */
export async function runAgent(config: Config, { from, signal }: RunOptions): Promise<void> {
  const log = createLog('agent')
  const { agent } = config
  const lock = new HostLock(agent.lock_file)
  const report = reporter(log)
  const follower = new Follower({
    agent: agent.id,
    logs: followedLogs(config),
    finishAfterMs: agent.finish_after,
    report: (message) => log.warn(message),
  })
  const waker = new Waker()
  const watch = new FolderWatch(() => waker.wake())
  signal.addEventListener('abort', () => waker.wake())
  const topics = [...new Set(agent.logs.flatMap(({ route }) => config.routes[route]?.topic ?? []))]
  log.info({ agent: agent.id, logs: agent.logs.map(({ path }) => path), topics }, 'started')
  const client =
    config.kafka && topics.length > 0 ? connectKafka(config.kafka, `millrace-agent-${agent.id}`) : undefined
  const publisher =
    client &&
    new Publisher(positionsStore(client), follower, lock, waker, {
      agent: agent.id,
      topicOf: (route) => config.routes[route]?.topic,
      topics,
      lingerMs: agent.linger,
      pollMs: agent.poll_interval,
      batchBytes: agent.batch_bytes,
      maxEventBytes: agent.max_event_bytes,
      compression: agent.compression,
      transactionTimeoutMs: agent.transaction_timeout,
      from: { new: from ?? agent.from, forgotten: from },
      leaves: (followed) => uploader.takesOver(followed),
      report,
    })
  const uploader: Uploader = openUploader(config, follower, publisher, report)
  const looking = setInterval(() => watch.follow(follower.folders), agent.poll_interval)
  const parts = { agent: agent.id, follower, publisher, uploader, startedMs: Date.now() }
  const metrics = setInterval(() => log.info({ metrics: measures(parts) }, 'millrace.metrics'), METRICS_EVERY_MS)
  let server: Server | undefined
  try {
    if (agent.port !== undefined) server = await serveStatus(agent.port, parts)
    await follower.look()
    watch.follow(follower.folders)
    await together(signal, agent.stop_within, (ending) => [
      ...(publisher ? [publisher.run(ending)] : []),
      uploader.run(ending),
    ])
  } finally {
    clearInterval(looking)
    clearInterval(metrics)
    server?.close()
    server?.closeAllConnections()
    watch.close()
    follower.close()
    await client?.close()
    lock.release()
    log.info('stopped')
  }
}

function openUploader(
  config: Config,
  follower: Follower,
  publisher: Publisher | undefined,
  report: (about: string, message: string) => void,
): Uploader {
  const { agent } = config
  return new Uploader(config.bucket ? openBucket(config, 'agent') : undefined, follower, publisher, {
    agent: agent.id,
    routes: new Map(agent.logs.map(({ route }) => [route, config.routes[route]!])),
    everyMs: Math.min(UPLOAD_EVERY_MS, agent.finish_after / 2),
    finishAfterMs: agent.finish_after,
    handoverAfterMs: agent.handover_after,
    afterUpload: agent.after_upload,
    report,
  })
}

/** Runs tasks side by side until the signal, or until one fails; then they have `stopWithinMs` to come to their end. */
async function together(
  signal: AbortSignal,
  stopWithinMs: number,
  start: (signal: AbortSignal) => Promise<void>[],
): Promise<void> {
  const failed = new AbortController()
  const ending = AbortSignal.any([signal, failed.signal])
  const tasks = start(ending)
  for (const task of tasks) task.catch(() => failed.abort())
  const tooLate = once(ending, 'abort').then(() => delay(stopWithinMs, undefined, { ref: false }))
  await Promise.race([Promise.all(tasks), tooLate])
  for (const task of tasks) await Promise.race([task, tooLate])
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
function reporter(log: Log): (about: string, message: string) => void {
  const wrong = new Map<string, string>()
  return (about, message) => {
    if ((wrong.get(about) ?? '') === message) return
    if (message) log.warn({ about }, message)
    else log.info({ about }, `over: ${wrong.get(about)}`)
    if (message) wrong.set(about, message)
    else wrong.delete(about)
  }
}
