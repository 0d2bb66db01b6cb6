import type { Request, Response } from '@google-cloud/functions-framework'
import { loadConfig } from '../../shared/config/index.ts'
import { messageOf } from '../../shared/errors.ts'
import { createLog } from '../../shared/telemetry/index.ts'
import { drain } from './drain.ts'

export { parseAcceptLoss } from '../kafka-worker/accept-loss.ts'
export { drain } from './drain.ts'

/**
 * The function `kafka-drain`, called by Cloud Scheduler: 200 and what was done; 500 when it has failed, which the log tells, and the
 * next call goes on where this one ended.
 */
export async function kafkaDrain(_request: Request, response: Response): Promise<void> {
  const log = createLog('kafka-drain')
  try {
    response.status(200).json(await drain(loadConfig(), log))
  } catch (error) {
    log.error({ err: error }, `the drain has failed: ${messageOf(error)}`)
    response.status(500).json({ error: messageOf(error) })
  }
}
