import { UserError } from '../../shared/errors.ts'
import { type Clock, createClock, createFaults, createRecorder, type Faults, type Recorder } from '../faults/index.ts'
import { attempt, post, type Posted } from '../push/index.ts'
import { type Cron, parseCron } from './cron.ts'

/** Cloud Scheduler's default attempt deadline for HTTP targets: https://cloud.google.com/scheduler/docs/reference/rest/v1/projects.locations.jobs */
const ATTEMPT_DEADLINE_MS = 180_000

/** A job as in Cloud Scheduler, with an HTTP target and no retries: the next slot is the retry. */
export interface SchedulerJob {
  name: string
  /** Five fields, UTC: see `parseCron`. */
  schedule: string
  url: string
  /** Sent as JSON; absent: an empty body. */
  body?: unknown
  /** An execution that has not been answered by then has failed. Default 3 minutes. */
  attemptDeadlineMs?: number
}

export interface Execution {
  job: string
  /** The slot it belongs to, milliseconds since 1970; for runNow the time of the call. */
  scheduledMs: number
  /** Why it failed; undefined: the target answered with success. */
  failure?: string
}

export interface SchedulerOptions {
  jobs: readonly SchedulerJob[]
  clock?: Clock
  faults?: Faults
  recorder?: Recorder
}

interface JobState {
  readonly job: SchedulerJob
  readonly cron: Cron
  /** Calls off the next slot. */
  timer: () => void
  /** The execution that is outstanding, or what came last. */
  running: Promise<Execution> | undefined
  last: Execution | undefined
}

/**
 * Posts to its targets when the clock says so. A job never has two executions outstanding: a slot that comes while one
 * is under way is left out.
 */
export class Scheduler {
  readonly #states: readonly JobState[]
  readonly #clock: Clock
  readonly #faults: Faults
  readonly #recorder: Recorder
  readonly #stop = new AbortController()

  /** Throws UserError for a schedule that is none. */
  constructor({ jobs, clock = createClock(), faults = createFaults(), recorder = createRecorder() }: SchedulerOptions) {
    this.#clock = clock
    this.#faults = faults
    this.#recorder = recorder
    this.#states = jobs.map((job) => ({ job, cron: cronOf(job), timer: () => {}, running: undefined, last: undefined }))
    for (const state of this.#states) this.#arm(state)
  }

  /** Runs a job at once, or after the execution that is outstanding. Throws UserError when there is no such job. */
  async runNow(name: string): Promise<Execution> {
    const state = this.#states.find(({ job }) => job.name === name)
    if (!state) {
      throw new UserError(`There is no job ${name}.`, `Jobs: ${this.#states.map(({ job }) => job.name).join(', ')}`)
    }
    while (state.running) await state.running
    return this.#start(state, this.#clock.now())
  }

  /** The last execution of each job that has run, in the order of the jobs. */
  last(): readonly Execution[] {
    return this.#states.flatMap(({ last }) => last ?? [])
  }

  /** Ends what is outstanding. */
  async stop(): Promise<void> {
    this.#stop.abort()
    for (const { timer } of this.#states) timer()
    await Promise.all(this.#states.flatMap(({ running }) => running ?? []))
  }

  #arm(state: JobState): void {
    const at = state.cron.next(this.#clock.now())
    if (at === undefined || this.#stop.signal.aborted) return
    state.timer = this.#clock.after(at - this.#clock.now(), () => {
      this.#arm(state)
      if (!state.running) void this.#start(state, at)
    })
  }

  #start(state: JobState, scheduledMs: number): Promise<Execution> {
    const execution = this.#execute(state.job, scheduledMs).then((done) => {
      state.running = undefined
      state.last = done
      return done
    })
    state.running = execution
    return execution
  }

  async #execute(job: SchedulerJob, scheduledMs: number): Promise<Execution> {
    const call = { service: 'scheduler', method: 'push', resource: job.name, entry: job.name } as const
    this.#recorder.record(call)
    const send = () => this.#push(job, scheduledMs)
    const isTaken = (status: number) => status >= 200 && status < 300
    const failure = await attempt({ send, isTaken, fault: this.#faults.next(call), clock: this.#clock })
    return { job: job.name, scheduledMs, ...(failure === undefined ? {} : { failure }) }
  }

  #push(job: SchedulerJob, scheduledMs: number): Promise<Posted> {
    const headers = {
      'user-agent': 'Google-Cloud-Scheduler',
      'x-cloudscheduler': 'true',
      'x-cloudscheduler-jobname': job.name,
      'x-cloudscheduler-scheduletime': new Date(scheduledMs).toISOString(),
      ...(job.body === undefined ? {} : { 'content-type': 'application/json' }),
    }
    const body = job.body === undefined ? '' : JSON.stringify(job.body)
    const timeoutMs = job.attemptDeadlineMs ?? ATTEMPT_DEADLINE_MS
    return post(job.url, { headers, body, timeoutMs, signal: this.#stop.signal })
  }
}

/** A scheduler at work. Throws UserError for a schedule that is none. */
export function startScheduler(options: SchedulerOptions): Scheduler {
  return new Scheduler(options)
}

function cronOf({ name, schedule }: SchedulerJob): Cron {
  const cron = parseCron(schedule)
  if (typeof cron !== 'string') return cron
  throw new UserError(
    `Job ${name}: schedule: ${cron}`,
    'Five fields: minute hour day month weekday, as in "*/5 * * * *".',
  )
}
