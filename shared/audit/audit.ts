import { setTimeout as delay } from 'node:timers/promises'
import { type Config, type TableName, tableId } from '../config/index.ts'
import { beside, DEAD_LETTERS_VIEW, type Row, SOURCES_VIEW, type Warehouse } from '../warehouse/index.ts'
import { type AuditTables, auditSql } from './sql.ts'

/** A range of a source that no event covers, that two cover, or that lies behind the source's end. */
export interface Fault {
  readonly kind: 'gap' | 'overlap' | 'beyond the end'
  readonly source: string
  readonly from: number
  readonly to: number
}

/** What an audit found. */
export interface AuditReport {
  /** Sources looked at; of these, finished ones, which are vouched for whole. */
  readonly sources: number
  readonly finished: number
  /** Rows and dead letters. */
  readonly events: number
  /** All faults; `listed` has the first of them. */
  readonly faults: number
  readonly listed: readonly Fault[]
}

/** A dead letter is readable a moment before the rows in front of it: a fault counts when it is still there after this time. */
const SETTLE_MS = 2_000
const LOOKS_MAX = 3

/**
 * Proves, by SQL alone, that the events of every source tile its file.
 * @param day `YYYY-MM-DD`: only the sources that took in an event, or were finished, on that day (UTC)
 */
export async function runAudit(
  warehouse: Warehouse,
  config: Config,
  { day, settleMs = SETTLE_MS }: { day?: string; settleMs?: number } = {},
): Promise<AuditReport> {
  const tables = await tablesOf(warehouse, config)
  let report = await look(warehouse, tables, day)
  for (let looks = 1; report.faults > 0 && looks < LOOKS_MAX; looks++) {
    await delay(settleMs)
    report = await look(warehouse, tables, day)
  }
  return report
}

async function look(warehouse: Warehouse, tables: AuditTables, day: string | undefined): Promise<AuditReport> {
  if (tables.routes.length === 0) return { sources: 0, finished: 0, events: 0, faults: 0, listed: [] }
  const sql = auditSql(tables, day !== undefined)
  const rows = await Array.fromAsync(warehouse.query(sql, day === undefined ? {} : { day }))
  const total = rows.find(({ kind }) => kind === 'total') ?? {}
  return {
    sources: Number(total['sources']),
    finished: Number(total['finished']),
    events: Number(total['events']),
    faults: Number(total['faults']),
    listed: rows.filter(({ kind }) => kind !== 'total').map(faultOf),
  }
}

function faultOf({ kind, source, from_position: from, to_position: to }: Row): Fault {
  return { kind: kind as Fault['kind'], source: String(source), from: Number(from), to: Number(to) }
}

/** The tables that are there: what has not carried anything yet does not have to exist. */
async function tablesOf(warehouse: Warehouse, { routes }: Config): Promise<AuditTables> {
  const present = async (nameOf: (table: TableName) => TableName) => {
    const named = Object.values(routes).map(({ table, metadata }) => ({ name: nameOf(table), metadata }))
    const wanted = new Map(named.map((one) => [tableId(one.name), one]))
    const looked = Array.from(wanted, async ([table, { name, metadata }]) => {
      const found = await warehouse.findTable(name)
      return found ? [{ table, metadata, everyRow: found.everyRow }] : []
    })
    return (await Promise.all(looked)).flat()
  }
  const views = async (name: string) => (await present((table) => beside(table, name))).map(({ table }) => table)
  return {
    routes: await present((table) => table),
    deadLetters: await views(DEAD_LETTERS_VIEW),
    sources: await views(SOURCES_VIEW),
  }
}
