import type { Context } from './context.ts'
import { deleteDataset, getDataset, insertDataset, listDatasets, patchDataset, updateDataset } from './datasets.ts'
import { discoveryDocument } from './discovery.ts'
import type { Answer, Request } from './exchange.ts'
import { cancelJob, getJob, insertJob, listJobs } from './job-methods.ts'
import { getQueryResults, query } from './queries.ts'
import { listTableData } from './table-data.ts'
import { deleteTable, getTable, insertTable, listTables, patchTable, updateTable } from './tables.ts'

type Method = (context: Context, request: Request) => Answer | Promise<Answer>

export interface Route {
  /** As in the API's reference: `tables.insert`. */
  readonly name: string
  readonly method: Method
  readonly params: Readonly<Record<string, string>>
  /** What the call is about: `project`, `project.dataset` or `project.dataset.table`. */
  readonly resource: string
}

const PROJECT = '/projects/:project'
const DATASET = `${PROJECT}/datasets/:dataset`
const TABLE = `${DATASET}/tables/:table`

/** Everything that is built. https://cloud.google.com/bigquery/docs/reference/rest */
const ROUTES: readonly (readonly [verb: string, path: string, name: string, method: Method])[] = [
  ['GET', `${PROJECT}/datasets`, 'datasets.list', listDatasets],
  ['POST', `${PROJECT}/datasets`, 'datasets.insert', insertDataset],
  ['GET', DATASET, 'datasets.get', getDataset],
  ['PATCH', DATASET, 'datasets.patch', patchDataset],
  ['PUT', DATASET, 'datasets.update', updateDataset],
  ['DELETE', DATASET, 'datasets.delete', deleteDataset],
  ['GET', `${DATASET}/tables`, 'tables.list', listTables],
  ['POST', `${DATASET}/tables`, 'tables.insert', insertTable],
  ['GET', TABLE, 'tables.get', getTable],
  ['PATCH', TABLE, 'tables.patch', patchTable],
  ['PUT', TABLE, 'tables.update', updateTable],
  ['DELETE', TABLE, 'tables.delete', deleteTable],
  ['GET', `${TABLE}/data`, 'tabledata.list', listTableData],
  ['POST', `${PROJECT}/queries`, 'jobs.query', query],
  ['GET', `${PROJECT}/queries/:job`, 'jobs.getQueryResults', getQueryResults],
  ['GET', `${PROJECT}/jobs`, 'jobs.list', listJobs],
  ['POST', `${PROJECT}/jobs`, 'jobs.insert', insertJob],
  ['GET', `${PROJECT}/jobs/:job`, 'jobs.get', getJob],
  ['POST', `${PROJECT}/jobs/:job/cancel`, 'jobs.cancel', cancelJob],
]

const COMPILED = ROUTES.map(([verb, path, name, method]) => {
  const names = [...path.matchAll(/:(\w+)/g)].map((match) => match[1] ?? '')
  const expression = new RegExp(`^/bigquery/v2${path.replace(/:\w+/g, '([^/]+)')}$`)
  return { verb, expression, names, name, method }
})

const DISCOVERY = ['/$discovery/rest', '/discovery/v1/apis/bigquery/v2/rest']

function discover(_context: Context, { origin }: Request): Answer {
  const described = ROUTES.map(([verb, path, name]) => ({ verb, path, name }))
  return { json: discoveryDocument(described, origin) }
}

/** The method of a call, or undefined when it is not built. */
export function findRoute(verb: string, path: string): Route | undefined {
  if (verb === 'GET' && DISCOVERY.includes(path))
    return { name: 'discovery', method: discover, params: {}, resource: '' }
  for (const { verb: own, expression, names, name, method } of COMPILED) {
    const match = own === verb ? expression.exec(path) : null
    if (!match) continue
    const params = Object.fromEntries(names.map((key, at) => [key, decodeURIComponent(match[at + 1] ?? '')]))
    const resource = ['project', 'dataset', 'table'].flatMap((key) => params[key] ?? []).join('.')
    return { name, method, params, resource }
  }
  return undefined
}
