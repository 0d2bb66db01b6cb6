import { randomUUID } from 'node:crypto'
import { status } from '@grpc/grpc-js'
import type { Clock } from '../../clock/index.ts'
import { type Stream, type StreamType, type Table, tableKey } from '../catalog/state.ts'
import type { TableWatch } from '../catalog/table-watch.ts'
import { DEFAULT_STREAM, type Store } from '../store/store.ts'
import { denied, invalid, invalidName, notBuilt, notFound, WriteError } from './errors.ts'
import { tableSchemaMessage, timestampOfMs, type StorageError, type WriteStreamMessage } from './messages.ts'
import { parseStreamPath, parseTablePath, type StreamPath, streamPath, tablePath } from './names.ts'

const HOUR_MS = 3_600_000
/** A COMMITTED stream lives for this long without traffic. */
export const COMMITTED_IDLE_MS_MAX = 3 * 24 * HOUR_MS
/** A PENDING stream must be committed within this time. */
export const PENDING_AGE_MS_MAX = 24 * HOUR_MS
/** Expired streams are looked for at most this often, when a stream is created. */
const SWEEP_EVERY_MS = HOUR_MS

/** WriteStream.Type */
const TYPE_NUMBER: Readonly<Record<StreamType, number>> = { COMMITTED: 1, PENDING: 2 }
const BUFFERED = 3
/** WriteStream.WriteMode */
const INSERT = 1
/** WriteStreamView */
const FULL = 2
/** The form of the ids that `create` gives: an id of another form has never been one. */
const ID = /^Ci[A-Za-z0-9_-]{40,}$/

/** What a stream's name stands for; `stream` is undefined for the table's default stream. */
export interface FoundStream {
  name: string
  path: StreamPath
  table: Table
  stream: Stream | undefined
}

/** The unary methods of BigQueryWrite. They throw WriteErrors. */
export class Streams {
  readonly #store: Store
  readonly #clock: Clock
  readonly #watch: TableWatch
  #sweptMs = 0

  constructor(store: Store, clock: Clock, watch: TableWatch) {
    this.#store = store
    this.#clock = clock
    this.#watch = watch
  }

  create(parent: string, type: number): WriteStreamMessage {
    const path = parseTablePath(parent)
    if (path === undefined) throw invalid(`Invalid table name: ${parent}`, '')
    const table = this.#table(path)
    if (table === undefined || this.#watch.deniesStreams(table.uid)) throw denied(parent)
    if (table.body.view) throw invalid('Cannot create a write stream on a view.', parent)
    if (type === BUFFERED) throw notBuilt('A BUFFERED stream')
    if (type !== TYPE_NUMBER.COMMITTED && type !== TYPE_NUMBER.PENDING) throw invalid('Invalid stream type.', parent)
    this.#sweep()
    const id = `Ci${Buffer.from(randomUUID()).toString('base64url')}`
    const stream: Stream = {
      id,
      tableUid: table.uid,
      type: type === TYPE_NUMBER.PENDING ? 'PENDING' : 'COMMITTED',
      createdMs: this.#clock.now(),
    }
    this.#store.catalog.change({ change: 'stream', stream })
    return this.#message(
      { name: streamPath({ ...path, stream: id }), path: { ...path, stream: id }, table, stream },
      true,
    )
  }

