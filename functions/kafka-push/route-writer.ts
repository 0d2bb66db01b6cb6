import { RowBuffer } from '../../shared/codec/index.ts'
import type { Config, Route } from '../../shared/config/index.ts'
import { failingFurther, letterOf, openSink, type Reason } from '../../shared/dead-letters/index.ts'
import type { Log } from '../../shared/telemetry/index.ts'
import type { Warehouse } from '../../shared/warehouse/index.ts'
import type { PushedEvent } from './read-body.ts'

/** What became of an event: a row, a dead letter, or nothing to be kept (a tombstone). */
export type Result = { readonly status: 'row' | 'passed' } | ({ readonly status: 'dead_letter' } & Reason)

/** Rows of one append; the service takes less than 10 MB, and one row may have 9. */
const APPEND_BYTES = 512 * 1024
const BUFFER_BYTES = 64 * 1024
/** An instance that was idle may find its connection dead: so there is time for another one within the same request. */
const ANSWER_WITHIN_MS = 10_000

type Piece = ReturnType<typeof emptyPiece>

/** Events that go in one append: those of `indexes` have a row. */
const emptyPiece = () => ({ rows: new RowBuffer(BUFFER_BYTES), indexes: [] as number[] })

/** Writes a route's events at least once: what has no answer in time is sent again, by us or by the sender. */
export function openRouteWriter(config: Config, warehouse: Warehouse, log: Log, route: Route) {
  const sink = openSink(config, route, warehouse, log, { answerWithinMs: ANSWER_WITHIN_MS })
  const rowWriter = sink.openWriter(route.table, sink.codec.descriptor)
  let failing = 0

  /** Makes an event's row in the piece, or its dead letter; `refused`: BigQuery did not take its row. */
  const take = (event: PushedEvent, index: number, piece: Piece, letters: Buffer[], refused?: Reason): Result => {
    const { bytes, dead, origin } = event
    const why = refused ?? dead ?? (bytes ? sink.codec.encode(bytes, 0, bytes.length, origin, piece.rows) : undefined)
    if (why) letters.push(letterOf(route.name, why, bytes ?? Buffer.alloc(0), origin, null))
    else if (bytes) piece.indexes.push(index)
    return why ? { status: 'dead_letter', ...why } : { status: bytes ? 'row' : 'passed' }
  }

  /** As in the worker. The sender keeps what is not taken until the schema is mended. */
  const stopAfter = (letters: number, pieces: readonly Piece[]): void => {
    const further = failingFurther(
      failing,
      letters,
      pieces.reduce((sum, { rows }) => sum + rows.rows, 0),
    )
    if (further >= route.stop_after) throw new Error(`${further} dead letters, and hardly a row (stop_after)`)
    failing = further
  }

  /** Rows that BigQuery refuses become dead letters, and the others are sent again without them. */
  const append = async (piece: Piece, events: readonly PushedEvent[], results: Result[], signal: AbortSignal) => {
    while (piece.rows.rows > 0) {
      const answer = await rowWriter.write(piece.rows.slice(), signal)
      if (answer.length === 0) return
      const indexes = piece.indexes.splice(0)
      const letters: Buffer[] = []
      const refused = new Map(answer.map(({ index, message }) => [indexes[index], { reason: 'refused', message }]))
      piece.rows.clear()
      for (const index of indexes) results[index] = take(events[index]!, index, piece, letters, refused.get(index))
      await sink.letters.write(letters, signal)
    }
  }

  return {
    /** Dead letters first, then rows. Resolves when all are durable; rejects when that is not known once `signal` fires. */
    async write(events: readonly PushedEvent[], signal: AbortSignal): Promise<Result[]> {
      await sink.ensureOnce()
      const letters: Buffer[] = []
      const pieces = [emptyPiece()]
      const results = events.map((event, index) => {
        if (pieces.at(-1)!.rows.length >= APPEND_BYTES) pieces.push(emptyPiece())
        return take(event, index, pieces.at(-1)!, letters)
      })
      stopAfter(letters.length, pieces)
      await sink.letters.write(letters, signal)
      await Promise.all(pieces.map((piece) => append(piece, events, results, signal)))
      return results
    },
  }
}
