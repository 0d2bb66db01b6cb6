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
 */
export async function startFunctions(supervisor: Supervisor, config: Config, port: number): Promise<void> {
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
}

async function startScheduled(
  supervisor: Supervisor,
  config: Config,
  name: string,
  schedule: string,
): Promise<SchedulerJob> {
  const port = await freePort()
  await supervisor.start(functionService(name, port, config.file))
  return { name, schedule, url: `http://127.0.0.1:${port}/`, body: {}, attemptDeadlineMs: ATTEMPT_DEADLINE_MS }
}
