import { type Config, tableId } from '../../shared/config/index.ts'
import { beside, DEAD_LETTERS_VIEW, type Warehouse } from '../../shared/warehouse/index.ts'

/** What the warehouse holds, by SQL: rows and dead letters, and how many different events these are. */
export interface Holdings {
  readonly rows: number
  readonly deadLetters: number
  /** Different (source, position). */
  readonly distinct: number
}

/** Counts every table of the configuration; needs their coordinates, so it reads a column of each row. */
export async function countHoldings(warehouse: Warehouse, config: Config): Promise<Holdings> {
  const sql = `WITH held AS (${eventsOf(config).join('\nUNION ALL\n')})
SELECT COUNTIF(kind = 'row') AS rows_held, COUNTIF(kind = 'letter') AS letters,
  COUNT(DISTINCT CONCAT(source, '@', CAST(position AS STRING))) AS distinct_events FROM held`
  for await (const row of warehouse.query(sql)) {
    return {
      rows: Number(row['rows_held']),
      deadLetters: Number(row['letters']),
      distinct: Number(row['distinct_events']),
    }
  }
  return { rows: 0, deadLetters: 0, distinct: 0 }
}

function eventsOf(config: Config): string[] {
  const routes = Object.values(config.routes)
  const datasets = new Map(routes.map(({ table }) => [table.dataset, table]))
  return [
    ...routes.map(
      ({ table, metadata: m }) =>
        `SELECT 'row' AS kind, t.${m}.source AS source, t.${m}.position AS position FROM \`${tableId(table)}\` AS t`,
    ),
    ...[...datasets.values()].map(
      (table) => `SELECT 'letter' AS kind, source, position FROM \`${tableId(beside(table, DEAD_LETTERS_VIEW))}\``,
    ),
  ]
}

/** Rows and dead letters, quickly: for the live status. */
export async function countRows(warehouse: Warehouse, config: Config): Promise<number> {
  const counts = Object.values(config.routes).map(({ table }) => `(SELECT COUNT(*) FROM \`${tableId(table)}\`)`)
  for await (const row of warehouse.query(`SELECT ${counts.join(' + ')} AS n`)) return Number(row['n'])
  return 0
}

/** The last line of a run. */
export interface Verdict {
  readonly line: string
  readonly holds: boolean
}

/** @param faults gaps and overlaps that the audit found */
export function verdictOf(events: number, held: Holdings, faults: number): Verdict {
  const missing = Math.max(0, events - held.distinct)
  const duplicates = held.rows + held.deadLetters - held.distinct
  const line = `events=${events} rows=${held.rows} dead_letters=${held.deadLetters} missing=${missing} duplicates=${duplicates}`
  return { line, holds: missing === 0 && duplicates === 0 && held.distinct === events && faults === 0 }
}
