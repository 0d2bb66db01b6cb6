import type { Context } from './context.ts'
import { copy } from './copy.ts'
import { invalid, notBuilt } from './errors.ts'
import { type Answer, count, object, param, type Request, text } from './exchange.ts'
import { type Job, jobReference, jobResource } from './jobs.ts'
import { page } from './page.ts'
import { dryRun, startQuery, statementOf, wait } from './queries.ts'

const PAGE_ITEMS = 50
/** How long jobs.insert waits for a job that is nearly done, so that clients which poll by the second need not. */
const INSERT_WAIT_MS = 100

/** POST jobs: query and copy jobs. The job runs on; errors of its work are in its status. */
export async function insertJob(context: Context, request: Request): Promise<Answer> {
  const project = param(request, 'project')
  const configuration = object(request.body, 'configuration') ?? {}
  const id = text(object(request.body, 'jobReference'), 'jobId')
  const [query, copied] = [object(configuration, 'query'), object(configuration, 'copy')]
  if (query) {
    const statement = statementOf(project, query)
    if (configuration['dryRun'] === true) return { json: dryJob(configuration, dryRun(context, statement)) }
    return started(await startQuery(context, statement, id, { ...configuration, jobType: 'QUERY' }), request)
  }
  if (copied) {
    const work = (job: Job) => copy(context, project, job, copied)
    return started(await context.jobs.start(project, id, { ...configuration, jobType: 'COPY' }, work), request)
  }
  const kind = ['load', 'extract'].find((name) => object(configuration, name))
  throw kind === undefined ? invalid('Required parameter is missing: configuration') : notBuilt(`A ${kind} job`)
}

async function started(job: Job, { origin }: Request): Promise<Answer> {
  await wait(job, INSERT_WAIT_MS)
  return { json: jobResource(job, origin) }
}

function dryJob(configuration: Record<string, unknown>, { schema, ...rest }: ReturnType<typeof dryRun>) {
  return {
    kind: 'bigquery#job',
    configuration,
    jobReference: rest.jobReference,
    status: { state: 'DONE' },
    statistics: {
      totalBytesProcessed: '0',
      query: { totalBytesProcessed: '0', cacheHit: false, ...(schema && { schema }) },
    },
  }
}

export async function getJob(context: Context, request: Request): Promise<Answer> {
  const job = await context.jobs.get(param(request, 'project'), param(request, 'job'))
  return { json: jobResource(job, request.origin) }
}

/** Jobs are short here: cancel answers the job as it is, as BigQuery may too. */
export async function cancelJob(context: Context, request: Request): Promise<Answer> {
  const job = await context.jobs.get(param(request, 'project'), param(request, 'job'))
  return { json: { kind: 'bigquery#jobCancelResponse', job: jobResource(job, request.origin) } }
}

export function listJobs(context: Context, request: Request): Answer {
  const limit = count(request.query.get('maxResults')) ?? PAGE_ITEMS
  const { items, next } = page(context.jobs.list(param(request, 'project')), request.query.get('pageToken'), limit)
  const jobs = items.map((job) => {
    const { kind, id, status, statistics, configuration, user_email } = jobResource(job, request.origin)
    return {
      kind,
      id,
      jobReference: jobReference(job),
      state: status.state,
      status,
      statistics,
      configuration,
      user_email,
    }
  })
  return { json: { kind: 'bigquery#jobList', jobs, ...(next !== undefined && { nextPageToken: next }) } }
}
