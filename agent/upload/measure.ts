import type { Readable, Writable } from 'node:stream'
import { setImmediate as turnOfOthers } from 'node:timers/promises'
import { crc32, createZstdCompress } from 'node:zlib'
import { crc32c } from '@node-rs/crc32'
import { checksumText } from '../../shared/chunks/index.ts'
import { createCutter, Events, type FramingOptions, OVERHEAD_BYTES } from '../../shared/framing/index.ts'
import { HEAD_BYTES, type HeadAndTail, type PlainReader, Scratch, TAIL_BYTES } from '../follow/index.ts'

/**
 * What a range of a source holds: `size` is the end of the last event's extent, without blank bytes behind it, `end` that of the
 * range, `crc32c` of the range's bytes in eight hexadecimal digits.
 */
export type Measure = Awaited<ReturnType<typeof measure>>

const READ_BYTES = 256 * 1024

/** The bytes `[start, end)`, as far as the file reaches; each piece is valid until the next. */
async function* piecesOf(reader: PlainReader, start: number, end: number): AsyncGenerator<Buffer> {
  const scratch = new Scratch()
  for (let at = start; at < end; ) {
    const bytes = await reader.read(at, Math.min(end, at + READ_BYTES), scratch)
    if (bytes.length === 0) return
    at += bytes.length
    yield bytes
    await turnOfOthers()
  }
}

/** Reads `[start, limit)` (Infinity: to the end of the file) as a finished source. Rejects for a broken compressed file. */
export async function measure(reader: PlainReader, framing: FramingOptions, start: number, limit: number) {
  const cutter = createCutter(framing, start)
  const events = new Events()
  const scratch = new Scratch()
  let crc = 0
  let checked = start
  let count = 0
  for (let want = READ_BYTES; ; ) {
    const to = Math.min(limit, cutter.next + want)
    const from = cutter.next
    const bytes = await reader.read(from, to, scratch)
    const end = from + bytes.length
    if (end > checked) crc = crc32c(bytes.subarray(checked - from), crc)
    checked = Math.max(checked, end)
    const final = end < cutter.next + want
    let used = 0
    do {
      events.clear()
      used += cutter.cut(bytes, used, bytes.length, final, events)
      count += events.count
    } while (events.count === events.capacity)
    if (final) return { size: cutter.lastEventEnd, end: checked, events: count, crc32c: checksumText(crc) }
    if (used === 0) want = framing.maxEventBytes + OVERHEAD_BYTES
    await turnOfOthers()
  }
}

/** The same, without blank bytes behind the last event; undefined when there is none. */
export async function measureEvents(reader: PlainReader, framing: FramingOptions, start: number, limit: number) {
  if (limit <= start) return undefined
  const measured = await measure(reader, framing, start, limit)
  if (measured.events === 0) return undefined
  return limit < Infinity || measured.size === measured.end ? measured : measure(reader, framing, start, measured.size)
}

/** How the file is recognised at a position; undefined when it does not reach so far. */
export async function fingerprintBefore(reader: PlainReader, position: number): Promise<HeadAndTail | undefined> {
  const scratch = new Scratch()
  const head = crc32(await reader.read(0, Math.min(position, HEAD_BYTES), scratch))
  const start = Math.max(0, position - TAIL_BYTES)
  const tail = await reader.read(start, position, scratch)
  return tail.length === position - start ? { head, tail: crc32(tail) } : undefined
}

/** The checksum of each range `[start, size)`, as far as the file reaches; those with the same start in one pass. */
export async function crcsOf<R extends { start: number; size: number }>(reader: PlainReader, ranges: readonly R[]) {
  const crcs = new Map<R, string>()
  for (const [start, group] of Map.groupBy(ranges, (range) => range.start)) {
    let [at, crc] = [start, 0]
    for (const range of group.sort((a, b) => a.size - b.size)) {
      for await (const piece of piecesOf(reader, at, range.size)) {
        crc = crc32c(piece, crc)
        at += piece.length
      }
      if (at >= range.size) crcs.set(range, checksumText(crc))
    }
  }
  return crcs
}

/** The bytes `[start, end)` as one zstd stream, which fails if they are not those that were measured. */
export function compressed(reader: PlainReader, start: number, { end, crc32c: expected }: Measure): Readable {
  const output = createZstdCompress()
  const feed = async () => {
    let crc = 0
    for await (const piece of piecesOf(reader, start, end)) {
      crc = crc32c(piece, crc)
      await written(output, piece)
    }
    if (checksumText(crc) !== expected) throw new Error('the file changed while it was uploaded')
    output.end()
  }
  feed().catch((error: Error) => output.destroy(error))
  return output
}

/** Then the memory of what was written may be used again: pieces of their own were garbage faster than it was collected. */
function written(stream: Writable, piece: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(piece, (error) => (error ? reject(error) : resolve()))
  })
}
