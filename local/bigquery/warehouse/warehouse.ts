import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { messageOf, UserError } from '../../../shared/errors.ts'
import type { Table } from '../catalog/state.ts'
import { corrupt } from '../store/corrupt.ts'
import { PARTITION_TIME_COLUMN, quoteIdentifier, type TableField } from '../types.ts'
import { BatchBuilder, type Extent, fillBatches, type Taken } from './batch.ts'
import { alterations, creation } from './duck-schema.ts'
import { Lock } from './lock.ts'
import { isIngestionTime, partitionStart } from './partitions.ts'

/** What the tables of this file look like; another version is refused. */
const VERSION = '1'
const DUCK_OPTIONS = {
  /** What it may use before it goes to disk. */
  memory_limit: '1GB',
  // DuckDB 1.5.6 ends the process when an insert beyond the first 122,880 rows compresses strings in a STRUCT (warehouse.test.ts).
  force_compression: 'uncompressed',
}

const META = `
  CREATE TABLE IF NOT EXISTS millrace_version (version VARCHAR);
  CREATE TABLE IF NOT EXISTS millrace_tables (uid VARCHAR PRIMARY KEY, fields VARCHAR);
  CREATE TABLE IF NOT EXISTS millrace_taken (
    uid VARCHAR, stream VARCHAR, segment BIGINT, position BIGINT, writer_at BIGINT, row_count BIGINT, PRIMARY KEY (uid, stream));
  CREATE TABLE IF NOT EXISTS millrace_jobs (id VARCHAR PRIMARY KEY, job VARCHAR);
`

/** The rows in DuckDB, and how far each stream has been taken up. See docs/protocols/local-bigquery.md. */
export class Warehouse {
  /** Held while rows are taken up or changed, and until a query has its snapshot. */
  readonly lock = new Lock()
  readonly #instance: DuckDBInstance
  readonly #writer: DuckDBConnection
  /** For short looks that must not wait for a take-up. */
  readonly #reader: DuckDBConnection
  readonly #tmp: string
  readonly #fields = new Map<string, TableField[]>()
  readonly #taken = new Map<string, Map<string, Taken>>()
  #batches = 0

  private constructor(instance: DuckDBInstance, writer: DuckDBConnection, reader: DuckDBConnection, tmp: string) {
    this.#instance = instance
    this.#writer = writer
    this.#reader = reader
    this.#tmp = tmp
  }

  /** Opens the database of a data folder. Throws a UserError when it is damaged or in use. */
  static async open(dataDir: string): Promise<Warehouse> {
    const tmp = join(dataDir, 'tmp')
    rmSync(tmp, { recursive: true, force: true })
    mkdirSync(tmp, { recursive: true })
    const file = join(dataDir, 'warehouse.duckdb')
    try {
      const instance = await DuckDBInstance.create(file, { ...DUCK_OPTIONS, temp_directory: tmp })
      const warehouse = new Warehouse(instance, await instance.connect(), await instance.connect(), tmp)
      await warehouse.#load(file)
      return warehouse
    } catch (error) {
      if (error instanceof UserError) throw error
      if (/lock/i.test(messageOf(error))) {
        throw new UserError(`${dataDir} is in use by another process`, 'Stop it, or choose another folder.', {
          cause: error,
        })
      }
      throw corrupt(file, messageOf(error).split('\n', 1)[0] ?? '', { cause: error })
    }
  }

