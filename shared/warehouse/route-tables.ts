import type { Config, Route } from '../config/index.ts'
import type { TableField } from '../schema/index.ts'
import { beside, DEAD_LETTERS, SOURCES } from './fixed-tables.ts'
import type { TableSpec } from './table-spec.ts'
import type { TableState } from './tables.ts'
import { deadLettersView, onceView, type RouteTable, sourcesView } from './views.ts'
import type { Warehouse } from './warehouse.ts'

/** What a route's table is to be. */
export function tableSpec(route: Route, fields: readonly TableField[]): TableSpec {
  const { partition, cluster, labels, expire_after: expireAfterMs, metadata: ownColumn } = route
  return { fields, partition, cluster, labels, expireAfterMs, ownColumn }
}

/**
 * Makes sure that a route's table and the fixed ones beside it are there, with their views; adds columns that the schema
 * has gained. Gives what became of the route's own table. @throws UserError when it cannot become what is wanted
 */
export async function ensureRouteTables(
  warehouse: Warehouse,
  config: Config,
  route: Route,
  fields: readonly TableField[],
): Promise<TableState> {
  const { table } = route
  const state = await warehouse.ensureTable(table, tableSpec(route, fields))
  await warehouse.ensureTable(beside(table, DEAD_LETTERS.name), DEAD_LETTERS)
  await warehouse.ensureTable(beside(table, SOURCES.name), SOURCES)
  await warehouse.ensureView(sourcesView(table))
  const present = await tablesThere(warehouse, config, route)
  await warehouse.ensureView(deadLettersView(present, table))
  for (const one of present) if (one.push && one.name === route.name) await warehouse.ensureView(onceView(one))
  return state
}

/** Of the routes of a dataset: a view may name only tables that are there, so it is written anew when another route gets its own. */
async function tablesThere(warehouse: Warehouse, { routes }: Config, { table }: Route): Promise<RouteTable[]> {
  const { project, dataset } = table
  const near = Object.values(routes).filter(
    (other) => other.table.project === project && other.table.dataset === dataset,
  )
  const found = await Promise.all(near.map((other) => warehouse.findTable(other.table)))
  return near.flatMap((other, index) => (found[index] ? { ...other, everyRow: found[index].everyRow } : []))
}
