import { type TableName, tableId } from '../config/index.ts'
import { UserError } from '../errors.ts'
import { query } from './query.ts'
import { codeOf, describeApiError, type Rest } from './rest.ts'
import type { TableField } from '../schema/index.ts'
import { describeFields, planChange, type TableSpec, typeText } from './table-spec.ts'
import type { ViewSpec } from './views.ts'

/** What `ensureTable` found or did; `gained`: columns that the table did not have. */
export interface TableState {
  readonly kind: 'created' | 'patched' | 'unchanged'
  readonly gained: readonly string[]
}

interface TableResource {
  readonly etag?: string
  readonly type?: string
  readonly schema?: { readonly fields?: readonly TableField[] }
  readonly view?: { readonly query?: string }
  readonly requirePartitionFilter?: boolean
  readonly timePartitioning?: { readonly field?: string; readonly requirePartitionFilter?: boolean }
  readonly rangePartitioning?: { readonly field?: string }
}

const WAY_OUT =
  'give the changed column another name, name another table in the route, or change the schema so that it only gains columns, none of them REQUIRED'
/** Where the table is in the REST interface. */
const at = ({ project, dataset, table }: TableName) => ({
  projectId: project,
  uri: `datasets/${dataset}/tables/${table}`,
})

async function getTable(rest: Rest, table: TableName): Promise<TableResource | undefined> {
  try {
    return (await rest.call({ method: 'GET', ...at(table) })) as TableResource
  } catch (error) {
    if (codeOf(error) === 404) return undefined
    throw error
  }
}

/** A table as it is: `everyRow` is a condition that each row meets, and without which some tables refuse to be asked. Undefined: there is none. */
export async function findTable(rest: Rest, name: TableName) {
  const found = await getTable(rest, name)
  return found && { fields: found.schema?.fields ?? [], everyRow: everyRow(found) }
}

/** `require_partition_filter` wants a filter on the partitioning column: this one leaves out nothing, and BigQuery takes it. */
function everyRow({ requirePartitionFilter, timePartitioning: time, rangePartitioning: range }: TableResource): string {
  if (!(requirePartitionFilter ?? time?.requirePartitionFilter)) return 'TRUE'
  const column = `\`${time?.field ?? range?.field ?? '_PARTITIONTIME'}\``
  return `(${column} IS NULL OR ${column} IS NOT NULL)`
}

/**
 * Creates the table, or adds the columns that the specification has gained. `adopt` lets it add Millrace's own column to
 * a table that the user has made.
 * @throws UserError when the table cannot become what is wanted, with both schemas; ApiError otherwise
 */
export async function ensureTable(
  rest: Rest,
  table: TableName,
  spec: TableSpec,
  { adopt = false } = {},
): Promise<TableState> {
  const existing = await getTable(rest, table)
  if (!existing) {
    const created = await create(rest, table, resourceOf(spec))
    return created ? { kind: 'created', gained: [] } : ensureTable(rest, table, spec, { adopt })
  }
  if (existing.type?.includes('VIEW'))
    throw new UserError(`${tableId(table)} is a view, which takes no rows`, 'name another table in the route')
  const fields = existing.schema?.fields ?? []
  if (spec.ownColumn && !adopt && !fields.some(({ name }) => name === spec.ownColumn)) {
    throw new UserError(
      `table ${tableId(table)} exists and has no column ${spec.ownColumn}: it was not made by Millrace`,
      'add the column with millrace schema ROUTE --apply, or name another table',
    )
  }
  const change = planChange(fields, spec.fields)
  if (change.kind === 'refused') throw refusedChange(table, change.problems, fields, spec.fields)
  if (change.kind === 'same') return { kind: 'unchanged', gained: [] }
  for (const column of change.widened) await widen(rest, table, column)
  await rest.call({ method: 'PATCH', ...at(table), json: { schema: { fields: change.fields } } })
  return { kind: 'patched', gained: change.gained }
}

/** Again is as good as once: a process that dies before the patch finds the column widened. */
async function widen(rest: Rest, table: TableName, column: TableField): Promise<void> {
  const sql = `ALTER TABLE \`${tableId(table)}\` ALTER COLUMN \`${column.name}\` SET DATA TYPE ${typeText(column)}`
  try {
    for await (const _row of query({ ...rest, project: table.project }, sql)) continue
  } catch (error) {
    const why = `table ${tableId(table)}: cannot widen ${column.name} to ${typeText(column)}: ${describeApiError(error)}`
    throw new UserError(why, 'widen the column by hand, or name another table', { cause: error })
  }
}

/** Creates or replaces a view. @throws UserError when a table has its name */
export async function ensureView(rest: Rest, { name, description, sql }: ViewSpec): Promise<void> {
  const view = { query: sql, useLegacySql: false }
  const existing = await getTable(rest, name)
  if (existing?.view?.query === sql) return
  if (existing && !existing.view)
    throw new UserError(
      `${tableId(name)} is a table, and a view of Millrace has this name`,
      'rename or delete the table',
    )
  if (existing) await rest.call({ method: 'PATCH', ...at(name), json: { view } })
  else await create(rest, name, { view, description })
}

/** False: somebody else created it meanwhile. */
async function create(rest: Rest, table: TableName, resource: object): Promise<boolean> {
  const { project: projectId, dataset: datasetId, table: name } = table
  const json = { ...resource, tableReference: { projectId, datasetId, tableId: name } }
  for (;;) {
    try {
      await rest.call({ method: 'POST', projectId, uri: `datasets/${datasetId}/tables`, json })
      return true
    } catch (error) {
      if (codeOf(error) === 409) return false
      if (codeOf(error) !== 404)
        throw new Error(`cannot create table ${tableId(table)}: ${describeApiError(error)}`, { cause: error })
      await createDataset(rest, table)
    }
  }
}

async function createDataset(rest: Rest, { project: projectId, dataset: datasetId }: TableName): Promise<void> {
  const json = { datasetReference: { projectId, datasetId }, location: rest.region }
  try {
    await rest.call({ method: 'POST', projectId, uri: 'datasets', json })
  } catch (error) {
    if (codeOf(error) !== 409) throw error
  }
}

function resourceOf({ fields, description, partition, cluster = [], labels = {}, expireAfterMs }: TableSpec): object {
  const by = partition?.by ?? 'none'
  const expirationMs = expireAfterMs ? String(expireAfterMs) : undefined
  return {
    schema: { fields },
    labels,
    description,
    clustering: cluster.length > 0 ? { fields: cluster } : undefined,
    ...(by === 'none'
      ? { expirationTime: expireAfterMs ? String(Date.now() + expireAfterMs) : undefined }
      : { timePartitioning: { type: by.toUpperCase(), field: partition?.field, expirationMs } }),
  }
}

/** A change that BigQuery cannot make: why, and both schemas side by side. */
export function refusedChange(
  table: TableName,
  problems: readonly string[],
  existing: readonly TableField[],
  wanted: readonly TableField[],
): UserError {
  const left = ['the table', ...describeFields(existing)]
  const right = ["the route's schema", ...describeFields(wanted)]
  const width = Math.max(...left.map(({ length }) => length)) + 2
  const rows = Array.from({ length: Math.max(left.length, right.length) }, (_, row) =>
    `  ${(left[row] ?? '').padEnd(width)}${right[row] ?? ''}`.trimEnd(),
  )
  const text = [`table ${tableId(table)} cannot take this schema:`, ...problems.map((line) => `  ${line}`), '', ...rows]
  return new UserError(text.join('\n'), WAY_OUT)
}
