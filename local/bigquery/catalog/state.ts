import type { TableField } from '../types.ts'

/** What a user says about a dataset, in the REST form. */
export interface DatasetBody {
  description?: string
  friendlyName?: string
  location?: string
  labels?: Record<string, string>
  defaultTableExpirationMs?: string
  defaultPartitionExpirationMs?: string
}

export interface Dataset {
  project: string
  dataset: string
  createdMs: number
  modifiedMs: number
  body: DatasetBody
}

export interface TimePartitioning {
  type: string
  field?: string
  expirationMs?: string
  requirePartitionFilter?: boolean
}

/** What a user says about a table or a view, in the REST form. */
export interface TableBody {
  schema?: { fields: TableField[] }
  view?: { query: string; useLegacySql?: boolean }
  timePartitioning?: TimePartitioning
  rangePartitioning?: unknown
  clustering?: { fields: string[] }
  description?: string
  friendlyName?: string
  labels?: Record<string, string>
  expirationTime?: string
  requirePartitionFilter?: boolean
}

export interface Table {
  /** Its identity: a table that is made again under the same name has another one. */
  uid: string
  project: string
  dataset: string
  table: string
  createdMs: number
  modifiedMs: number
  body: TableBody
}

export type StreamType = 'COMMITTED' | 'PENDING'

export interface Stream {
  id: string
  tableUid: string
  type: StreamType
  createdMs: number
  /** Row count, once finalized. */
  finalizedRows?: number
  /** Time of the batch commit in microseconds, once committed. */
  committedMicros?: number
}

/** A line of the journal. Each is one change, whole or not at all. */
export type Change =
  | { change: 'dataset'; dataset: Dataset }
  | { change: 'dataset-deleted'; project: string; dataset: string }
  | { change: 'table'; table: Table }
  | { change: 'table-deleted'; uid: string }
  | { change: 'stream'; stream: Stream }
  | { change: 'finalized'; stream: string; rows: number }
  | { change: 'committed'; streams: string[]; micros: number }
  | { change: 'streams-deleted'; streams: string[] }

/** Everything the catalog knows. Keys of datasets and tables are `project.dataset[.table]`. */
export class CatalogState {
  readonly datasets = new Map<string, Dataset>()
  readonly tables = new Map<string, Table>()
  readonly tablesByUid = new Map<string, Table>()
  readonly streams = new Map<string, Stream>()
  /** Streams by the identity of their table. */
  readonly streamsOf = new Map<string, Set<Stream>>()

  apply(change: Change): void {
    switch (change.change) {
      case 'dataset':
        this.datasets.set(datasetKey(change.dataset), change.dataset)
        return
      case 'dataset-deleted':
        this.datasets.delete(datasetKey(change))
        return
      case 'table':
        this.tables.set(tableKey(change.table), change.table)
        this.tablesByUid.set(change.table.uid, change.table)
        return
      case 'table-deleted':
        this.#deleteTable(change.uid)
        return
      case 'stream':
        this.#addStream(change.stream)
        return
      case 'finalized':
        this.#stream(change.stream).finalizedRows = change.rows
        return
      case 'committed':
        for (const id of change.streams) this.#stream(id).committedMicros = change.micros
        return
      case 'streams-deleted':
        for (const id of change.streams) this.#deleteStream(id)
    }
  }

  /** The shortest list of changes that leads to this state. */
  dump(): Change[] {
    return [
      ...[...this.datasets.values()].map((dataset): Change => ({ change: 'dataset', dataset })),
      ...[...this.tables.values()].map((table): Change => ({ change: 'table', table })),
      ...[...this.streams.values()].map((stream): Change => ({ change: 'stream', stream })),
    ]
  }

  #stream(id: string): Stream {
    const stream = this.streams.get(id)
    if (stream === undefined) throw new Error(`the catalog has no stream ${id}`)
    return stream
  }

  #addStream(stream: Stream): void {
    this.streams.set(stream.id, stream)
    const siblings = this.streamsOf.get(stream.tableUid) ?? new Set()
    this.streamsOf.set(stream.tableUid, siblings.add(stream))
  }

  #deleteTable(uid: string): void {
    const table = this.tablesByUid.get(uid)
    if (table === undefined) return
    this.tables.delete(tableKey(table))
    this.tablesByUid.delete(uid)
    for (const stream of this.streamsOf.get(uid) ?? []) this.streams.delete(stream.id)
    this.streamsOf.delete(uid)
  }

  #deleteStream(id: string): void {
    const stream = this.streams.get(id)
    if (stream === undefined) return
    this.streams.delete(id)
    this.streamsOf.get(stream.tableUid)?.delete(stream)
  }
}

export function datasetKey({ project, dataset }: { project: string; dataset: string }): string {
  return `${project}.${dataset}`
}

export function tableKey({ project, dataset, table }: { project: string; dataset: string; table: string }): string {
  return `${project}.${dataset}.${table}`
}
