import type { QueryParameter } from '../sql/index.ts'
import type { Context } from './context.ts'
import { invalid, notBuilt } from './errors.ts'
import { type Answer, count, flag, isObject, object, param, type Request, text } from './exchange.ts'
import { type Job, jobReference, type JobStatistics } from './jobs.ts'
import { startOf, tokenOf } from './page.ts'
import { type Done, run, type Statement, translate } from './query.ts'
import { type TimestampForm, withTimestamps } from './timestamps.ts'

/** How long jobs.query waits by default: https://cloud.google.com/bigquery/docs/reference/rest/v2/jobs/query */
const WAIT_MS = 10_000
const PAGE_ROWS_MAX = 100_000

/** POST queries: runs a statement and answers its first page. */
export async function query(context: Context, request: Request): Promise<Answer> {
  const statement = statementOf(param(request, 'project'), request.body)
  if (request.body['dryRun'] === true) return { json: dryRun(context, statement) }
  const configuration = { jobType: 'QUERY', query: configurationOf(request.body) }
  const job = await startQuery(context, statement, undefined, configuration)
  await wait(job, count(request.body['timeoutMs']) ?? WAIT_MS)
  if (job.error) throw job.error
  const form = formOf(text(object(request.body, 'formatOptions'), 'timestampOutputFormat'), int64(request.body))
  return { json: answer('bigquery#queryResponse', job, 0, count(request.body['maxResults']), form) }
}

/** GET queries/JOB: a page of a query's rows. */
export async function getQueryResults(context: Context, request: Request): Promise<Answer> {
  const parameters = request.query
  const job = await context.jobs.get(param(request, 'project'), param(request, 'job'))
  await wait(job, count(parameters.get('timeoutMs')) ?? WAIT_MS)
  if (job.error) throw job.error
  const start = parameters.get('pageToken')
    ? startOf(parameters.get('pageToken'))
    : (count(parameters.get('startIndex')) ?? 0)
  const useInt64 = flag(parameters, 'formatOptions.useInt64Timestamp')
  const form = formOf(parameters.get('formatOptions.timestampOutputFormat') ?? undefined, useInt64)
  return { json: answer('bigquery#getQueryResultsResponse', job, start, count(parameters.get('maxResults')), form) }
}

/** Starts the job of a statement. What is wrong with the text is thrown at once. */
export async function startQuery(
  context: Context,
  statement: Statement,
  id: string | undefined,
  configuration: Record<string, unknown>,
): Promise<Job> {
  return context.jobs.start(statement.project, id, configuration, async (job) => {
    const translated = translate(context, statement)
    const done = await run(context, translated, job.results, (finished) =>
      context.jobs.record(job, statisticsOf(finished)),
    )
    return statisticsOf(done)
  })
}

/** A statement's configuration in the form of the API: the body of jobs.query and a job's `configuration.query` agree in it. */
export function statementOf(project: string, body: Readonly<Record<string, unknown>>): Statement {
  const sql = text(body, 'query')
  if (sql === undefined || sql.trim() === '') throw invalid('Required parameter is missing: query', 'query')
  if (body['useLegacySql'] !== false)
    throw notBuilt('Legacy SQL (set useLegacySql to false; bq: --use_legacy_sql=false)')
  if (isObject(body['destinationTable'])) throw notBuilt('A destination table of a query')
  const dataset = object(body, 'defaultDataset')
  const mode = text(body, 'parameterMode')?.toUpperCase()
  const datasetId = text(dataset, 'datasetId')
  return {
    project,
    sql,
    defaultDataset:
      datasetId === undefined ? undefined : { project: text(dataset, 'projectId') ?? project, dataset: datasetId },
    parameters: (Array.isArray(body['queryParameters']) ? texts(body['queryParameters']) : []) as QueryParameter[],
    parameterMode: mode === 'NAMED' || mode === 'POSITIONAL' ? mode : undefined,
  }
}

/** Numbers and booleans of a JSON body as texts, which is how Google's APIs read them where a text is expected. */
function texts(value: unknown): unknown {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (Array.isArray(value)) return value.map(texts)
  if (!isObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, texts(member)]))
}

/** What a statement would do, without doing it. */
export function dryRun(context: Context, statement: Statement) {
  const translated = translate(context, statement)
  const schema = 'schema' in translated ? { schema: { fields: translated.schema } } : {}
  return {
    kind: 'bigquery#queryResponse',
    ...schema,
    jobReference: { projectId: statement.project, location: 'US' },
    totalBytesProcessed: '0',
    jobComplete: true,
    cacheHit: false,
  }
}

function statisticsOf({ schema, statementType, tables, dml }: Done): JobStatistics {
  const affected = dml && dml.insertedRowCount + dml.updatedRowCount + dml.deletedRowCount
  return {
    schema,
    query: {
      statementType,
      totalBytesProcessed: '0',
      totalBytesBilled: '0',
      cacheHit: false,
      referencedTables: tables.map(({ project, dataset, table }) => ({
        projectId: project,
        datasetId: dataset,
        tableId: table,
      })),
      ...(dml && {
        numDmlAffectedRows: String(affected),
        dmlStats: Object.fromEntries(Object.entries(dml).map(([name, value]) => [name, String(value)])),
      }),
    },
  }
}

function configurationOf(body: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { query: sql, defaultDataset, queryParameters, parameterMode } = body
  return { query: sql, useLegacySql: false, defaultDataset, queryParameters, parameterMode }
}

function int64(body: unknown): boolean {
  return object(body, 'formatOptions')?.['useInt64Timestamp'] === true
}

function formOf(output: string | undefined, useInt64: boolean): TimestampForm {
  if (useInt64 || output === 'INT64') return 'micros'
  return output === 'ISO8601_STRING' ? 'iso' : 'seconds'
}

/** Waits for a job, but no longer than `ms`. */
export async function wait(job: Job, ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, ms)
  await Promise.race([job.finished, promise])
  clearTimeout(timer)
}

function answer(kind: string, job: Job, start: number, limit: number | undefined, form: TimestampForm) {
  const reference = { kind, jobReference: jobReference(job) }
  if (job.endMs === undefined) return { ...reference, jobComplete: false }
  const { schema = [], query: statistics = {} } = job.statistics
  const { numDmlAffectedRows, dmlStats } = statistics
  const rows = limit === 0 ? [] : job.results.read(start, Math.min(limit ?? PAGE_ROWS_MAX, PAGE_ROWS_MAX))
  const next = start + rows.length
  return {
    ...reference,
    schema: { fields: schema },
    totalRows: String(job.results.total),
    ...(rows.length > 0 && { rows: withTimestamps(rows, schema, form) }),
    ...(next < job.results.total && { pageToken: tokenOf(next) }),
    totalBytesProcessed: '0',
    jobComplete: true,
    cacheHit: false,
    ...(numDmlAffectedRows !== undefined && { numDmlAffectedRows, dmlStats }),
  }
}
