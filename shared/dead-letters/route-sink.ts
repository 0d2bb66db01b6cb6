import { openCodec } from '../codec/index.ts'
import { type Config, type Route, type TableName, tableId } from '../config/index.ts'
import type { Log } from '../telemetry/index.ts'
import {
  type AppenderOptions,
  beside,
  DEAD_LETTERS,
  defaultStream,
  ensureRouteTables,
  openDefaultWriter,
  type Warehouse,
} from '../warehouse/index.ts'
import { openLetterWriter } from './letter-writer.ts'

/** Where a route's rows and dead letters go. */
export type RouteSink = ReturnType<typeof openSink>

/** @throws UserError when the schema is broken */
export function openSink(config: Config, route: Route, warehouse: Warehouse, log: Log, options: AppenderOptions) {
  const codec = openCodec(route)
  /** Makes the route's tables, or has them gain columns; also later: they may have been deleted meanwhile. */
  const ensureTables = async (): Promise<void> => {
    const { kind, gained } = await ensureRouteTables(warehouse, config, route, codec.fields)
    if (kind === 'created') log.warn(`made the table ${tableId(route.table)}`)
    if (kind === 'patched') log.warn(`changed the table ${tableId(route.table)}: gained ${gained.join(', ')}`)
  }
  const openWriter = (table: TableName, descriptor: object) =>
    openDefaultWriter(() => warehouse.openAppender(defaultStream(table), descriptor, options), ensureTables, log)
  const letters = openLetterWriter(openWriter(beside(route.table, DEAD_LETTERS.name), DEAD_LETTERS.descriptor))
  let ensured: Promise<void> | undefined
  /** The same unless it was done before. */
  const ensureOnce = (): Promise<void> =>
    (ensured ??= ensureTables().catch((error: unknown) => {
      ensured = undefined
      throw error
    }))
  return { route, codec, letters, ensureTables, ensureOnce, openWriter }
}
