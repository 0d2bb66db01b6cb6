import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { DuckDBConnection } from '@duckdb/node-api'
import { Catalog } from '../catalog/catalog.ts'
import type { Stream, Table } from '../catalog/state.ts'
import type { Extent } from '../warehouse/batch.ts'
import { Warehouse } from '../warehouse/warehouse.ts'
import { countLog, FileLog, findSegments, type StreamLog } from './stream-log.ts'

/** The stream that every table has. */
export const DEFAULT_STREAM = '_default'
/** Streams whose files may be open at once; the ones that rested longest are closed first. */
const OPEN_LOGS_MAX = 256

/** Catalog, stream logs and DuckDB, and the order in which they are written: docs/protocols/local-bigquery.md. */
export class Store {
  readonly catalog: Catalog
  /** Absent when the store only counts. */
  readonly warehouse: Warehouse | undefined
  readonly #rowsDir: string
  /** By table identity and stream id. */
  readonly #logs = new Map<string, Map<string, StreamLog>>()
  readonly #open = new Set<StreamLog>()

  private constructor(catalog: Catalog, warehouse: Warehouse | undefined, rowsDir: string) {
    this.catalog = catalog
    this.warehouse = warehouse
    this.#rowsDir = rowsDir
  }

  /** A store that keeps nothing but counts. */
  static counting(): Store {
    return new Store(Catalog.open(undefined), undefined, '')
  }

  /** Opens a data folder. Throws a UserError when it is damaged or in use. */
  static async open(dataDir: string): Promise<Store> {
    mkdirSync(dataDir, { recursive: true })
    // DuckDB's lock on its file is what keeps a second process out, so it comes first.
    const warehouse = await Warehouse.open(dataDir)
    try {
      const store = new Store(Catalog.open(dataDir), warehouse, join(dataDir, 'rows'))
      store.#recover()
      await store.#sweep()
      return store
    } catch (error) {
      warehouse.close()
      throw error
    }
  }

  #recover(): void {
    mkdirSync(this.#rowsDir, { recursive: true })
    for (const uid of readdirSync(this.#rowsDir)) {
      const dir = join(this.#rowsDir, uid)
      if (!this.catalog.state.tablesByUid.has(uid)) {
        rmSync(dir, { recursive: true })
        continue
      }
      for (const [stream, numbers] of findSegments(dir)) {
        const log = FileLog.open(dir, uid, stream, numbers)
        this.#logsOf(uid).set(stream, log)
        if (stream !== DEFAULT_STREAM && !this.catalog.state.streams.has(stream)) this.#forget(uid, stream)
        else this.#dropTaken(uid, stream)
      }
    }
  }

  /** Drops from DuckDB what the catalog no longer has. */
  async #sweep(): Promise<void> {
    for (const uid of this.warehouse?.tables() ?? []) {
      if (!this.catalog.state.tablesByUid.has(uid)) await this.warehouse?.drop(uid)
    }
  }

  #logsOf(uid: string): Map<string, StreamLog> {
    const known = this.#logs.get(uid)
    if (known) return known
    const fresh = new Map<string, StreamLog>()
    this.#logs.set(uid, fresh)
    return fresh
  }

