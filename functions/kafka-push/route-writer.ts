import { RowBuffer } from '../../shared/codec/index.ts'
import type { Config, Route } from '../../shared/config/index.ts'
import { failingFurther, letterOf, openSink, type Reason, type RouteSink } from '../../shared/dead-letters/index.ts'
import type { Log } from '../../shared/telemetry/index.ts'
import { type DefaultWriter, openDefaultWriter, type Warehouse } from '../../shared/warehouse/index.ts'
import type { PushedEvent } from './read-body.ts'

/** What became of an event: a row, a dead letter, or nothing to be kept (a tombstone). */
export type Result = { readonly status: 'row' | 'passed' } | ({ readonly status: 'dead_letter' } & Reason)

/** Rows of one append; the service takes less than 10 MB, and one row may have 9. */
const APPEND_BYTES = 512 * 1024
const BUFFER_BYTES = 64 * 1024
/** An instance that was idle may find its connection dead: so there is time for another one within the same request. */
const ANSWER_WITHIN_MS = 10_000

/** Events that go in one append: those of `indexes` have a row. */
interface Piece {
  readonly rows: RowBuffer
  indexes: number[]
}

const emptyPiece = (): Piece => ({ rows: new RowBuffer(BUFFER_BYTES), indexes: [] })

/** Writes a route's events at least once: what has no answer in time is sent again, by us or by the sender. */
export class RouteWriter {
  readonly #sink: RouteSink
  readonly #rows: DefaultWriter
  #failing = 0

  constructor(config: Config, warehouse: Warehouse, log: Log, route: Route) {
    const limits = { answerWithinMs: ANSWER_WITHIN_MS }
    this.#sink = openSink(config, route, warehouse, log, limits)
    const { codec, ensureTables } = this.#sink
    this.#rows = openDefaultWriter(warehouse, route.table, codec.descriptor, ensureTables, log, limits)
  }

  /** Dead letters first, then rows. Resolves when all are durable; rejects when that is not known once `signal` fires. */
  async write(events: readonly PushedEvent[], signal: AbortSignal): Promise<Result[]> {
    await this.#sink.ensureOnce()
    const results: Result[] = []
    const letters: Buffer[] = []
    const pieces = [emptyPiece()]
    for (const [index, event] of events.entries()) {
      if (pieces.at(-1)!.rows.length >= APPEND_BYTES) pieces.push(emptyPiece())
      results.push(this.#take(event, index, pieces.at(-1)!, letters))
    }
    this.#stopAfter(letters.length, pieces)
    if (letters.length > 0) await this.#sink.letters.write(letters, signal)
    await Promise.all(pieces.map((piece) => this.#append(piece, events, results, signal)))
    return results
  }

  /** Makes an event's row in the piece, or its dead letter; `refused`: BigQuery did not take its row. */
  #take(event: PushedEvent, index: number, piece: Piece, letters: Buffer[], refused?: Reason): Result {
    const { bytes, dead, origin } = event
    const why =
      refused ?? dead ?? (bytes ? this.#sink.codec.encode(bytes, 0, bytes.length, origin, piece.rows) : undefined)
    if (why) letters.push(letterOf(this.#sink.route.name, why, bytes ?? Buffer.alloc(0), origin, null))
    else if (bytes) piece.indexes.push(index)
    return why ? { status: 'dead_letter', ...why } : { status: bytes ? 'row' : 'passed' }
  }

  /** As in the worker. The sender keeps what is not taken until the schema is mended. */
  #stopAfter(letters: number, pieces: readonly Piece[]): void {
    const made = pieces.reduce((sum, { rows }) => sum + rows.rows, 0)
    const failing = failingFurther(this.#failing, letters, made)
    if (failing >= this.#sink.route.stop_after)
      throw new Error(`${failing} dead letters, and hardly a row (stop_after)`)
    this.#failing = failing
  }

  /** Rows that BigQuery refuses become dead letters, and the others are sent again without them. */
  async #append(piece: Piece, events: readonly PushedEvent[], results: Result[], signal: AbortSignal): Promise<void> {
    while (piece.rows.rows > 0) {
      const answer = await this.#rows.write(piece.rows.slice(), signal)
      if (answer.length === 0) return
      const { indexes } = piece
      const letters: Buffer[] = []
      const refused = new Map(answer.map(({ index, message }) => [indexes[index], { reason: 'refused', message }]))
      piece.rows.clear()
      piece.indexes = []
      for (const index of indexes)
        results[index] = this.#take(events[index] as PushedEvent, index, piece, letters, refused.get(index))
      await this.#sink.letters.write(letters, signal)
    }
  }
}
