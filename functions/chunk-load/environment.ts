import { setTimeout as pause } from 'node:timers/promises'
import { type Bucket, openBucket } from '../../shared/chunks/index.ts'
import type { Config } from '../../shared/config/index.ts'
import { createLog, type Log } from '../../shared/telemetry/index.ts'
import { openWarehouse, type Warehouse } from '../../shared/warehouse/index.ts'
import { openTables, type Tables } from './tables.ts'

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
  readonly tables: Tables
  readonly log: Log
  readonly clock: Clock
}

/** The environment of a function that loads chunks: clients are opened once for an instance. */
export function openEnvironment(config: Config, entry: string): Environment {
  const warehouse = openWarehouse(config, entry)
  return {
    config,
    bucket: openBucket(config, entry),
    warehouse,
    tables: openTables(config, warehouse),
    log: createLog(entry),
    clock: { nowMs: Date.now, pause },
  }
}
