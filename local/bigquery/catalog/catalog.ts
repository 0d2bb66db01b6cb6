import { join } from 'node:path'
import { type Journal, memoryJournal, openJournal } from '../store/journal.ts'
import { CatalogState, type Change } from './state.ts'

const FORMAT = 'millrace-bigquery-catalog'
const VERSION = 1
/** The journal is rewritten at start when it has this many lines for each that is needed, and at least 1,000. */
const COMPACT_RATIO = 4
const COMPACT_LINES_MIN = 1_000

/** Datasets, tables and streams, durable: a change is on disk when `change` returns. */
export class Catalog {
  readonly state: CatalogState
  readonly #journal: Journal<Change>

  private constructor(state: CatalogState, journal: Journal<Change>) {
    this.state = state
    this.#journal = journal
  }

  /** Opens the catalog of a data folder; without one it lives in memory. Throws a UserError when it is damaged. */
  static open(dataDir: string | undefined): Catalog {
    const file = dataDir === undefined ? undefined : join(dataDir, 'catalog.log')
    const journal = file === undefined ? memoryJournal<Change>() : openJournal<Change>(file, FORMAT, VERSION)
    const state = new CatalogState()
    for (const change of journal.entries) state.apply(change)
    const live = state.dump()
    if (journal.entries.length > Math.max(COMPACT_LINES_MIN, live.length * COMPACT_RATIO)) journal.rewrite(live)
    return new Catalog(state, journal)
  }

  change(change: Change): void {
    this.#journal.append(change)
    this.state.apply(change)
  }

  close(): void {
    this.#journal.close()
  }
}
