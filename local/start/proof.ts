import type { AuditReport } from '../../shared/audit/index.ts'
import { type Config, tableId } from '../../shared/config/index.ts'
import { beside, DEAD_LETTERS, DEAD_LETTERS_VIEW, type Warehouse } from '../../shared/warehouse/index.ts'

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
  return [
    ...[...new Map(routes.map((route) => [tableId(route.table), route])).values()].map(
      ({ table, metadata: m }) =>
        `SELECT 'row' AS kind, t.${m}.source AS source, t.${m}.position AS position FROM \`${tableId(table)}\` AS t`,
    ),
    ...lettersOf(config, DEAD_LETTERS_VIEW).map((from) => `SELECT 'letter' AS kind, source, position ${from}`),
  ]
}

/** `FROM` for the dead letters of this configuration's routes, in each dataset. */
function lettersOf(config: Config, name: string): string[] {
  const routes = Object.values(config.routes)
  const tables = new Set(routes.map(({ table }) => tableId(beside(table, name))))
  const names = routes.map((route) => `'${route.name}'`).join(', ')
  return [...tables].map((table) => `FROM \`${table}\` WHERE route IN (${names})`)
}

/** Rows and dead letters, quickly: for the live status. */
export async function countRows(
  warehouse: Warehouse,
  config: Config,
): Promise<{ rows: number; deadLetters: number } | undefined> {
  const tables = new Set(Object.values(config.routes).map(({ table }) => tableId(table)))
  const rows = [...tables].map((table) => `(SELECT COUNT(*) FROM \`${table}\`)`).join(' + ')
  const coordinates = "CONCAT(source, '@', CAST(position AS STRING))"
  const letters = lettersOf(config, DEAD_LETTERS.name)
    .map((from) => `(SELECT COUNT(DISTINCT ${coordinates}) ${from})`)
    .join(' + ')
  for await (const row of warehouse.query(`SELECT ${rows} AS n, ${letters} AS letters`))
    return { rows: Number(row['n']), deadLetters: Number(row['letters']) }
  return undefined
}

/** The last line of a run. */
export interface Verdict {
  readonly line: string
  readonly holds: boolean
  /** Events that are in the tables and that nobody says to have written. */
  readonly unknown: number
}

/** What the audit found can only make it worse: a loss that a foreign row hides in the count is a gap there. */
export function verdictOf(events: number, held: Holdings, { faults, listed }: AuditReport): Verdict {
  const gaps = listed.filter(({ kind }) => kind === 'gap').length
  const overlaps = listed.filter(({ kind }) => kind === 'overlap').length
  const missing = Math.max(0, events - held.distinct, gaps)
  const duplicates = Math.max(held.rows + held.deadLetters - held.distinct, overlaps)
  const line = `events=${events} rows=${held.rows} dead_letters=${held.deadLetters} missing=${missing} duplicates=${duplicates}`
  const unknown = Math.max(0, held.distinct - events)
  return { line, unknown, holds: missing === 0 && duplicates === 0 && unknown === 0 && faults === 0 }
}
