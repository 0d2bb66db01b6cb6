import type { Config } from '../shared/config/index.ts'
import { countLetters, type LetterCount } from '../shared/dead-letters/index.ts'
import { withTimeout } from '../shared/kafka/index.ts'
import { withWarehouse } from './with-warehouse.ts'

// What status and check ask of BigQuery. The agent's bundle has no client for it and does without.

/** Open dead letters since a time. Rejects, too, when a first question has no answer within `reachWithinMs`. */
export function askLetters(config: Config, since: Date, reachWithinMs: number): Promise<readonly LetterCount[]> {
  return withWarehouse(config, 'status', async (warehouse) => {
    const [route] = Object.values(config.routes)
    if (route) await withTimeout(warehouse.findTable(route.table), reachWithinMs)
    return countLetters(warehouse, config, since)
  })
}

/** Something harmless. */
export function askWarehouse(config: Config): Promise<void> {
  return withWarehouse(config, 'check', async (warehouse) => {
    for await (const _row of warehouse.query('SELECT 1 AS one')) return
  })
}
