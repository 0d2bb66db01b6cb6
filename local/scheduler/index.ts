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

export interface RunningScheduler {
  /** Runs a job at once, after the execution that is outstanding, if there is one. Throws when there is no such job. */
  runNow(name: string): Promise<Execution>
  /** The last execution of each job, in the order of the jobs. */
  last(): readonly Execution[]
  /** Ends what is outstanding. */
  stop(): Promise<void>
}

interface JobState {
  readonly job: SchedulerJob
  readonly cron: Cron
  /** The execution that is outstanding, or what came last. */
  running: Promise<unknown> | undefined
  last: Execution | undefined
}

/**
 * Posts to its targets when the clock says so. A job never has two executions outstanding: a slot that comes while one
 * is under way is left out. Throws UserError for a schedule that is none.
 */
export function startScheduler(options: SchedulerOptions): RunningScheduler {
  const { clock = createClock(), faults = createFaults(), recorder = createRecorder() } = options
  const stop = new AbortController()
  const states = options.jobs.map((job): JobState => ({ job, cron: cronOf(job), running: undefined, last: undefined }))
  const cancels = new Map<JobState, () => void>()

  function arm(state: JobState): void {
    const at = state.cron.next(clock.now())
    if (at === undefined || stop.signal.aborted) return
    cancels.set(
      state,
      clock.after(at - clock.now(), () => due(state, at)),
    )
  }

  function due(state: JobState, scheduledMs: number): void {
    arm(state)
    if (state.running === undefined) void start(state, scheduledMs)
  }

  function start(state: JobState, scheduledMs: number): Promise<Execution> {
    const execution = execute(state.job, scheduledMs).then((done) => {
      state.running = undefined
      state.last = done
      return done
    })
    state.running = execution
    return execution
  }

  async function execute(job: SchedulerJob, scheduledMs: number): Promise<Execution> {
    const call = { service: 'scheduler', method: 'push', resource: job.name, entry: job.name } as const
    recorder.record(call)
    const isTaken = (status: number) => status >= 200 && status < 300
    const failure = await attempt({ send: () => push(job, scheduledMs), isTaken, fault: faults.next(call), clock })
    return { job: job.name, scheduledMs, ...(failure === undefined ? {} : { failure }) }
  }

  function push(job: SchedulerJob, scheduledMs: number): Promise<Posted> {
    const headers = {
      'user-agent': 'Google-Cloud-Scheduler',
      'x-cloudscheduler': 'true',
      'x-cloudscheduler-jobname': job.name,
      'x-cloudscheduler-scheduletime': new Date(scheduledMs).toISOString(),
      ...(job.body === undefined ? {} : { 'content-type': 'application/json' }),
    }
    const body = job.body === undefined ? '' : JSON.stringify(job.body)
    const timeoutMs = job.attemptDeadlineMs ?? ATTEMPT_DEADLINE_MS
    return post(job.url, { headers, body, timeoutMs, signal: stop.signal })
  }

  async function runNow(name: string): Promise<Execution> {
    const state = states.find(({ job }) => job.name === name)
    if (!state) throw new UserError(`There is no job ${name}.`, `Jobs: ${states.map(({ job }) => job.name).join(', ')}`)
    while (state.running) await state.running
    return start(state, clock.now())
  }

  for (const state of states) arm(state)
  return {
    runNow,
    last: () => states.flatMap(({ last }) => last ?? []),
    async stop() {
      stop.abort()
      for (const cancel of cancels.values()) cancel()
      await Promise.all(states.map(({ running }) => running))
    },
  }
}

function cronOf({ name, schedule }: SchedulerJob): Cron {
  const cron = parseCron(schedule)
  if (typeof cron !== 'string') return cron
  throw new UserError(
    `Job ${name}: schedule: ${cron}`,
    'Five fields: minute hour day month weekday, as in "*/5 * * * *".',
  )
}
