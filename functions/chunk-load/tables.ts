import { openCodec, type RowCodec } from '../../shared/codec/index.ts'
import type { Config, Route } from '../../shared/config/index.ts'
import { ensureRouteTables, type Warehouse } from '../../shared/warehouse/index.ts'

/** The tables that chunks are loaded into. */
export interface Tables {
  codecOf(route: Route): RowCodec
  /** Makes sure, once for each route, that its table and the fixed ones beside it are there with their views. */
  ensure(route: Route): Promise<unknown>
}

export function openTables(config: Config, warehouse: Warehouse): Tables {
  const codecs = new Map<string, RowCodec>()
  const ensured = new Map<string, Promise<unknown>>()
  const codecOf = (route: Route): RowCodec => {
    const codec = codecs.get(route.name) ?? openCodec(route)
    codecs.set(route.name, codec)
    return codec
  }
  return {
    codecOf,
    ensure(route) {
      const attempt = ensured.get(route.name) ?? ensureRouteTables(warehouse, config, route, codecOf(route).fields)
      ensured.set(route.name, attempt)
      attempt.catch(() => ensured.delete(route.name))
      return attempt
    },
  }
}
