import type { Config, Route } from '../config/index.ts'
import type { TableField } from '../schema/index.ts'
import { beside, DEAD_LETTERS, SOURCES } from './fixed-tables.ts'
import type { TableSpec } from './table-spec.ts'
import type { TableState } from './tables.ts'
import { deadLettersView, onceView, sourcesView } from './views.ts'
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
  if (route.push) await warehouse.ensureView(onceView(route))
  await warehouse.ensureTable(beside(table, DEAD_LETTERS.name), DEAD_LETTERS)
  await warehouse.ensureTable(beside(table, SOURCES.name), SOURCES)
  await warehouse.ensureView(sourcesView(table))
  const present = await routesWithTable(warehouse, config, route)
  await warehouse.ensureView(deadLettersView(present, table))
  return state
}

/** A view may name only tables that are there: it is written anew when another route of the dataset gets its own. */
async function routesWithTable(warehouse: Warehouse, { routes }: Config, { table }: Route): Promise<Route[]> {
  const { project, dataset } = table
  const near = Object.values(routes).filter(
    (other) => other.table.project === project && other.table.dataset === dataset,
  )
  const present = await Promise.all(near.map((other) => warehouse.findTable(other.table)))
  return near.filter((_, index) => present[index])
}
