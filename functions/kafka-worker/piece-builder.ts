import { type Origin, originOutsideKafka, type RowBuffer } from '../../shared/codec/index.ts'
import { letterOf, type Reason } from '../../shared/dead-letters/index.ts'
import { DEAD_REASONS } from '../../shared/framing/index.ts'
import type { FetchedBatch, RecordView } from '../../shared/kafka/index.ts'
import { AgentKey } from './agent-key.ts'
import type { Place } from './place.ts'

/** The header of a record that its agent could not read as an event: the reason. With another text it is somebody else's, and means nothing. */
const DEAD_HEADER = 'millrace-dead'
/** Rows of one append, beside its bytes: a refused one is found by its number. */
const ROWS_MAX = 100_000

/** A range of a partition's records as rows and dead letters. */
export type BuiltPiece = ReturnType<PieceBuilder['seal']>

/** Why BigQuery refused a row that the codec had made, by Kafka offset. */
export type RefusedRows = Map<number, string>

/** Turns one partition's records into pieces: for an event no promise, no object and no string. */
export class PieceBuilder {
  readonly flushBytes: number
  readonly #place: Pick<Place, 'route' | 'codec' | 'at' | 'pool'>
  readonly #refused: RefusedRows
  readonly #key = new AgentKey()
  readonly #origin: Origin
  #rows: RowBuffer | undefined
  #offsets = new Float64Array(1024)
  #letters: Buffer[] = []
  #reasons: string[] = []
  #letterBytes = 0
  #passed = 0
  #end = -1
  #ids = 0
  /** The timestamp of the first record that waits; 0: none does. */
  oldestMs = 0
  /** By a clock that nobody sets: a row's own time may be ahead of this machine's. */
  startedAtMs = 0
  readonly #visitor = (record: RecordView): boolean => this.#take(record)

  /** @param flushBytes a piece of so many is full */
  constructor(place: Pick<Place, 'route' | 'codec' | 'at' | 'pool'>, flushBytes: number, refused: RefusedRows) {
    this.flushBytes = flushBytes
    this.#place = place
    this.#refused = refused
    const { topic: kafkaTopic, partition: kafkaPartition } = place.at
    this.#origin = Object.assign(originOutsideKafka(null), { kafkaTopic, kafkaPartition })
  }

  /** Something waits to be sealed. */
  get started(): boolean {
    return this.#rows !== undefined
  }

  get full(): boolean {
    const rows = this.#rows
    return rows !== undefined && (rows.length + this.#letterBytes >= this.flushBytes || rows.rows >= ROWS_MAX)
  }

  /** Takes records from `from` on until it is full; answers the offset to go on at. */
  take(batch: FetchedBatch, from: number, nowMs: number): number {
    if (!this.#rows) {
      this.#rows = this.#place.pool.take()
      this.startedAtMs = performance.now()
    }
    this.#origin.ingestedAtMicros = nowMs * 1000
    this.#end = batch.visit(from, this.#visitor)
    return this.#end
  }

  seal() {
    const rows = this.#rows as RowBuffer
    const piece = {
      id: ++this.#ids,
      end: this.#end,
      rows,
      /** Kafka offset of each row. */
      offsets: this.#offsets.slice(0, rows.rows),
      /** Entries of the dead letters' table. */
      letters: this.#letters,
      reasons: this.#reasons,
      /** Records without a row and without a letter: tombstones. */
      passed: this.#passed,
      /** The timestamp of its first record; 0: it has none. */
      oldestMs: this.oldestMs,
    }
    this.#reset()
    return piece
  }

  /** Forgets what it has taken; gives the buffer back. */
  discard(): void {
    if (this.#rows) this.#place.pool.give(this.#rows)
    this.#reset()
  }

  #reset(): void {
    this.#rows = undefined
    this.#letters = []
    this.#reasons = []
    this.#letterBytes = 0
    this.#passed = 0
    this.oldestMs = 0
  }

  #take(record: RecordView): boolean {
    if (this.full) return false
    const rows = this.#rows as RowBuffer
    const { buffer, offset, valueStart, valueEnd } = record
    const origin = this.#origin
    origin.kafkaOffset = offset
    if (this.oldestMs === 0) this.oldestMs = record.timestampMs
    if (this.#key.read(buffer, record.keyStart, record.keyEnd)) {
      origin.source = this.#key.source
      origin.position = this.#key.position
      origin.size = this.#key.size
    } else origin.source = null
    if (record.headers > 0 && this.#takeDead(record)) return true
    if (valueStart < 0) {
      this.#passed++
      return true
    }
    if (this.#refused.size > 0 && this.#refused.has(offset)) {
      const message = this.#refused.get(offset) ?? ''
      this.#bury({ reason: 'refused', message }, buffer.subarray(valueStart, valueEnd))
      return true
    }
    const rejection = this.#place.codec.encode(buffer, valueStart, valueEnd, origin, rows)
    if (rejection) this.#bury(rejection, buffer.subarray(valueStart, valueEnd))
    else this.#mark(rows.rows - 1, offset)
    return true
  }

  #mark(row: number, offset: number): void {
    if (row === this.#offsets.length) {
      const wider = new Float64Array(row * 2)
      wider.set(this.#offsets)
      this.#offsets = wider
    }
    this.#offsets[row] = offset
  }

  #takeDead(record: RecordView): boolean {
    const text = record.header(DEAD_HEADER)?.toString()
    const reason = DEAD_REASONS.find((known) => known !== '' && known === text)
    if (!reason) return false
    const { buffer, valueStart, valueEnd } = record
    const bytes = valueStart < 0 ? buffer.subarray(0, 0) : buffer.subarray(valueStart, valueEnd)
    this.#bury({ reason, message: 'the agent could not read it as an event' }, bytes)
    return true
  }

  #bury(why: Reason, bytes: Buffer): void {
    const entry = letterOf(this.#place.route.name, why, bytes, this.#origin, null)
    this.#letters.push(entry)
    this.#reasons.push(why.reason)
    this.#letterBytes += entry.length
  }
}
