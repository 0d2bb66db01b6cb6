import { createLog } from '../shared/telemetry/index.ts'
import { EXIT_FOUND } from './command.ts'

/**
 * Aborted at the first SIGINT or SIGTERM: finish what is under way. What has not ended after `withinMs` ends at once: a
 * broker that does not answer must not hold a process up, and every protocol survives that death like any other.
 */
export function stopSignal(withinMs?: number): AbortSignal {
  const stop = new AbortController()
  const begin = (name: string) => {
    stop.abort(name)
    if (withinMs !== undefined) setTimeout(endAtOnce, withinMs, withinMs).unref()
  }
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, begin)
  return stop.signal
}

function endAtOnce(withinMs: number): void {
  createLog('stop').warn(`not finished within ${withinMs} ms: ends as if it were killed`)
  process.exit(EXIT_FOUND)
}
