import type { Config } from '../shared/config/index.ts'
import { connectKafka } from '../shared/kafka/index.ts'
import { createLog, type Log } from '../shared/telemetry/index.ts'
import { type FollowedLog, Follower, LogPattern } from './follow/index.ts'
import { HostLock, Publisher, Waker } from './publish/index.ts'
import { FolderWatch } from './watch.ts'

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
  const looking = setInterval(() => watch.follow(follower.folders), agent.poll_interval)
  try {
    await follower.look()
    watch.follow(follower.folders)
    if (client) {
      const publisher = new Publisher(client, follower, lock, waker, {
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
      await publisher.run(signal)
    }
  } finally {
    clearInterval(looking)
    watch.close()
    follower.close()
    await client?.close()
    lock.release()
    log.info('stopped')
  }
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
