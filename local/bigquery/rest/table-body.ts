import type { TableBody, TimePartitioning } from '../catalog/state.ts'
import { canonicalType, modeOf, type TableField } from '../types.ts'
import { mergeLabels } from './datasets.ts'
import { invalid, notBuilt } from './errors.ts'
import { count, isObject, object, text } from './exchange.ts'
import { checkFields } from './schema-rules.ts'

const CLUSTERING_COLUMNS_MAX = 4
const PARTITION_TYPES = ['HOUR', 'DAY', 'MONTH', 'YEAR']
/** What is kept as it comes. */
const PLAIN = ['description', 'friendlyName', 'expirationTime', 'requirePartitionFilter'] as const
/** What the stand-in could not honour: refused rather than ignored. */
const NOT_BUILT = [
  'rangePartitioning',
  'externalDataConfiguration',
  'materializedView',
  'tableConstraints',
  'snapshotDefinition',
  'cloneDefinition',
  'biglakeConfiguration',
] as const

/** The kept part of a table resource, checked. `former`: what the named members are merged into. */
export function tableBody(former: TableBody, named: Readonly<Record<string, unknown>>): TableBody {
  for (const key of NOT_BUILT) if (isObject(named[key])) throw notBuilt(`${key} of a table`)
  const body: Record<string, unknown> = { ...former }
  for (const key of PLAIN) if (Object.hasOwn(named, key)) body[key] = named[key]
  if (isObject(named['labels'])) body['labels'] = mergeLabels(former.labels, named['labels'])
  // Google's bq patches with a null schema when it means none of it.
  if (isObject(named['schema'])) body['schema'] = schemaOf(named)
  if (Object.hasOwn(named, 'view')) body['view'] = viewOf(named)
  if (Object.hasOwn(named, 'timePartitioning')) body['timePartitioning'] = partitioningOf(named)
  if (Object.hasOwn(named, 'clustering')) body['clustering'] = clusteringOf(named)
  for (const key of Object.keys(body)) if (body[key] === null || body[key] === undefined) delete body[key]
  const checked = body as TableBody
  checkPartitioning(checked)
  checkClustering(checked)
  return checked
}

function schemaOf(named: Readonly<Record<string, unknown>>): TableBody['schema'] {
  const schema = object(named, 'schema')
  return schema && { fields: checkFields(schema['fields'] ?? []) }
}

function viewOf(named: Readonly<Record<string, unknown>>): TableBody['view'] {
  const view = object(named, 'view')
  const query = text(view, 'query')
  if (view === undefined) return undefined
  if (query === undefined) throw invalid('View query must be specified.')
  if (view['useLegacySql'] !== false) throw notBuilt('A view in legacy SQL (set useLegacySql to false)')
  return { query, useLegacySql: false }
}

function partitioningOf(named: Readonly<Record<string, unknown>>): TimePartitioning | undefined {
  const raw = object(named, 'timePartitioning')
  if (raw === undefined) return undefined
  const type = (text(raw, 'type') ?? 'DAY').toUpperCase()
  if (!PARTITION_TYPES.includes(type)) throw invalid(`Invalid value for timePartitioning.type: ${type}`)
  const expiration = count(raw['expirationMs'])
  const field = text(raw, 'field')
  return {
    type,
    ...(field !== undefined && { field }),
    ...(expiration !== undefined && { expirationMs: String(expiration) }),
    ...(raw['requirePartitionFilter'] === true && { requirePartitionFilter: true }),
  }
}

function clusteringOf(named: Readonly<Record<string, unknown>>): TableBody['clustering'] {
  const fields = object(named, 'clustering')?.['fields']
  if (fields === undefined) return undefined
  if (!Array.isArray(fields) || fields.length === 0) throw invalid('Clustering fields must be specified.')
  return { fields: fields.map(String) }
}

function topLevel(body: TableBody, name: string): TableField | undefined {
  return body.schema?.fields.find((field) => field.name.toLowerCase() === name.toLowerCase())
}

function checkPartitioning({ timePartitioning, ...body }: TableBody): void {
  const name = timePartitioning?.field
  if (timePartitioning === undefined || name === undefined) return
  const field = topLevel(body, name)
  const type = field && canonicalType(field.type)
  if (field === undefined || type === undefined) {
    throw invalid(`The field specified for partitioning cannot be found in the schema: ${name}`)
  }
  if (!['TIMESTAMP', 'DATE', 'DATETIME'].includes(type) || modeOf(field) === 'REPEATED') {
    throw invalid(`The field specified for time partitioning can only be of type TIMESTAMP, DATE or DATETIME: ${name}`)
  }
  if (type === 'DATE' && timePartitioning.type === 'HOUR') throw invalid('DATE columns cannot be partitioned by HOUR.')
}

const NOT_CLUSTERABLE = ['RECORD', 'FLOAT64', 'JSON', 'INTERVAL', 'BYTES', 'TIME']

function checkClustering(body: TableBody): void {
  const names = body.clustering?.fields ?? []
  if (names.length > CLUSTERING_COLUMNS_MAX) {
    throw invalid(`At most ${CLUSTERING_COLUMNS_MAX} columns can be specified for clustering.`)
  }
  for (const name of names) {
    const field = topLevel(body, name)
    if (field === undefined) throw invalid(`The field specified for clustering cannot be found in the schema: ${name}`)
    const type = canonicalType(field.type)
    if (type === undefined || NOT_CLUSTERABLE.includes(type) || modeOf(field) === 'REPEATED') {
      throw invalid(`Entity ${name} has type ${field.type} that is not supported for clustering.`)
    }
  }
}
