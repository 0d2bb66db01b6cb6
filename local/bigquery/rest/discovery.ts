/**
 * The description of this API that Google's own tools ask for before they call it (`bq --api URL`): which methods there
 * are, and their parameters. https://developers.google.com/discovery/v1/reference/apis
 */

const PAGE = ['maxResults', 'pageToken']
const FORMAT = ['formatOptions.useInt64Timestamp', 'formatOptions.timestampOutputFormat']

/** The query parameters that clients may send, by method; the server reads some and passes over the others. */
const QUERY: Readonly<Record<string, readonly string[]>> = {
  'datasets.list': [...PAGE, 'all', 'filter'],
  'datasets.insert': ['accessPolicyVersion'],
  'datasets.get': ['datasetView', 'accessPolicyVersion'],
  'datasets.patch': ['updateMode', 'accessPolicyVersion'],
  'datasets.update': ['updateMode', 'accessPolicyVersion'],
  'datasets.delete': ['deleteContents'],
  'tables.list': PAGE,
  'tables.get': ['selectedFields', 'view'],
  'tables.patch': ['autodetect_schema'],
  'tables.update': ['autodetect_schema'],
  'tabledata.list': [...PAGE, ...FORMAT, 'selectedFields', 'startIndex'],
  'jobs.getQueryResults': [...PAGE, ...FORMAT, 'location', 'startIndex', 'timeoutMs'],
  'jobs.get': ['location'],
  'jobs.cancel': ['location'],
  'jobs.list': [...PAGE, 'allUsers', 'maxCreationTime', 'minCreationTime', 'parentJobId', 'projection', 'stateFilter'],
}

interface Described {
  verb: string
  /** `/projects/:project/datasets/:dataset` */
  path: string
  /** `datasets.get` */
  name: string
}

export function discoveryDocument(methods: readonly Described[], origin: string) {
  const resources: Record<string, { methods: Record<string, unknown> }> = {}
  for (const described of methods) {
    const [resource = '', method = ''] = described.name.split('.')
    const own = (resources[resource] ??= { methods: {} })
    own.methods[method] = describe(described)
  }
  return {
    kind: 'discovery#restDescription',
    discoveryVersion: 'v1',
    id: 'bigquery:v2',
    name: 'bigquery',
    version: 'v2',
    title: 'BigQuery API (local)',
    description: 'The part of the BigQuery API that the local stand-in has.',
    protocol: 'rest',
    rootUrl: `${origin}/`,
    servicePath: 'bigquery/v2/',
    baseUrl: `${origin}/bigquery/v2/`,
    basePath: '/bigquery/v2/',
    batchPath: 'batch/bigquery/v2',
    parameters: Object.fromEntries(['alt', 'fields', 'key', 'prettyPrint', 'quotaUser'].map(queryParameter)),
    schemas: { Json: { id: 'Json', type: 'object', additionalProperties: { type: 'any' } } },
    resources,
  }
}

function describe({ verb, path, name }: Described) {
  const names = [...path.matchAll(/:(\w+)/g)].map((match) => `${match[1]}Id`)
  const required = { location: 'path', required: true, type: 'string' }
  const template = path.slice(1).replace(/:(\w+)/g, '{+$1Id}')
  const answers = verb === 'DELETE' ? {} : { response: { $ref: 'Json' } }
  return {
    id: `bigquery.${name}`,
    path: template,
    flatPath: template,
    httpMethod: verb,
    parameterOrder: names,
    parameters: {
      ...Object.fromEntries(names.map((one) => [one, required])),
      ...Object.fromEntries((QUERY[name] ?? []).map(queryParameter)),
    },
    ...(['POST', 'PUT', 'PATCH'].includes(verb) && { request: { $ref: 'Json' } }),
    ...(name === 'jobs.insert' && MEDIA),
    ...answers,
  }
}

/** bq passes the (absent) file of a load job to jobs.insert, so the method must say that it could take one. */
const MEDIA = {
  supportsMediaUpload: true,
  mediaUpload: {
    accept: ['*/*'],
    protocols: { simple: { multipart: true, path: '/upload/bigquery/v2/projects/{+projectId}/jobs' } },
  },
}

function queryParameter(name: string): [string, object] {
  return [name, { location: 'query', type: 'string' }]
}
