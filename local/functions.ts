import type { Config } from '../shared/config/index.ts'
import { freePort } from './free-port.ts'
import { type SchedulerJob, startScheduler } from './scheduler/index.ts'
import { commandService, functionService } from './services.ts'
import type { Supervisor } from './start/supervisor.ts'

const EVERY_MINUTE = '* * * * *'
/** Cloud Scheduler's longest: what is still at work is not called again. */
const ATTEMPT_DEADLINE_MS = 30 * 60_000

/**
 * The worker and the functions of the configuration, each a process of its own, and what Cloud Scheduler calls of them,
 * until the supervisor closes.
 * @param port where finalized objects are told
 * @returns `push`: the URL of kafka-push, when a route has it
 */
export async function startFunctions(supervisor: Supervisor, config: Config, port: number): Promise<{ push?: string }> {
  const jobs: Promise<SchedulerJob>[] = []
  if (config.bucket) {
    await supervisor.start(functionService('chunk-load', port, config.file))
    jobs.push(startScheduled(supervisor, config, 'backfill', EVERY_MINUTE))
  }
  if (config.kafka) {
    if (config.consumer.mode === 'worker') await supervisor.start(commandService('worker', config.file))
    else jobs.push(startScheduled(supervisor, config, 'kafka-drain', config.consumer.schedule))
  }
  const scheduler = startScheduler({ jobs: await Promise.all(jobs) })
  supervisor.whenClosing(() => scheduler.stop())
  if (!Object.values(config.routes).some(({ push }) => push)) return {}
  return { push: await startFunction(supervisor, config, 'kafka-push') }
}

/** Resolves to its URL. */
async function startFunction(supervisor: Supervisor, config: Config, name: string): Promise<string> {
  const port = await freePort()
  await supervisor.start(functionService(name, port, config.file))
  return `http://127.0.0.1:${port}/`
}

async function startScheduled(
  supervisor: Supervisor,
  config: Config,
  name: string,
  schedule: string,
): Promise<SchedulerJob> {
  const url = await startFunction(supervisor, config, name)
  return { name, schedule, url, body: {}, attemptDeadlineMs: ATTEMPT_DEADLINE_MS }
}
