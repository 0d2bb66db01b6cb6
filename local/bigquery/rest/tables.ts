import { newTable } from '../catalog/new-table.ts'
import { type Table, type TableBody, tableKey } from '../catalog/state.ts'
import { DEFAULT_STREAM } from '../store/store.ts'
import { type Context, datasetOf, fieldsOf, tableOf } from './context.ts'
import { alreadyExists, invalid } from './errors.ts'
import { checkIfMatch, etagOf } from './etag.ts'
import { type Answer, count, object, type Request, text } from './exchange.ts'
import { page } from './page.ts'
import { mergeFields } from './schema-rules.ts'
import { tableBody } from './table-body.ts'
import { viewSchema } from './query.ts'

const NAME = /^[\p{L}\p{M}\p{N}\p{Pc}\p{Pd}\p{Zs}]{1,1024}$/u
const PAGE_ITEMS = 50

export async function insertTable(context: Context, request: Request): Promise<Answer> {
  const { project, dataset } = datasetOf(context, request)
  const table = text(object(request.body, 'tableReference'), 'tableId') ?? ''
  if (!NAME.test(table)) throw invalid(`Invalid table ID "${table}".`)
  const name = { project, dataset, table }
  if (context.store.catalog.state.tables.has(tableKey(name)))
    throw alreadyExists(`Table ${project}:${dataset}.${table}`)
  const body = withViewSchema(context, name, tableBody({}, request.body))
  const made = newTable(name, body, context.clock.now())
  context.store.catalog.change({ change: 'table', table: made })
  return { json: await resource(context, made, request.origin) }
}

export async function getTable(context: Context, request: Request): Promise<Answer> {
  return { json: await resource(context, tableOf(context, request), request.origin) }
}

export function patchTable(context: Context, request: Request): Promise<Answer> {
  return change(context, request, (former) => former)
}

/** Update (PUT) forgets what the new resource does not name, but a table keeps its partitioning. */
export function updateTable(context: Context, request: Request): Promise<Answer> {
  return change(context, request, ({ schema, timePartitioning }) => ({
    ...(schema && { schema }),
    ...(timePartitioning && { timePartitioning }),
  }))
}

async function change(context: Context, request: Request, base: (former: TableBody) => TableBody): Promise<Answer> {
  const former = tableOf(context, request)
  checkIfMatch(request.ifMatch, former)
  const body = checkChange(context, former, tableBody(base(former.body), request.body))
  const table = { ...former, modifiedMs: context.clock.now(), body }
  context.store.catalog.change({ change: 'table', table })
  return { json: await resource(context, table, request.origin) }
}

function checkChange(context: Context, former: Table, body: TableBody): TableBody {
  const name = `${former.project}:${former.dataset}.${former.table}`
  if ((former.body.view === undefined) !== (body.view === undefined))
    throw invalid(`Cannot change the type of table ${name}.`)
  if (body.view) return withViewSchema(context, former, body)
  const [before, after] = [former.body.timePartitioning, body.timePartitioning]
  if (before?.type !== after?.type || before?.field?.toLowerCase() !== after?.field?.toLowerCase()) {
    throw invalid(`Cannot change the partitioning specification of table ${name}.`)
  }
  return { ...body, schema: { fields: mergeFields(name, fieldsOf(former.body), fieldsOf(body)) } }
}

function withViewSchema(context: Context, name: { project: string; dataset: string }, body: TableBody): TableBody {
  return body.view ? { ...body, schema: { fields: viewSchema(context, name, body.view.query) } } : body
}

export function listTables(context: Context, request: Request): Answer {
  const { project, dataset } = datasetOf(context, request)
  const all = [...context.store.catalog.state.tables.values()].filter(
    (table) => table.project === project && table.dataset === dataset,
  )
  all.sort((a, b) => (a.table < b.table ? -1 : 1))
  const limit = count(request.query.get('maxResults')) ?? PAGE_ITEMS
  const { items, next } = page(all, request.query.get('pageToken'), limit)
  const tables = items.map((table) => ({ ...head(table), ...pick(table.body), creationTime: String(table.createdMs) }))
  return {
    json: {
      kind: 'bigquery#tableList',
      etag: etagOf(items),
      ...(tables.length > 0 && { tables }),
      totalItems: all.length,
      ...(next !== undefined && { nextPageToken: next }),
    },
  }
}

export async function deleteTable(context: Context, request: Request): Promise<Answer> {
  await context.store.dropTable(tableOf(context, request))
  return undefined
}

function head(table: Table) {
  const { project, dataset } = table
  return {
    kind: 'bigquery#table',
    id: `${project}:${dataset}.${table.table}`,
    tableReference: { projectId: project, datasetId: dataset, tableId: table.table },
    type: table.body.view ? 'VIEW' : 'TABLE',
  }
}

function pick({ timePartitioning, clustering, labels, friendlyName }: TableBody) {
  return { timePartitioning, clustering, labels, friendlyName }
}

/** The table in the REST form, with the numbers of its rows. */
async function resource(context: Context, table: Table, origin: string) {
  const { project, dataset } = table
  return {
    ...head(table),
    etag: etagOf(table),
    selfLink: `${origin}/bigquery/v2/projects/${project}/datasets/${dataset}/tables/${table.table}`,
    creationTime: String(table.createdMs),
    lastModifiedTime: String(table.modifiedMs),
    location: context.store.catalog.state.datasets.get(`${project}.${dataset}`)?.body.location ?? 'US',
    ...table.body,
    ...(table.body.view ? {} : await sizes(context, table)),
  }
}

/** `numRows` counts the rows in DuckDB; those that still lie in the logs are the streaming buffer. */
async function sizes({ store }: Context, table: Table) {
  const [numRows, waiting] = await store.rowCounts(table)
  const buffer = { estimatedRows: String(waiting.rows), estimatedBytes: String(waiting.bytes) }
  return {
    numRows: String(numRows),
    numBytes: '0',
    numLongTermBytes: '0',
    ...(waiting.bytes > 0 && {
      streamingBuffer: {
        ...buffer,
        oldestEntryTime: String(store.log(table.uid, DEFAULT_STREAM).lastMs || table.createdMs),
      },
    }),
  }
}
