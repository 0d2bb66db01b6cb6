import { setTimeout as delay } from 'node:timers/promises'
import { aborted } from 'node:util'
import type { Config } from '../../shared/config/index.ts'
import { createLog, servePages } from '../../shared/telemetry/index.ts'
import type { AcceptLoss } from './accept-loss.ts'
import { type Consumer, openConsumer, topicsOf } from './consumer.ts'
import { metricsPage } from './metrics.ts'
import { groupOf } from './prepare-commits.ts'

export { parseAcceptLoss } from './accept-loss.ts'

const METRICS_EVERY_MS = 60_000
/** Of the time that the platform gives a process to stop, this much is for the hand-over; the rest for saying good-bye. */
const LEAVE_SHARE = 0.75

export interface WorkerOptions {
  /** Asks it to stop: it finishes what is under way, commits `clean`, and leaves. */
  readonly signal: AbortSignal
  readonly acceptLoss?: AcceptLoss
}

/**
 * Carries every route's topic into its table, until the signal fires.
 * @throws UserError when the configuration, a schema, a table or the rights do not allow it
 */
export async function runWorker(config: Config, { signal, acceptLoss }: WorkerOptions): Promise<void> {
  const log = createLog('kafka-worker')
  let consumer: Consumer | undefined
  const snapshot = () => consumer?.metrics.snapshot(consumer.gauges()) ?? {}
  // Before it joins: whoever cannot listen must take no partition.
  const server = await serveHealth(config, () => consumer?.assignment !== undefined, snapshot)
  let tick: NodeJS.Timeout | undefined
  try {
    const leaveWithinMs = config.consumer.stop_within * LEAVE_SHARE
    consumer = await openConsumer(config, { mode: 'worker', log, leaveWithinMs, acceptLoss })
    log.info({ group: groupOf(config, 'worker'), topics: topicsOf(config) }, 'started')
    tick = setInterval(() => log.info({ metrics: snapshot() }, 'millrace.metrics'), METRICS_EVERY_MS)
    await Promise.race([aborted(signal, consumer), consumer.done])
  } finally {
    clearInterval(tick)
    await Promise.race([consumer?.close(), delay(config.consumer.stop_within, undefined, { ref: false })])
    server?.close()
    if (consumer) log.info({ metrics: snapshot() }, 'stopped')
  }
}

/** `/live` and `/ready` (it takes part in its group) for probes, and `/metrics`. Undefined: no port is configured. */
async function serveHealth({ consumer }: Config, isReady: () => boolean, snapshot: () => Record<string, unknown>) {
  const port = consumer.port ?? process.env['PORT']
  if (port === undefined || port === '') return undefined
  const server = await servePages(port, 'consumer.port, or PORT of the environment', {
    '/live': () => [200, ''],
    '/ready': () => [isReady() ? 200 : 503, ''],
    '/metrics': () => metricsPage(snapshot()),
  })
  return server.unref()
}
