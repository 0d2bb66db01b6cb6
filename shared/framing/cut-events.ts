import type { Readable } from 'node:stream'
import type { Cutter } from './cutter.ts'
import { plainBytes } from './decompressed.ts'
import { Events } from './events.ts'

/** Events that were cut from `buffer`; they are reused: done with when the next batch is asked for. */
export interface EventBatch {
  readonly buffer: Buffer
  readonly events: Events
}

/** Cuts what comes in pieces, and keeps what a piece leaves for the next one. `final`: nothing follows the piece. */
export function cutPieces(cutter: Cutter): (piece: Buffer, final: boolean) => Generator<EventBatch> {
  const events = new Events()
  let rest: Buffer = Buffer.alloc(0)
  return function* (piece, final) {
    const buffer = rest.length > 0 ? Buffer.concat([rest, piece]) : piece
    let used = 0
    do {
      events.clear()
      used += cutter.cut(buffer, used, buffer.length, final, events)
      if (events.count > 0) yield { buffer, events }
    } while (events.count === events.capacity)
    rest = buffer.subarray(used)
  }
}

/** All events of a whole source, plain or compressed; closes it at the end. @throws what `isDamage` knows */
export async function* cutEvents(stored: Readable, cutter: Cutter): AsyncGenerator<EventBatch> {
  const cut = cutPieces(cutter)
  try {
    for await (const piece of plainBytes(stored)) yield* cut(piece, false)
    yield* cut(Buffer.alloc(0), true)
  } finally {
    stored.destroy()
  }
}
