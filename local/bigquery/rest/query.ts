import { newTable } from '../catalog/new-table.ts'
import { type Table, type TableBody, tableKey } from '../catalog/state.ts'
import {
  type DmlStats,
  type ListedTable,
  type QueryParameter,
  runQuery,
  type TableName,
  type Translated,
  type TranslatedAlter,
  type TranslatedDml,
  type TranslatedView,
  type TranslationContext,
  translateQuery,
} from '../sql/index.ts'
import type { TableField } from '../types.ts'
import { duckName } from '../warehouse/warehouse.ts'
import { isIngestionTime } from '../warehouse/partitions.ts'
import { type Context, fieldsOf, snapshot } from './context.ts'
import { alreadyExists, invalid, notBuilt, notFound } from './errors.ts'
import type { Results } from './results.ts'

/** A statement as the API takes it. */
export interface Statement {
  project: string
  sql: string
  defaultDataset: { project: string; dataset: string } | undefined
  parameters: readonly QueryParameter[]
  parameterMode: 'NAMED' | 'POSITIONAL' | undefined
}

/** What a statement did. */
export interface Done {
  schema: TableField[]
  statementType: string
  tables: TableName[]
  dml?: DmlStats
}

export function translate(context: Context, statement: Statement): Translated {
  const { defaultDataset, parameters, parameterMode } = statement
  return translateQuery(statement.sql, {
    ...translation(context, statement.project),
    parameters,
    ...(defaultDataset && { defaultDataset }),
    ...(parameterMode && { parameterMode }),
  })
}

function translation({ store, clock }: Context, project: string): TranslationContext {
  const { tables, datasets } = store.catalog.state
  return {
    project,
    nowMs: clock.now(),
    resolveTable(owner, dataset, name) {
      const table = tables.get(tableKey({ project: owner, dataset, table: name }))
      if (table === undefined) return undefined
      const { body, uid } = table
      if (body.view) return { kind: 'view', query: body.view.query }
      const partitionTime = isIngestionTime(body)
      return { kind: 'table', duckName: duckName(uid), fields: fieldsOf(body), partitionTime, ...filterOf(body) }
    },
    listTables(owner, dataset) {
      if (!datasets.has(`${owner}.${dataset}`)) return undefined
      return [...tables.values()].filter((table) => table.project === owner && table.dataset === dataset).map(listed)
    },
  }
}

/** The columns of which one must be in a filter; those of ingestion time as BigQuery names them. */
function filterOf({ timePartitioning, requirePartitionFilter }: TableBody): { requiredFilter?: string[] } {
  if (!timePartitioning || !(requirePartitionFilter ?? timePartitioning.requirePartitionFilter)) return {}
  const { field } = timePartitioning
  return { requiredFilter: field ? [field] : ['_PARTITION_LOAD_TIME', '_PARTITIONDATE', '_PARTITIONTIME'] }
}

function listed({ table, body, createdMs }: Table): ListedTable {
  const field = body.timePartitioning?.field
  const clustering = body.clustering?.fields
  return {
    table,
    type: body.view ? 'VIEW' : 'BASE TABLE',
    createdMs,
    ...(field !== undefined && { partitioningField: field }),
    ...(clustering && { clusteringFields: clustering }),
  }
}

/** The columns of a view. Throws what is wrong with its query. */
export function viewSchema(context: Context, { project }: { project: string }, query: string): TableField[] {
  const translated = translateQuery(query, translation(context, project))
  if (translated.statementType !== 'SELECT') throw invalid('A view must be a query.')
  return translated.schema
}

/** Runs a statement; the rows of a query go to `results`. `record` notes the job, in the same transaction as a change. */
export async function run(
  context: Context,
  translated: Translated,
  results: Results,
  record: (done: Done) => void | Promise<void>,
): Promise<Done> {
  if (translated.statementType === 'SELECT') return select(context, translated, results)
  if ('orReplace' in translated) return changeView(context, translated)
  if ('fields' in translated) return changeColumn(context, translated)
  return change(context, translated, record)
}

