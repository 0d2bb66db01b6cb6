import { setTimeout as pause } from 'node:timers/promises'
import { type Bucket, openBucket } from '../../shared/chunks/index.ts'
import type { Config, Route } from '../../shared/config/index.ts'
import { createLog, type Log } from '../../shared/telemetry/index.ts'
import { openWarehouse, type Warehouse } from '../../shared/warehouse/index.ts'
import { openSink, type RouteSink } from '../kafka-worker/route-sink.ts'

/** The time, as an invocation sees it. */
interface Clock {
  nowMs(): number
  pause(ms: number): Promise<void>
}

/** What the loading of a chunk needs from outside. */
export interface Environment {
  readonly config: Config
  readonly bucket: Bucket
  readonly warehouse: Warehouse
  sinkOf(route: Route): Pick<RouteSink, 'codec' | 'ensureOnce'>
  readonly log: Log
  readonly clock: Clock
}

/** The environment of a function that loads chunks: clients are opened once for an instance. */
export function openEnvironment(config: Config, entry: string): Environment {
  const warehouse = openWarehouse(config, entry)
  const log = createLog(entry)
  const sinks = new Map<Route, RouteSink>()
  return {
    config,
    bucket: openBucket(config, entry),
    warehouse,
    log,
    sinkOf(route) {
      const sink = sinks.get(route) ?? openSink(config, route, warehouse, log, {})
      sinks.set(route, sink)
      return sink
    },
    clock: { nowMs: Date.now, pause },
  }
}
