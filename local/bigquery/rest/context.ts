import type { DuckDBConnection } from '@duckdb/node-api'
import type { Clock } from '../../clock/index.ts'
import type { Dataset, Table, TableBody } from '../catalog/state.ts'
import type { TableWatch } from '../catalog/table-watch.ts'
import type { Store } from '../store/store.ts'
import type { TableField } from '../types.ts'
import { notBuilt, notFound } from './errors.ts'
import type { Jobs } from './jobs.ts'
import { param, type Request } from './exchange.ts'

/** What the methods of the REST API work on. */
export interface Context {
  readonly store: Store
  readonly clock: Clock
  readonly watch: TableWatch
  readonly jobs: Jobs
}

/** The dataset of a path. */
export function datasetOf({ store }: Context, request: Request): Dataset {
  const [project, dataset] = [param(request, 'project'), param(request, 'dataset')]
  const found = store.catalog.state.datasets.get(`${project}.${dataset}`)
  if (found === undefined) throw notFound(`Dataset ${project}:${dataset}`)
  return found
}

/** The table of a path. */
export function tableOf(context: Context, request: Request): Table {
  const { project, dataset } = datasetOf(context, request)
  const name = param(request, 'table')
  const table = context.store.catalog.state.tables.get(`${project}.${dataset}.${name}`)
  if (table === undefined) throw notFound(`Table ${project}:${dataset}.${name}`)
  return table
}

/** A connection whose snapshot has every acknowledged row of the tables. The caller closes it. */
export function snapshot({ store }: Context, tables: readonly Table[]): Promise<DuckDBConnection> {
  if (store.warehouse === undefined) throw notBuilt('Reading from a store that only counts')
  return store.snapshot(tables)
}

/** The columns of a stored table. */
export function fieldsOf(body: TableBody): readonly TableField[] {
  return body.schema?.fields ?? []
}
