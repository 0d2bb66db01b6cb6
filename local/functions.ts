import type { Config } from '../shared/config/index.ts'
import { freePort } from './free-port.ts'
import { startScheduler } from './scheduler/index.ts'
import { functionService } from './services.ts'
import type { Supervisor } from './start/supervisor.ts'

/** Cloud Scheduler's longest: a backfill that is still at work is not called again. */
const ATTEMPT_DEADLINE_MS = 30 * 60_000

/**
 * The functions of the configuration, each a process of its own, and what Cloud Scheduler calls of them, until the
 * supervisor closes.
 * @param port where finalized objects are told
 */
export async function startFunctions(supervisor: Supervisor, config: Config, port: number): Promise<void> {
  if (!config.bucket) return
  const backfillPort = await freePort()
  await Promise.all([
    supervisor.start(functionService('chunk-load', port, config.file)),
    supervisor.start(functionService('backfill', backfillPort, config.file)),
  ])
  const url = `http://127.0.0.1:${backfillPort}/`
  const backfill = { name: 'backfill', schedule: '* * * * *', url, body: {}, attemptDeadlineMs: ATTEMPT_DEADLINE_MS }
  const scheduler = startScheduler({ jobs: [backfill] })
  supervisor.whenClosing(() => scheduler.stop())
}