async function select(context: Context, translated: Translated, results: Results): Promise<Done> {
  const connection = await snapshot(context, stored(context, translated.tables))
  try {
    const { schema, chunks } = await runQuery(connection, translated, { timestampFormat: 'INT64' })
    for await (const rows of chunks) results.add(rows)
    results.finish()
    return { schema, statementType: translated.statementType, tables: translated.tables }
  } finally {
    connection.closeSync()
  }
}

function stored({ store }: Context, names: readonly TableName[]): Table[] {
  return names.map((name) => {
    const table = store.catalog.state.tables.get(tableKey(name))
    if (table === undefined) throw notFound(`Table ${name.project}:${name.dataset}.${name.table}`)
    return table
  })
}

async function change(
  context: Context,
  translated: TranslatedDml,
  record: (done: Done) => void | Promise<void>,
): Promise<Done> {
  const { store } = context
  if (store.warehouse === undefined) throw notBuilt('A change in a store that only counts')
  const { warehouse } = store
  const { statementType, tables, target } = translated
  return warehouse.lock.run(async () => {
    await store.takeUp(stored(context, [...tables, target]))
    return warehouse.transact(async (connection) => {
      const { schema, chunks, dml } = await runQuery(connection, translated, { timestampFormat: 'INT64' })
      for await (const _ of chunks) continue
      const done: Done = { schema, statementType, tables, ...(dml && { dml }) }
      await record(done)
      return done
    })
  })
}

/**
 * Gives a column another type. Rows that still lie in the logs are taken up before, in the types in which they were
 * written: not all of them could be read as the new one.
 */
async function changeColumn(
  context: Context,
  { statementType, target, fields, tables }: TranslatedAlter,
): Promise<Done> {
  const { store, clock } = context
  const { catalog } = store
  const waiting = () => stored(context, [target]).filter((table) => store.pending(table).length > 0)
  await store.warehouse?.lock.run(async () => {
    while (waiting().length > 0) await store.takeUp(waiting())
    const [table] = stored(context, [target])
    if (!table) return
    const held = [...(catalog.state.streamsOf.get(table.uid) ?? [])].some(
      (stream) => stream.type === 'PENDING' && stream.committedMicros === undefined && store.endOf(stream) > 0,
    )
    if (held) throw notBuilt('ALTER COLUMN while PENDING streams of the table have rows that are not committed')
    const body = { ...table.body, schema: { fields } }
    catalog.change({ change: 'table', table: { ...table, modifiedMs: clock.now(), body } })
    await store.warehouse?.prepare(stored(context, [target])[0] ?? table)
  })
  return { schema: [], statementType, tables }
}

function changeView(
  context: Context,
  { statementType, target, query, schema, orReplace, tolerant }: TranslatedView,
): Done {
  const { catalog } = context.store
  const name = `${target.project}:${target.dataset}.${target.table}`
  const known = catalog.state.tables.get(tableKey(target))
  const done: Done = { schema: [], statementType, tables: [] }
  if (known && !known.body.view) throw invalid(`${name} is not a VIEW`)
  if (statementType === 'DROP_VIEW') {
    if (known) catalog.change({ change: 'table-deleted', uid: known.uid })
    else if (!tolerant) throw notFound(`Table ${name}`)
    return done
  }
  if (!catalog.state.datasets.has(`${target.project}.${target.dataset}`)) {
    throw notFound(`Dataset ${target.project}:${target.dataset}`)
  }
  if (known && tolerant) return done
  if (known && !orReplace) throw alreadyExists(`Table ${name}`)
  const body = { view: { query: query ?? '', useLegacySql: false }, schema: { fields: schema ?? [] } }
  const nowMs = context.clock.now()
  catalog.change({
    change: 'table',
    table: known ? { ...known, modifiedMs: nowMs, body } : newTable(target, body, nowMs),
  })
  return done
}
