import type { Config } from '../shared/config/index.ts'
import { countLetters } from '../shared/dead-letters/index.ts'
import type { LetterCount } from '../shared/status/index.ts'
import { reached } from './reached.ts'
import { withWarehouse } from './with-warehouse.ts'

// What status and check ask of BigQuery. The agent's bundle has no client for it and does without.

/** Open dead letters since a time. */
export function askLetters(config: Config, since: Date): Promise<readonly LetterCount[]> {
  return withWarehouse(config, 'status', async (warehouse) => {
    for (const { table } of Object.values(config.routes).slice(0, 1))
      await reached('BigQuery', warehouse.findTable(table))
    return countLetters(warehouse, config, since)
  })
}

/** Something harmless. */
export function askWarehouse(config: Config): Promise<void> {
  return withWarehouse(config, 'check', async (warehouse) => {
    for await (const _row of warehouse.query('SELECT 1 AS one')) return
  })
}
