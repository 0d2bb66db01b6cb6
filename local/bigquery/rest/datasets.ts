import { type Dataset, type DatasetBody, datasetKey } from '../catalog/state.ts'
import { type Context, datasetOf } from './context.ts'
import { alreadyExists, invalid, RestError } from './errors.ts'
import { checkIfMatch, etagOf } from './etag.ts'
import { type Answer, count, flag, isObject, object, param, type Request, text } from './exchange.ts'
import { page } from './page.ts'

const NAME = /^[A-Za-z0-9_]{1,1024}$/
const PAGE_ITEMS = 50
/** What a user may say about a dataset. Other members of the resource are not kept. */
const KEPT = [
  'description',
  'friendlyName',
  'location',
  'labels',
  'defaultTableExpirationMs',
  'defaultPartitionExpirationMs',
] as const

export function insertDataset(context: Context, request: Request): Answer {
  const project = param(request, 'project')
  const dataset = text(object(request.body, 'datasetReference'), 'datasetId') ?? ''
  if (!NAME.test(dataset)) throw invalid(`Invalid dataset ID "${dataset}".`)
  const { state } = context.store.catalog
  if (state.datasets.has(datasetKey({ project, dataset }))) throw alreadyExists(`Dataset ${project}:${dataset}`)
  const now = context.clock.now()
  return put(context, request, { project, dataset, createdMs: now, modifiedMs: now, body: keep({}, request.body) })
}

export function getDataset(context: Context, request: Request): Answer {
  return { json: resource(datasetOf(context, request), request.origin) }
}

/** Patch changes what is named; update (PUT) replaces everything but the location. */
export function patchDataset(context: Context, request: Request): Answer {
  const found = datasetOf(context, request)
  checkIfMatch(request.ifMatch, found)
  return put(context, request, { ...found, modifiedMs: context.clock.now(), body: keep(found.body, request.body) })
}

export function updateDataset(context: Context, request: Request): Answer {
  const found = datasetOf(context, request)
  checkIfMatch(request.ifMatch, found)
  const body = keep(found.body.location === undefined ? {} : { location: found.body.location }, request.body)
  return put(context, request, { ...found, modifiedMs: context.clock.now(), body })
}

export function listDatasets({ store }: Context, request: Request): Answer {
  const project = param(request, 'project')
  const all = [...store.catalog.state.datasets.values()].filter((one) => one.project === project)
  all.sort((a, b) => (a.dataset < b.dataset ? -1 : 1))
  const limit = count(request.query.get('maxResults')) ?? PAGE_ITEMS
  const { items, next } = page(all, request.query.get('pageToken'), limit)
  const datasets = items.map((one) => {
    const { kind, id, datasetReference, location, labels, friendlyName } = resource(one, request.origin)
    return { kind, id, datasetReference, location, labels, friendlyName }
  })
  return {
    json: {
      kind: 'bigquery#datasetList',
      etag: etagOf(items),
      ...(datasets.length > 0 && { datasets }),
      ...(next !== undefined && { nextPageToken: next }),
    },
  }
}

export async function deleteDataset(context: Context, request: Request): Promise<Answer> {
  const { project, dataset } = datasetOf(context, request)
  const tables = [...context.store.catalog.state.tables.values()].filter(
    (table) => table.project === project && table.dataset === dataset,
  )
  if (tables.length > 0 && !flag(request.query, 'deleteContents')) {
    throw new RestError(400, 'resourceInUse', `Dataset ${project}:${dataset} is still in use`)
  }
  for (const table of tables) await context.store.dropTable(table)
  context.store.catalog.change({ change: 'dataset-deleted', project, dataset })
  return undefined
}

function put(context: Context, request: Request, dataset: Dataset): Answer {
  context.store.catalog.change({ change: 'dataset', dataset })
  return { json: resource(dataset, request.origin) }
}

/** The former body with what is named in the new one; null takes a member away. */
function keep(former: DatasetBody, named: Readonly<Record<string, unknown>>): DatasetBody {
  const body: Record<string, unknown> = { ...former }
  for (const key of KEPT) {
    if (!Object.hasOwn(named, key)) continue
    if (named[key] === null) delete body[key]
    else body[key] = key === 'labels' && isObject(named[key]) ? mergeLabels(former.labels, named[key]) : named[key]
  }
  return body as DatasetBody
}

/** Labels are merged by name; null takes one away. */
export function mergeLabels(
  former: Record<string, string> | undefined,
  named: Record<string, unknown>,
): Record<string, string> {
  const merged = Object.entries({ ...former, ...named }).filter((entry): entry is [string, string] => entry[1] !== null)
  return Object.fromEntries(merged)
}

function resource(entry: Dataset, origin: string) {
  const { project, dataset, body } = entry
  return {
    kind: 'bigquery#dataset',
    etag: etagOf(entry),
    id: `${project}:${dataset}`,
    selfLink: `${origin}/bigquery/v2/projects/${project}/datasets/${dataset}`,
    datasetReference: { projectId: project, datasetId: dataset },
    creationTime: String(entry.createdMs),
    lastModifiedTime: String(entry.modifiedMs),
    ...body,
    location: body.location ?? 'US',
    type: 'DEFAULT',
  }
}
