import { newTable } from '../catalog/new-table.ts'
import { type Table, tableKey } from '../catalog/state.ts'
import { canonicalType, PARTITION_TIME_COLUMN, quoteIdentifier } from '../types.ts'
import { isIngestionTime, partitionUnit } from '../warehouse/partitions.ts'
import { duckName } from '../warehouse/warehouse.ts'
import { type Context, fieldsOf } from './context.ts'
import { alreadyExists, invalid, notBuilt, notFound, RestError } from './errors.ts'
import { object, text } from './exchange.ts'
import type { Job, JobStatistics } from './jobs.ts'

/** A table, or with a decorator (`table$20260131`) one of its partitions. */
interface Part {
  project: string
  dataset: string
  table: string
  partition: string | undefined
}

/** A partition as a condition and as a time. */
interface Partition {
  /** SQL over the table's columns: the row is in it. */
  condition: string
  start: string
}

/** Runs `configuration.copy`: the rows of a table or partition into another, all or nothing. */
export async function copy(
  context: Context,
  project: string,
  job: Job,
  configuration: Record<string, unknown>,
): Promise<JobStatistics> {
  const { store } = context
  const { warehouse } = store
  if (warehouse === undefined) throw notBuilt('A copy in a store that only counts')
  const sources = sourcesOf(configuration, project)
  const target = partOf(object(configuration, 'destinationTable'), project)
  const disposition = text(configuration, 'writeDisposition') ?? 'WRITE_EMPTY'
  const from = sources.map((part) => ({ part, table: existing(context, part) }))
  return warehouse.lock.run(async () => {
    const table = destination(context, target, from[0]?.table as Table, configuration)
    for (const source of from) checkSameFields(source.table, table)
    await store.takeUp([table, ...from.map((source) => source.table)])
    return warehouse.transact(async (connection) => {
      const partition = target.partition === undefined ? undefined : partitionOf(table, target.partition)
      const where = partition ? ` WHERE ${partition.condition}` : ''
      const into = duckName(table.uid)
      const first = async (sql: string) => Number((await connection.runAndReadAll(sql)).getRows()[0]?.[0] ?? 0)
      if (disposition === 'WRITE_EMPTY' && (await first(`SELECT count(*) FROM ${into}${where}`)) > 0) {
        throw alreadyExists(`Table ${nameOf(target)}`)
      }
      // The new rows are staged before the old ones go: a table may be copied onto its own partition.
      const staged = from
        .map(({ part, table: source }) => selection(part, source, table, partition))
        .join(' UNION ALL ')
      await connection.run(`CREATE OR REPLACE TEMP TABLE millrace_copy AS ${staged}`)
      if (partition) await checkPartition(first, partition, target)
      if (disposition === 'WRITE_TRUNCATE') await connection.run(`DELETE FROM ${into}${where}`)
      await connection.run(`INSERT INTO ${into} BY NAME SELECT * FROM millrace_copy`)
      const statistics = { copy: { copiedRows: String(await first('SELECT count(*) FROM millrace_copy')) } }
      await connection.run('DROP TABLE millrace_copy')
      await context.jobs.record(job, statistics)
      return statistics
    })
  })
}

function sourcesOf(configuration: Record<string, unknown>, project: string): Part[] {
  const many = configuration['sourceTables']
  const list = Array.isArray(many) ? many : [configuration['sourceTable']]
  return list.map((one: unknown) => partOf(one, project))
}

function partOf(reference: unknown, project: string): Part {
  const dataset = text(reference, 'datasetId')
  const [table = '', partition] = (text(reference, 'tableId') ?? '').split('$', 2)
  if (dataset === undefined || table === '') throw invalid('Required parameter is missing: table reference')
  return { project: text(reference, 'projectId') ?? project, dataset, table, partition }
}

function nameOf({ project, dataset, table, partition }: Part): string {
  return `${project}:${dataset}.${table}${partition === undefined ? '' : `$${partition}`}`
}

