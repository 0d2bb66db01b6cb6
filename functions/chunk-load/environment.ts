import { setTimeout as delay } from 'node:timers/promises'
import { openBucket } from '../../shared/chunks/index.ts'
import type { Config, Route } from '../../shared/config/index.ts'
import { openSink, type RouteSink } from '../../shared/dead-letters/index.ts'
import { createLog } from '../../shared/telemetry/index.ts'
import { openWarehouse } from '../../shared/warehouse/index.ts'

/** What the loading of a chunk needs from outside. */
export type Environment = ReturnType<typeof openEnvironment>

/** The environment of a function that loads chunks: clients are opened once for an instance. */
export function openEnvironment(config: Config, entry: string) {
  const warehouse = openWarehouse(config, entry)
  const log = createLog(entry)
  const sinks = new Map<Route, RouteSink>()
  return {
    config,
    bucket: openBucket(config, entry),
    warehouse,
    log,
    sinkOf(route: Route): Pick<RouteSink, 'codec' | 'ensureOnce'> {
      const sink = sinks.get(route) ?? openSink(config, route, warehouse, log, {})
      sinks.set(route, sink)
      return sink
    },
    /** The time, as an invocation sees it. */
    clock: { nowMs: () => Date.now(), pause: (ms: number): Promise<void> => delay(ms) },
  }
}
