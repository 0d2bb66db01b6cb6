import type { Readable } from 'node:stream'
import { crc32c } from '@node-rs/crc32'
import { checksumText, type Range } from '../../shared/chunks/index.ts'
import { messageOf } from '../../shared/errors.ts'
import { createCutter, cutPieces, type FramingOptions, isDamage, plainBytes } from '../../shared/framing/index.ts'

/** The content is not what it should be: no retry mends it. */
export class BrokenContent extends Error {
  override readonly name = 'BrokenContent'
}

/**
 * Cuts the events of the given ranges (positions, in order) out of an object's stored bytes, whose first decompressed byte
 * has the position `start`. Everything is read, so that the checksum covers it.
 * @returns `crc32c` of all decompressed bytes, eight hexadecimal digits; `end`: the position behind the last byte; `eventsEnd`: that
 * behind the last event, `start` when there was none
 */
export async function* readEvents(stored: Readable, start: number, ranges: readonly Range[], framing: FramingOptions) {
  const parts = partsOf(start, ranges, framing)
  let [position, checksum] = [start, 0]
  for await (const piece of readable(stored)) {
    checksum = crc32c(piece, checksum)
    const end = position + piece.length
    for (const { from, to, cut } of parts) {
      if (from < end && to > position)
        yield* cut(piece.subarray(Math.max(0, from - position), to - position), to <= end)
    }
    position = end
  }
  for (const { to, cut } of parts) if (to > position) yield* cut(Buffer.alloc(0), true)
  const eventsEnd = Math.max(start, ...parts.map(({ cutter }) => cutter.position))
  return { crc32c: checksumText(checksum), end: position, eventsEnd }
}

/** A cutter for each range that has bytes. */
function partsOf(start: number, ranges: readonly Range[], framing: FramingOptions) {
  let free = start
  return ranges
    .filter(([from, to]) => from < to)
    .map(([from, to]) => {
      if (from < free)
        throw new BrokenContent(`the range ${from} to ${to} begins before ${free}, where its content begins`)
      free = to
      const cutter = createCutter(framing, from)
      return { from, to, cutter, cut: cutPieces(cutter) }
    })
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