  async #load(file: string): Promise<void> {
    await this.#writer.run(`SET GLOBAL TimeZone = 'UTC'; SET TimeZone = 'UTC'; ${META}`)
    const [version] = await this.#rows('SELECT version FROM millrace_version')
    if (version === undefined) await this.#writer.run(`INSERT INTO millrace_version VALUES ('${VERSION}')`)
    else if (version[0] !== VERSION) throw corrupt(file, `it has version ${version[0]}; this program reads ${VERSION}`)
    for (const [uid, fields] of await this.#rows('SELECT uid, fields FROM millrace_tables')) {
      this.#fields.set(String(uid), JSON.parse(String(fields)) as TableField[])
    }
    const columns = 'uid, stream, segment, position, writer_at, row_count'
    for (const [uid, stream, ...numbers] of await this.#rows(`SELECT ${columns} FROM millrace_taken`)) {
      const [segment = 0, position = 0, writerAt = 0, rows = 0] = numbers.map(Number)
      this.#takenOf(String(uid)).set(String(stream), { stream: String(stream), segment, position, writerAt, rows })
    }
  }

  async #rows(sql: string): Promise<unknown[][]> {
    return (await this.#writer.runAndReadAll(sql)).getRows()
  }

  #takenOf(uid: string): Map<string, Taken> {
    const known = this.#taken.get(uid)
    if (known) return known
    const fresh = new Map<string, Taken>()
    this.#taken.set(uid, fresh)
    return fresh
  }

  /** How far a stream has been taken up, or undefined. */
  taken(uid: string, stream: string): Taken | undefined {
    return this.#taken.get(uid)?.get(stream)
  }

  /** The identities of the tables that DuckDB holds. */
  tables(): string[] {
    return [...this.#fields.keys()]
  }

  /** A connection of its own for a query, with nothing open in it. */
  async connect(): Promise<DuckDBConnection> {
    const connection = await this.#instance.connect()
    await connection.run("SET TimeZone = 'UTC'")
    return connection
  }

  /** Brings the DuckDB table up to the table's schema. The lock must be held. */
  async prepare(table: Table): Promise<void> {
    const fields = table.body.schema?.fields ?? []
    const known = this.#fields.get(table.uid)
    const json = JSON.stringify(fields)
    if (known && JSON.stringify(known) === json) return
    const hidden = isIngestionTime(table.body) ? [`"${PARTITION_TIME_COLUMN}" TIMESTAMP WITH TIME ZONE`] : []
    const statements = known
      ? alterations(duckName(table.uid), known, fields)
      : [creation(duckName(table.uid), fields, hidden)]
    await this.transact(async (connection) => {
      for (const statement of statements) await connection.run(statement)
      await connection.run('INSERT OR REPLACE INTO millrace_tables VALUES ($1, $2)', [table.uid, json])
    })
    this.#fields.set(table.uid, fields)
  }

  /** Inserts the rows of the extents and stores how far they go, a transaction a batch. The lock must be held. */
  async takeUp(table: Table, extents: readonly Extent[]): Promise<void> {
    const builder = new BatchBuilder(table.body.schema?.fields ?? [], partitionStart(table.body))
    let inserting: Promise<void> = Promise.resolve()
    try {
      for await (const taken of fillBatches(builder, extents)) {
        const file = join(this.#tmp, `${++this.#batches}.parquet`)
        await builder.write(file)
        // The next batch is filled while DuckDB inserts this one; two never wait at once.
        await inserting
        inserting = this.#insert(table.uid, file, taken)
        // A failure is thrown by the next await; until then it must not count as unhandled.
        inserting.catch(() => undefined)
      }
    } finally {
      // Also when a batch could not be filled: nothing may go on behind the lock.
      await inserting
    }
  }

  async #insert(uid: string, file: string, taken: readonly Taken[]): Promise<void> {
    try {
      await this.transact(async (connection) => {
        await connection.run(`INSERT INTO ${duckName(uid)} BY NAME SELECT * FROM read_parquet($1)`, [file])
        for (const { stream, segment, position, writerAt, rows } of taken) {
          const values = [uid, stream, segment, position, writerAt, rows]
          await connection.run('INSERT OR REPLACE INTO millrace_taken VALUES ($1, $2, $3, $4, $5, $6)', values)
        }
      })
    } finally {
      rmSync(file, { force: true })
    }
    for (const one of taken) this.#takenOf(uid).set(one.stream, one)
  }

  /** Forgets streams whose logs are gone. */
  async forgetStreams(uid: string, streams: readonly string[]): Promise<void> {
    for (const stream of streams) {
      if (!this.#taken.get(uid)?.delete(stream)) continue
      await this.#writer.run('DELETE FROM millrace_taken WHERE uid = $1 AND stream = $2', [uid, stream])
    }
  }

  /** Drops the table with everything about it. The lock must be held. */
  async drop(uid: string): Promise<void> {
    await this.transact(async (connection) => {
      await connection.run(`DROP TABLE IF EXISTS ${duckName(uid)}`)
      await connection.run('DELETE FROM millrace_tables WHERE uid = $1', [uid])
      await connection.run('DELETE FROM millrace_taken WHERE uid = $1', [uid])
    })
    this.#fields.delete(uid)
    this.#taken.delete(uid)
  }

  /** Stores a job; inside `transact`, together with what the job did. */
  async recordJob(id: string, job: unknown): Promise<void> {
    await this.#writer.run('INSERT INTO millrace_jobs VALUES ($1, $2)', [id, JSON.stringify(job)])
  }

  /** A job that was stored, or undefined. */
  async findJob(id: string): Promise<unknown> {
    const found = await this.#reader.runAndReadAll('SELECT job FROM millrace_jobs WHERE id = $1', [id])
    const job = found.getRows()[0]?.[0]
    return typeof job === 'string' ? (JSON.parse(job) as unknown) : undefined
  }

  /** Rows of a table that have been taken up. */
  async count(uid: string): Promise<number> {
    if (!this.#fields.has(uid)) return 0
    const counted = await this.#reader.runAndReadAll(`SELECT count(*) FROM ${duckName(uid)}`)
    return Number(counted.getRows()[0]?.[0] ?? 0)
  }

  /** Runs `work` in one transaction of the writing connection. The lock must be held. */
  async transact<T>(work: (connection: DuckDBConnection) => Promise<T>): Promise<T> {
    await this.#writer.run('BEGIN TRANSACTION')
    try {
      const result = await work(this.#writer)
      await this.#writer.run('COMMIT')
      return result
    } catch (error) {
      await this.#writer.run('ROLLBACK').catch(() => undefined)
      throw error
    }
  }

  close(): void {
    this.#writer.closeSync()
    this.#reader.closeSync()
    this.#instance.closeSync()
  }
}

/** The table's name in DuckDB, quoted. */
export function duckName(uid: string): string {
  return `"main".${quoteIdentifier(`t_${uid}`)}`
}