  get(name: string, view: number): WriteStreamMessage {
    const found = this.#find(name)
    if (!('table' in found)) throw found.kind === 'denied' ? found.error : invalidName(name)
    return { ...this.#message(found, view === FULL), location: 'us' }
  }

  finalize(name: string): { rowCount: number } {
    const { stream } = this.resolve(name)
    if (stream === undefined) throw notFound(name)
    if (stream.finalizedRows === undefined) {
      const rows = this.#store.endOf(stream)
      this.#store.catalog.change({ change: 'finalized', stream: stream.id, rows })
      this.#store.log(stream.tableUid, stream.id).rest()
    }
    return { rowCount: stream.finalizedRows ?? 0 }
  }

  /** Commits all streams or none. Returns the time, or what is wrong with which stream. */
  commit(parent: string, names: readonly string[]): { timeMs: number } | { errors: StorageError[] } {
    const path = parseTablePath(parent)
    const table = path && this.#table(path)
    if (table === undefined) throw denied(parent)
    if (names.length === 0) throw invalid('At least one stream must be given.', parent)
    const unique = [...new Set(names)]
    if (unique.some((name) => !name.startsWith(`${parent}/streams/`))) {
      throw invalid('All streams must belong to the parent table.', parent)
    }
    const checked = unique.map((name) => this.#committable(name))
    const errors = checked.flatMap((one) => ('code' in one ? [one] : []))
    if (errors.length > 0) return { errors }
    const timeMs = this.#clock.now()
    const streams = checked.flatMap((one) => ('id' in one ? [one.id] : []))
    this.#store.catalog.change({ change: 'committed', streams, micros: timeMs * 1000 })
    return { timeMs }
  }

  #committable(name: string): Stream | StorageError {
    const found = this.#find(name)
    const error = (code: StorageError['code'], message: string) => ({ code, entity: name, message })
    const stream = 'table' in found ? found.stream : undefined
    if (!('table' in found)) return error('STREAM_NOT_FOUND', `Stream not found. Entity: ${name}`)
    if (stream?.type !== 'PENDING') return error('INVALID_STREAM_TYPE', `Stream is not PENDING. Entity: ${name}`)
    if (stream.committedMicros !== undefined) {
      return error('STREAM_ALREADY_COMMITTED', `Stream is already committed. Entity: ${name}`)
    }
    if (stream.finalizedRows === undefined)
      return error('INVALID_STREAM_STATE', `Stream is not finalized. Entity: ${name}`)
    return stream
  }

  /** Finds a living stream. Throws what AppendRows and Finalize answer when there is none. */
  resolve(name: string): FoundStream {
    const found = this.#find(name)
    if ('table' in found) return found
    throw found.error
  }

  #find(name: string): FoundStream | { kind: 'denied' | 'unknown'; error: WriteError } {
    const path = parseStreamPath(name)
    if (path === undefined) return { kind: 'unknown', error: invalidName(name) }
    const table = this.#table(path)
    if (table === undefined) return { kind: 'denied', error: denied(tablePath(path)) }
    if (path.stream === DEFAULT_STREAM) return { name, path, table, stream: undefined }
    const stream = this.#store.catalog.state.streams.get(path.stream)
    if (stream?.tableUid === table.uid && !this.isExpired(stream)) return { name, path, table, stream }
    return { kind: 'unknown', error: ID.test(path.stream) ? notFound(name) : invalidName(name) }
  }

  #table(path: Omit<StreamPath, 'stream'>): Table | undefined {
    return this.#store.catalog.state.tables.get(tableKey(path))
  }

  isExpired(stream: Stream): boolean {
    const now = this.#clock.now()
    if (stream.type === 'PENDING') return now - stream.createdMs >= PENDING_AGE_MS_MAX
    const { lastMs } = this.#store.log(stream.tableUid, stream.id)
    return now - Math.max(stream.createdMs, lastMs) >= COMMITTED_IDLE_MS_MAX
  }

  /** Forgets expired streams now and then. Rows that queries see are taken up before their stream's files go. */
  #sweep(): void {
    const now = this.#clock.now()
    if (now - this.#sweptMs < SWEEP_EVERY_MS) return
    this.#sweptMs = now
    const { state } = this.#store.catalog
    const expired = [...state.streams.values()].filter((stream) => this.isExpired(stream))
    void this.#store.retire(expired)
  }

  #message({ name, table, stream }: FoundStream, withSchema: boolean): WriteStreamMessage {
    const created = timestampOfMs(stream?.createdMs ?? table.createdMs)
    const committed =
      stream?.type === 'PENDING'
        ? stream.committedMicros !== undefined && timestampOfMs(stream.committedMicros / 1000)
        : created
    return {
      name,
      type: TYPE_NUMBER[stream?.type ?? 'COMMITTED'],
      createTime: created,
      writeMode: INSERT,
      ...(committed && { commitTime: committed }),
      ...(withSchema && { tableSchema: tableSchemaMessage(this.#watch.appendFields(table)) }),
    }
  }
}

/** The error that ends a call on an idle connection. */
export function idleTooLong(seconds: number): WriteError {
  const message = `Closing the stream because it has been inactive for ${seconds} seconds`
  return new WriteError(status.ABORTED, message, '')
}
