import { type FileHandle, open } from 'node:fs/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Column } from '../parquet/column.ts'
import { parquetFile, type SchemaNode } from '../parquet/file.ts'
import { type LayoutNode, layoutOf, parquetSchema } from '../rows/layout.ts'
import { compilePlan, type MessagePlan } from '../rows/plan.ts'
import { LENGTH, Reader } from '../rows/reader.ts'
import { walk } from '../rows/walk.ts'
import { readRecords, type StoredRecord } from '../store/records.ts'
import { damaged, ROWS, WRITER, type WriterState } from '../store/segment.ts'
import { PARTITION_TIME_COLUMN, type TableField } from '../types.ts'

/** A batch ends with the record that takes it to this many bytes of rows ... */
const BATCH_BYTES = 32 * 1024 * 1024
/** ... or to this many rows. */
const BATCH_ROWS = 500_000
/** The event loop gets a turn after this many bytes of rows, so that appends are answered meanwhile. */
const TURN_BYTES = 1024 * 1024

/** A part of a stream's log that is to be taken up. */
export interface Extent {
  stream: string
  segment: number
  file: string
  /** First byte; 0: the first record. */
  from: number
  to: number
  /** Where the writer record is that is in force at `from`; 0: none. */
  writerAt: number
}

/** How far a stream has been taken up. */
export interface Taken {
  stream: string
  segment: number
  position: number
  /** Where the segment's last writer record before `position` begins; 0: none. */
  writerAt: number
  /** Rows of the stream up to there. */
  rows: number
}

/** Turns stored rows into columns, batch by batch. */
export class BatchBuilder {
  rows = 0
  bytes = 0
  readonly #layout: LayoutNode[]
  readonly #schema: SchemaNode[]
  readonly #partitionTime: Column | undefined
  readonly #partitionStart: (ms: number) => number
  readonly #reader = new Reader()
  readonly #plans = new Map<string, MessagePlan>()
  #timeMs = 0

  /** `partitionStart` (of ingestion-time partitioned tables) gives the partition of a time in milliseconds. */
  constructor(fields: readonly TableField[], partitionStart?: (ms: number) => number) {
    this.#layout = layoutOf(fields)
    this.#schema = parquetSchema(this.#layout)
    this.#partitionStart = partitionStart ?? (() => 0)
    if (partitionStart === undefined) return
    this.#partitionTime = new Column('int64', 1, 0)
    this.#schema.push({
      name: PARTITION_TIME_COLUMN,
      repetition: 'optional',
      column: this.#partitionTime,
      logical: 'timestamp',
    })
  }

  get full(): boolean {
    return this.bytes >= BATCH_BYTES || this.rows >= BATCH_ROWS
  }

  plan(writer: WriterState): MessagePlan {
    const key = JSON.stringify(writer)
    const known = this.#plans.get(key)
    if (known) return known
    const plan = compilePlan(
      Buffer.from(writer.descriptor, 'base64'),
      this.#layout,
      writer.defaults,
      () => this.#timeMs,
    )
    this.#plans.set(key, plan)
    return plan
  }

  /** Adds the rows of a record. They were checked when they came, so one that does not fit is a damaged file. */
  add(record: StoredRecord, plan: MessagePlan, file: string): void {
    const { body } = record
    const reader = this.#reader
    this.#timeMs = record.timeMs
    const partition = this.#partitionStart(record.timeMs) * 1000
    reader.buffer = body
    reader.pos = 0
    reader.end = body.length
    while (reader.pos < body.length) {
      if (!reader.varint() || reader.lo !== 8 + LENGTH || !reader.bytes()) throw damaged(file, record.at)
      const { from, to } = reader
      reader.pos = from
      reader.end = to
      if (!walk(reader, plan, 0, 0, true)) throw damaged(file, record.at)
      reader.pos = to
      reader.end = body.length
      if (this.#partitionTime) {
        reader.setNumber(partition)
        this.#partitionTime.add(reader, 0)
      }
    }
    this.rows += record.rows
    this.bytes += body.length
  }

  /** Writes the batch as a Parquet file and begins the next one. */
  async write(file: string): Promise<void> {
    const handle = await open(file, 'w')
    try {
      await writeAll(handle, parquetFile(this.#schema, this.rows))
    } finally {
      await handle.close()
    }
    for (const node of this.#layout) for (const column of node.columns) column.clear()
    this.#partitionTime?.clear()
    this.rows = 0
    this.bytes = 0
  }
}

async function writeAll(handle: FileHandle, parts: readonly Buffer[]): Promise<void> {
  // writev takes at most 1,024 buffers at a time (IOV_MAX), and a wide table has more.
  for (let at = 0; at < parts.length; at += 512) await handle.writev(parts.slice(at, at + 512))
}

/**
 * Fills batches from the extents and yields after each record that completes one, with how far each stream has come;
 * the last batch may be small.
 */
export async function* fillBatches(builder: BatchBuilder, extents: readonly Extent[]): AsyncGenerator<Taken[]> {
  const taken = new Map<string, Taken>()
  let turn = TURN_BYTES
  for (const { stream, segment, file, from, to, writerAt } of extents) {
    let writer = writerAt
    let plan = writerAt === 0 ? undefined : storedPlan(builder, file, writerAt)
    for (const record of readRecords(file, from, to)) {
      if (record.kind === WRITER) {
        writer = record.at
        plan = planOf(builder, record)
      } else if (record.kind === ROWS && plan !== undefined) builder.add(record, plan, file)
      else throw damaged(file, record.at)
      taken.set(stream, { stream, segment, position: record.next, writerAt: writer, rows: record.offset + record.rows })
      if (builder.full) {
        yield [...taken.values()]
        taken.clear()
      }
      turn -= record.body.length
      if (turn > 0) continue
      turn = TURN_BYTES
      await nextTurn()
    }
  }
  if (taken.size > 0) yield [...taken.values()]
}

function storedPlan(builder: BatchBuilder, file: string, at: number): MessagePlan {
  for (const record of readRecords(file, at, Number.MAX_SAFE_INTEGER)) {
    if (record.kind !== WRITER) break
    return planOf(builder, record)
  }
  throw damaged(file, at)
}

function planOf(builder: BatchBuilder, record: StoredRecord): MessagePlan {
  return builder.plan(JSON.parse(record.body.toString()) as WriterState)
}
