import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { Clock } from '../../clock/index.ts'
import type { Store } from '../store/store.ts'
import type { TableField } from '../types.ts'
import { alreadyExists, invalid, notFound, type RestError, restErrorOf } from './errors.ts'
import { Results } from './results.ts'

/** Finished jobs whose results are kept; BigQuery keeps them for 24 hours. */
const JOBS_MAX = 1_000
const ID = /^[A-Za-z0-9_-]{1,1024}$/
const LOCATION = 'US'

/** What a job did, in the form of the REST API's statistics. */
export interface JobStatistics {
  schema?: TableField[]
  query?: Record<string, unknown>
  copy?: Record<string, unknown>
}

/** A job: it runs from the moment it is made. */
export interface Job {
  readonly project: string
  readonly id: string
  readonly configuration: Record<string, unknown>
  readonly createdMs: number
  readonly results: Results
  endMs: number | undefined
  error: RestError | undefined
  statistics: JobStatistics
  /** Settles when the job is done, well or not; never rejects. */
  finished: Promise<void>
}

/** The part of a job that outlives the process. */
export interface StoredJob {
  configuration: Record<string, unknown>
  createdMs: number
  statistics: JobStatistics
}

/** Jobs by project and id. Those that changed something are also in DuckDB, written with the change itself. */
export class Jobs {
  readonly #store: Store
  readonly #clock: Clock
  readonly #tmp: string
  readonly #jobs = new Map<string, Job>()

  constructor(store: Store, clock: Clock, tmp: string) {
    this.#store = store
    this.#clock = clock
    this.#tmp = tmp
  }

  /** Starts a job. Throws 409 when its id has been used. */
  async start(
    project: string,
    id: string | undefined,
    configuration: Record<string, unknown>,
    work: (job: Job) => Promise<JobStatistics>,
  ): Promise<Job> {
    const name = id ?? `job_${randomUUID().replaceAll('-', '')}`
    if (!ID.test(name)) throw invalid(`Invalid job ID "${name}".`)
    const key = keyOf(project, name)
    if (this.#jobs.has(key) || (id !== undefined && (await this.#store.warehouse?.findJob(key)) !== undefined)) {
      throw alreadyExists(`Job ${key}`)
    }
    const results = new Results(join(this.#tmp, `${randomUUID()}.rows`))
    const createdMs = this.#clock.now()
    const job: Job = {
      project,
      id: name,
      configuration,
      createdMs,
      results,
      statistics: {},
      endMs: undefined,
      error: undefined,
      finished: Promise.resolve(),
    }
    this.#jobs.set(key, job)
    job.finished = this.#run(job, work)
    this.#evict()
    return job
  }

  async #run(job: Job, work: (job: Job) => Promise<JobStatistics>): Promise<void> {
    try {
      job.statistics = await work(job)
    } catch (error) {
      job.error = restErrorOf(error)
    }
    job.endMs = this.#clock.now()
  }

  /** Notes a job that changes something; inside the transaction of the change. */
  async record(job: Job, statistics: JobStatistics): Promise<void> {
    const { configuration, createdMs } = job
    const stored: StoredJob = { configuration, createdMs, statistics }
    await this.#store.warehouse?.recordJob(keyOf(job.project, job.id), stored)
  }

  async get(project: string, id: string): Promise<Job> {
    const key = keyOf(project, id)
    const known = this.#jobs.get(key)
    if (known) return known
    const stored = (await this.#store.warehouse?.findJob(key)) as StoredJob | undefined
    if (stored === undefined) throw notFound(`Job ${key}`)
    const { createdMs } = stored
    const results = new Results('')
    return { ...stored, project, id, results, endMs: createdMs, error: undefined, finished: Promise.resolve() }
  }

  /** The newest first. */
  list(project: string): Job[] {
    return [...this.#jobs.values()].filter((job) => job.project === project).reverse()
  }

  #evict(): void {
    for (const [key, job] of this.#jobs) {
      if (this.#jobs.size <= JOBS_MAX) return
      if (job.endMs === undefined) continue
      job.results.dispose()
      this.#jobs.delete(key)
    }
  }
}

function keyOf(project: string, id: string): string {
  return `${project}:${LOCATION}.${id}`
}

/** The job in the REST form. */
export function jobResource(job: Job, origin: string) {
  const { project, id, createdMs, endMs, error } = job
  const { schema: _, ...statistics } = job.statistics
  const status = endMs === undefined ? { state: 'RUNNING' } : { state: 'DONE' }
  return {
    kind: 'bigquery#job',
    id: keyOf(project, id),
    selfLink: `${origin}/bigquery/v2/projects/${project}/jobs/${id}`,
    jobReference: jobReference(job),
    configuration: job.configuration,
    status: { ...status, ...(error && { errorResult: error.proto(), errors: [error.proto()] }) },
    statistics: {
      creationTime: String(createdMs),
      startTime: String(createdMs),
      ...(endMs !== undefined && { endTime: String(endMs) }),
      totalBytesProcessed: '0',
      ...statistics,
    },
    user_email: 'local@millrace.invalid',
  }
}

export function jobReference({ project, id }: Job) {
  return { projectId: project, jobId: id, location: LOCATION }
}
