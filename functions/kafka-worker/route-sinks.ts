import { openCodec, type RowCodec } from '../../shared/codec/index.ts'
import type { Config, Route } from '../../shared/config/index.ts'
import type { Log } from '../../shared/telemetry/index.ts'
import { beside, DEAD_LETTERS, ensureRouteTables, type Warehouse } from '../../shared/warehouse/index.ts'
import { type LetterWriter, openLetterWriter } from '../../shared/dead-letters/index.ts'

/** Where a route's rows and dead letters go. */
export interface RouteSink {
  readonly route: Route
  readonly codec: RowCodec
  readonly letters: LetterWriter
  /** Makes sure that the route's tables are there: they may have been deleted meanwhile. */
  ensureTables(): Promise<unknown>
}

/** By topic, of which each has one route. Tables are made, or gain columns, before the first record is read. */
export async function openSinks(
  config: Config,
  routes: readonly Route[],
  warehouse: Warehouse,
  log: Log,
): Promise<Map<string, RouteSink>> {
  const letters = new Map<string, LetterWriter>()
  const sinks = new Map<string, RouteSink>()
  for (const route of routes) {
    const { topic = '', table } = route
    const codec = openCodec(route)
    const ensureTables = () => ensureRouteTables(warehouse, config, route, codec.fields)
    await ensureTables()
    const dataset = `${table.project}.${table.dataset}`
    const writer =
      letters.get(dataset) ?? openLetterWriter(warehouse, beside(table, DEAD_LETTERS.name), ensureTables, log)
    letters.set(dataset, writer)
    sinks.set(topic, { route, codec, letters: writer, ensureTables })
  }
  return sinks
}