  /** The log of a stream, made when it is asked for the first time. */
  log(uid: string, stream: string): StreamLog {
    const logs = this.#logsOf(uid)
    let log = logs.get(stream)
    if (log === undefined) {
      log = this.warehouse ? FileLog.open(join(this.#rowsDir, uid), uid, stream) : countLog()
      logs.set(stream, log)
    }
    return log
  }

  /** Notes that a log is about to be written, so that the number of open files stays bounded. */
  touch(log: StreamLog): void {
    this.#open.delete(log)
    this.#open.add(log)
    if (this.#open.size <= OPEN_LOGS_MAX) return
    for (const oldest of this.#open) {
      this.#open.delete(oldest)
      oldest.rest()
      return
    }
  }

  /** Rows of a stream so far. */
  endOf(stream: Stream): number {
    return stream.finalizedRows ?? this.log(stream.tableUid, stream.id).end
  }

  /** What DuckDB has not taken up of what a query may see, as of now. */
  pending(table: Table): Extent[] {
    const streams = this.catalog.state.streamsOf.get(table.uid) ?? []
    const visible = [...streams].filter(isVisible).map((stream) => stream.id)
    return [DEFAULT_STREAM, ...visible].flatMap((stream) => this.#extents(table.uid, stream))
  }

  #extents(uid: string, stream: string): Extent[] {
    const taken = this.warehouse?.taken(uid, stream)
    const segments = this.#logs.get(uid)?.get(stream)?.segments() ?? []
    return segments.flatMap(({ number, file, length }) => {
      if (taken !== undefined && number < taken.segment) return []
      const here = taken?.segment === number ? taken : undefined
      const extent = {
        stream,
        segment: number,
        file,
        from: here?.position ?? 0,
        to: length,
        writerAt: here?.writerAt ?? 0,
      }
      return extent.from < extent.to ? [extent] : []
    })
  }

  /** Rows in DuckDB, and what is still in the logs. */
  async rowCounts(table: Table): Promise<[stored: number, waiting: { rows: number; bytes: number }]> {
    const extents = this.pending(table)
    const bytes = extents.reduce((sum, { from, to }) => sum + to - from, 0)
    let rows = 0
    for (const stream of new Set(extents.map((extent) => extent.stream))) {
      rows += this.log(table.uid, stream).end - (this.warehouse?.taken(table.uid, stream)?.rows ?? 0)
    }
    return [(await this.warehouse?.count(table.uid)) ?? 0, { rows, bytes }]
  }

  /** Brings DuckDB up to every row of the tables that a query may see. The warehouse's lock must be held. */
  async takeUp(tables: readonly Table[]): Promise<Warehouse> {
    const { warehouse } = this
    if (warehouse === undefined) throw new Error('this store keeps no rows')
    for (const table of tables) {
      if (!this.catalog.state.tablesByUid.has(table.uid)) continue
      await warehouse.prepare(table)
      const extents = this.pending(table)
      await warehouse.takeUp(table, extents)
      for (const stream of new Set(extents.map((extent) => extent.stream))) this.#dropTaken(table.uid, stream)
    }
    return warehouse
  }

  /** A connection whose snapshot has every acknowledged row of the tables. The caller closes it. */
  async snapshot(tables: readonly Table[]): Promise<DuckDBConnection> {
    const { warehouse } = this
    if (warehouse === undefined) throw new Error('this store keeps no rows')
    return warehouse.lock.run(async () => {
      await this.takeUp(tables)
      const connection = await warehouse.connect()
      // The snapshot of a transaction is that of its first look at the database.
      await connection.run('BEGIN TRANSACTION READ ONLY; SELECT version FROM millrace_version')
      return connection
    })
  }

  /** Deletes segments that DuckDB has whole; of a stream that still grows the last one stays, for its end. */
  #dropTaken(uid: string, stream: string): void {
    const taken = this.warehouse?.taken(uid, stream)
    if (taken === undefined) return
    const log = this.log(uid, stream)
    log.dropBefore(taken.segment)
    const last = log.segments().at(-1)
    const finished = this.catalog.state.streams.get(stream)?.finalizedRows !== undefined
    if (finished && last?.number === taken.segment && last.length === taken.position) log.remove()
  }

  /** Forgets streams for good: first in the catalog, then their files. What queries could see of them must be taken up. */
  async dropStreams(streams: readonly Stream[]): Promise<void> {
    if (streams.length === 0) return
    this.catalog.change({ change: 'streams-deleted', streams: streams.map((stream) => stream.id) })
    for (const stream of streams) this.#forget(stream.tableUid, stream.id)
    for (const stream of streams) await this.warehouse?.forgetStreams(stream.tableUid, [stream.id])
  }

  /** Takes up what queries see of the streams, then forgets them. */
  async retire(streams: readonly Stream[]): Promise<void> {
    if (streams.length === 0) return
    const uids = new Set(streams.filter(isVisible).map((stream) => stream.tableUid))
    const tables = [...uids].flatMap((uid) => this.catalog.state.tablesByUid.get(uid) ?? [])
    const { warehouse } = this
    if (warehouse === undefined) return this.dropStreams(streams)
    await warehouse.lock.run(async () => {
      await this.takeUp(tables)
      const { streams: known } = this.catalog.state
      await this.dropStreams(streams.filter((stream) => known.has(stream.id)))
    })
  }

  /** Deletes a table: first in the catalog, then its files and its rows. */
  async dropTable(table: Table): Promise<void> {
    this.catalog.change({ change: 'table-deleted', uid: table.uid })
    for (const log of this.#logs.get(table.uid)?.values() ?? []) {
      this.#open.delete(log)
      log.rest()
    }
    this.#logs.delete(table.uid)
    // A take-up that is under way still reads the files.
    await this.warehouse?.lock.run(async () => {
      rmSync(join(this.#rowsDir, table.uid), { recursive: true, force: true })
      await this.warehouse?.drop(table.uid)
    })
  }

  #forget(uid: string, stream: string): void {
    const log = this.#logs.get(uid)?.get(stream)
    if (log === undefined) return
    this.#open.delete(log)
    log.remove()
    this.#logs.get(uid)?.delete(stream)
  }

  close(): void {
    for (const logs of this.#logs.values()) for (const log of logs.values()) log.rest()
    this.catalog.close()
    this.warehouse?.close()
  }
}

/** Whether queries see a stream's rows: a PENDING one must be committed. */
function isVisible(stream: Stream): boolean {
  return stream.type === 'COMMITTED' || stream.committedMicros !== undefined
}
