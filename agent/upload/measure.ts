import { Readable } from 'node:stream'
import { createZstdCompress } from 'node:zlib'
import { crc32c } from '@node-rs/crc32'
import { createCutter, Events, type FramingOptions, OVERHEAD_BYTES } from '../../shared/framing/index.ts'
import { type PlainReader, Scratch } from '../follow/index.ts'

/** What a range of a source holds. */
export interface Measure {
  /** End of the last event's extent, without blank bytes behind it. */
  readonly size: number
  /** End of the range. */
  readonly end: number
  readonly events: number
  /** Of the range's bytes: eight hexadecimal digits. */
  readonly crc32c: string
}

const READ_BYTES = 256 * 1024

/** Reads `[start, limit)` (Infinity: to the end of the file) as a finished source. Rejects for a broken compressed file. */
export async function measure(
  reader: PlainReader,
  framing: FramingOptions,
  start: number,
  limit: number,
): Promise<Measure> {
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
    if (final) return { size: cutter.lastEventEnd, end: checked, events: count, crc32c: hex(crc) }
    if (used === 0) want = framing.maxEventBytes + OVERHEAD_BYTES
  }
}

/** The bytes `[start, end)` as one zstd stream, which fails if they are not those that were measured. */
export function compressed(reader: PlainReader, start: number, { end, crc32c: expected }: Measure): Readable {
  async function* pieces(): AsyncGenerator<Buffer> {
    const scratch = new Scratch()
    let crc = 0
    for (let at = start; at < end; ) {
      const bytes = Buffer.from(await reader.read(at, Math.min(end, at + READ_BYTES), scratch))
      if (bytes.length === 0) throw new Error('the file became shorter while it was uploaded')
      crc = crc32c(bytes, crc)
      at += bytes.length
      yield bytes
    }
    if (hex(crc) !== expected) throw new Error('the file changed while it was uploaded')
  }
  const input = Readable.from(pieces(), { objectMode: false })
  const output = createZstdCompress()
  input.on('error', (error) => output.destroy(error))
  return input.pipe(output)
}

function hex(crc: number): string {
  return (crc >>> 0).toString(16).padStart(8, '0')
}
