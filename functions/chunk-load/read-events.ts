import type { Readable } from 'node:stream'
import { crc32c } from '@node-rs/crc32'
import { checksumText, type Range } from '../../shared/chunks/index.ts'
import { messageOf } from '../../shared/errors.ts'
import {
  createCutter,
  type EventBatch,
  Events,
  type FramingOptions,
  isDamage,
  plainBytes,
} from '../../shared/framing/index.ts'

/** What is known of the content when it was read to its end. */
export interface ContentEnd {
  /** CRC32C of all decompressed bytes, eight hexadecimal digits. */
  readonly crc32c: string
  /** Position behind the last byte. */
  readonly end: number
  /** Position behind the last event; `start` when there was none. */
  readonly eventsEnd: number
}

/** The content is not what it should be: no retry mends it. */
export class BrokenContent extends Error {
  override readonly name = 'BrokenContent'
}

/**
 * Cuts the events of the given ranges (positions, in order) out of an object's stored bytes, whose first decompressed byte
 * has the position `start`. Everything is read, so that the checksum covers it.
 */
export async function* readEvents(
  stored: Readable,
  start: number,
  ranges: readonly Range[],
  framing: FramingOptions,
): AsyncGenerator<EventBatch, ContentEnd> {
  const events = new Events()
  const left = ranges.filter(([from, to]) => from < to)
  let position = start
  let eventsEnd = start
  let checksum = 0
  let open: { rest: Buffer; cutter: ReturnType<typeof createCutter>; to: number } | undefined
  for await (const piece of readable(stored)) {
    checksum = crc32c(piece, checksum)
    let at = 0
    while (at < piece.length) {
      open ??= openRange(left[0], position + at, position + piece.length, framing)
      if (!open) break
      const from = Math.max(0, open.cutter.next + open.rest.length - position)
      const to = Math.min(piece.length, open.to - position)
      const buffer =
        open.rest.length > 0 ? Buffer.concat([open.rest, piece.subarray(from, to)]) : piece.subarray(from, to)
      const final = position + to === open.to
      let used = 0
      do {
        events.clear()
        used += open.cutter.cut(buffer, used, buffer.length, final, events)
        if (events.count > 0) yield { buffer, events }
      } while (events.count === events.capacity)
      eventsEnd = Math.max(eventsEnd, open.cutter.position)
      open.rest = Buffer.from(buffer.subarray(used))
      at = to
      if (final) {
        left.shift()
        open = undefined
      }
    }
    position += piece.length
  }
  if (open) {
    events.clear()
    open.cutter.cut(open.rest, 0, open.rest.length, true, events)
    eventsEnd = Math.max(eventsEnd, open.cutter.position)
    if (events.count > 0) yield { buffer: open.rest, events }
  }
  return { crc32c: checksumText(checksum), end: position, eventsEnd }
}

function openRange(range: Range | undefined, from: number, to: number, framing: FramingOptions) {
  if (!range || range[0] >= to) return undefined
  if (range[0] < from)
    throw new BrokenContent(`the range ${range[0]} to ${range[1]} begins before the content, which begins at ${from}`)
  return { rest: Buffer.alloc(0), cutter: createCutter(framing, range[0]), to: range[1] }
}

/** A content that cannot be decompressed stays so. */
async function* readable(stored: Readable): AsyncGenerator<Buffer> {
  try {
    yield* plainBytes(stored)
  } catch (error) {
    if (isDamage(error)) throw new BrokenContent(`cannot be decompressed: ${messageOf(error)}`, { cause: error })
    throw error
  }
}
