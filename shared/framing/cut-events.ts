import type { Readable } from 'node:stream'
import type { Cutter } from './cutter.ts'
import { plainBytes } from './decompressed.ts'
import { Events } from './events.ts'

/** Events that were cut from `buffer`; both are reused: done with when the next batch is asked for. */
export interface EventBatch {
  readonly buffer: Buffer
  readonly events: Events
}

/** All events of a whole source, plain or compressed; closes it at the end. @throws what `isDamage` knows */
export async function* cutEvents(stored: Readable, cutter: Cutter): AsyncGenerator<EventBatch> {
  const events = new Events()
  let rest: Buffer = Buffer.alloc(0)
  const cut = function* (buffer: Buffer, final: boolean): Generator<EventBatch> {
    let used = 0
    do {
      events.clear()
      used += cutter.cut(buffer, used, buffer.length, final, events)
      if (events.count > 0) yield { buffer, events }
    } while (events.count === events.capacity)
    rest = Buffer.from(buffer.subarray(used))
  }
  try {
    for await (const piece of plainBytes(stored)) yield* cut(Buffer.concat([rest, piece]), false)
    yield* cut(rest, true)
  } finally {
    stored.destroy()
  }
}
