import type { Config } from '../shared/config/index.ts'
import { countLetters } from '../shared/dead-letters/index.ts'
import type { LetterCount } from '../shared/status/index.ts'
import { withWarehouse } from './with-warehouse.ts'

/** Open dead letters since a time. The agent's bundle has no client for BigQuery and does without this. */
export function askLetters(config: Config, since: Date): Promise<readonly LetterCount[]> {
  return withWarehouse(config, 'status', 'check the rights with millrace check --connect', (warehouse) =>
    countLetters(warehouse, config, since),
  )
}