function existing({ store }: Context, part: Part): Table {
  const table = store.catalog.state.tables.get(tableKey(part))
  if (table === undefined) throw notFound(`Table ${nameOf(part)}`)
  if (table.body.view) throw invalid(`${nameOf(part)} is a view: it cannot be copied.`)
  return table
}

function destination(context: Context, target: Part, source: Table, configuration: Record<string, unknown>): Table {
  const { catalog } = context.store
  const known = catalog.state.tables.get(tableKey(target))
  if (known) return existing(context, target)
  if (!catalog.state.datasets.has(`${target.project}.${target.dataset}`)) {
    throw notFound(`Dataset ${target.project}:${target.dataset}`)
  }
  if (text(configuration, 'createDisposition') === 'CREATE_NEVER' || target.partition !== undefined) {
    throw notFound(`Table ${nameOf(target)}`)
  }
  const made = newTable(target, source.body, context.clock.now())
  catalog.change({ change: 'table', table: made })
  return made
}

function checkSameFields(source: Table, target: Table): void {
  const shape = (table: Table) =>
    JSON.stringify(
      fieldsOf(table.body).map(({ name, type, fields }) => [name.toLowerCase(), canonicalType(type), fields]),
    )
  if (shape(source) === shape(target)) return
  throw invalid(`Provided Schema does not match Table ${target.project}:${target.dataset}.${target.table}.`)
}

function selection(part: Part, source: Table, target: Table, into: Partition | undefined): string {
  const columns = fieldsOf(source.body).map((field) => quoteIdentifier(field.name))
  if (isIngestionTime(target.body)) columns.push(`${partitionTime(source, into)} AS "${PARTITION_TIME_COLUMN}"`)
  const where = part.partition === undefined ? '' : ` WHERE ${partitionOf(source, part.partition).condition}`
  return `SELECT ${columns.join(', ')} FROM ${duckName(source.uid)}${where}`
}

/** The partition that a row gets: that of the decorator, else that it had, else that of today. */
function partitionTime(source: Table, into: Partition | undefined): string {
  if (into) return into.start
  return isIngestionTime(source.body) ? `"${PARTITION_TIME_COLUMN}"` : "date_trunc('day', now())"
}

const DIGITS = { YEAR: 4, MONTH: 6, DAY: 8, HOUR: 10 } as const

/** `20260131` (or with fewer or more digits, as the table's partitions are) as a condition. */
function partitionOf(table: Table, id: string): Partition {
  const partitioning = table.body.timePartitioning
  if (partitioning === undefined) throw invalid(`Table ${table.table} is not partitioned: $${id}`)
  const unit = partitionUnit(table.body)
  const match = /^(\d{4})(\d{2})?(\d{2})?(\d{2})?$/.exec(id)
  if (!match || id.length !== DIGITS[unit]) throw invalid(`Invalid partition ID: ${id}`)
  const [, year, month = '01', day = '01', hour = '00'] = match
  const start = `TIMESTAMPTZ '${year}-${month}-${day} ${hour}:00:00+00'`
  const column = quoteIdentifier(partitioning.field ?? PARTITION_TIME_COLUMN)
  const field = fieldsOf(table.body).find((one) => one.name.toLowerCase() === partitioning.field?.toLowerCase())
  const type = field === undefined ? 'TIMESTAMP' : canonicalType(field.type)
  const bound = type === 'TIMESTAMP' ? start : `TIMESTAMP '${year}-${month}-${day} ${hour}:00:00'`
  return { condition: `(${column} >= ${bound} AND ${column} < ${bound} + INTERVAL 1 ${unit})`, start }
}

async function checkPartition(
  first: (sql: string) => Promise<number>,
  partition: Partition,
  target: Part,
): Promise<void> {
  const strangers = await first(`SELECT count(*) FROM millrace_copy WHERE NOT coalesce(${partition.condition}, false)`)
  if (strangers === 0) return
  throw new RestError(
    400,
    'invalid',
    `Some rows belong to different partitions rather than destination partition ${nameOf(target)}: ${strangers} rows`,
  )
}
