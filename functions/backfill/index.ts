import type { Request, Response } from '@google-cloud/functions-framework'
import { loadConfig } from '../../shared/config/index.ts'
import { type Environment, openEnvironment } from '../chunk-load/index.ts'
import { backfill } from './backfill.ts'

export { backfill } from './backfill.ts'

/** One invocation works this long, unless CLOUD_RUN_TIMEOUT_SECONDS says less; the next goes on from what is left. */
const BUDGET_MS = 50 * 60_000
/** Kept from the service's own time-out for the object that is under way. */
const MARGIN_MS = 60_000

let environment: Environment | undefined

/** The function `backfill`, called by Cloud Scheduler or by hand: POST {"from"?: NAME}; answers what it did. */
export async function backfillFunction(request: Request, response: Response): Promise<void> {
  const { from } = (request.body ?? {}) as { from?: unknown }
  if (from !== undefined && typeof from !== 'string')
    return void response.status(400).json({ error: 'from is not the name of an object' })
  environment ??= openEnvironment(loadConfig(), 'backfill')
  const signal = AbortSignal.timeout(budgetMs())
  response.json(await backfill(environment, { signal, ...(from === undefined ? {} : { from }) }))
}

function budgetMs(): number {
  const serviceMs = Number(process.env['CLOUD_RUN_TIMEOUT_SECONDS'] ?? Number.POSITIVE_INFINITY) * 1000
  return Math.max(MARGIN_MS, Math.min(BUDGET_MS, serviceMs - MARGIN_MS))
}
