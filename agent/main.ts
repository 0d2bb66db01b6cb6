import type { Config } from '../shared/config/index.ts'
import { openBucket } from '../shared/chunks/index.ts'
import { connectKafka } from '../shared/kafka/index.ts'
import { createLog, type Log } from '../shared/telemetry/index.ts'
import { type FollowedLog, Follower, LogPattern } from './follow/index.ts'
import { HostLock, Publisher, Waker } from './publish/index.ts'
import { Uploader } from './upload/index.ts'
import { FolderWatch } from './watch.ts'

/** Between two rounds of the uploader, at most. */
const UPLOAD_EVERY_MS = 1000

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
    new Publisher(client, follower, lock, waker, {
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
      report,
    })
  const uploader = new Uploader(config.bucket ? openBucket(config, 'agent') : undefined, follower, publisher, {
    agent: agent.id,
    routes: new Map(agent.logs.map(({ route }) => [route, config.routes[route]!])),
    everyMs: Math.min(UPLOAD_EVERY_MS, agent.finish_after / 2),
    finishAfterMs: agent.finish_after,
    handoverAfterMs: agent.handover_after,
    afterUpload: agent.after_upload,
    report,
  })
  const looking = setInterval(() => watch.follow(follower.folders), agent.poll_interval)
  try {
    await follower.look()
    watch.follow(follower.folders)
    await together(signal, (ending) => [publisher?.run(ending), uploader.run(ending)])
  } finally {
    clearInterval(looking)
    watch.close()
    follower.close()
    await client?.close()
    lock.release()
    log.info('stopped')
  }
}

/** Runs tasks side by side: the first that fails ends the others too. */
async function together(
  signal: AbortSignal,
  start: (signal: AbortSignal) => (Promise<void> | undefined)[],
): Promise<void> {
  const failed = new AbortController()
  const tasks = start(AbortSignal.any([signal, failed.signal]))
  for (const task of tasks) task?.catch(() => failed.abort())
  const results = await Promise.allSettled(tasks)
  for (const result of results) if (result.status === 'rejected') throw result.reason
}

function followedLogs(config: Config): FollowedLog[] {
  return config.agent.logs.map(({ path, route, complete }) => ({
    pattern: new LogPattern(path),
    route,
    framing: { kind: config.routes[route]!.framing, maxEventBytes: config.agent.max_event_bytes },
    complete,
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
