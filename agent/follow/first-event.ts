import { createCutter, Events, type FramingOptions, OVERHEAD_BYTES } from '../../shared/framing/index.ts'
import { HEAD_BYTES, NAMING_BYTES } from './identity.ts'
import type { PlainReader, Scratch } from './reader.ts'

const PROBE_BYTES = 64 * 1024
/** What is read of a hole. A log that is truncated while its writer does not append begins with one as large as the log was. */
const HOLE = Buffer.alloc(PROBE_BYTES)
const HOLE_HEAD = HOLE.subarray(0, HEAD_BYTES)
/** So much of it is looked at in one go: nothing else is read or published meanwhile. */
const HOLE_BYTES_MAX = 128 * 1024 * 1024

export interface FirstEvent {
  readonly event: Buffer
  /** The file's first bytes, at most HEAD_BYTES, as they were read with it. */
  readonly head: Buffer
}

/**
 * The beginning of a file's first event, at most NAMING_BYTES: what its source is named after, the same whenever it is
 * asked for; of an event of several lines, its first one. Undefined: there is none yet. `final`: nothing follows, an unterminated one counts. Throws UserError for
 * UTF-16, and whatever a broken compressed file throws. `hole`: so many NULs are known to come first; answered when there are so many more
 * that it is the turn of others.
 */
export async function firstEvent(
  reader: PlainReader,
  framing: FramingOptions,
  final: boolean,
  scratch: Scratch,
  hole = 0,
): Promise<FirstEvent | { readonly hole: number } | undefined> {
  const cutterAt = (position: number) =>
    createCutter({ kind: framing.kind, maxEventBytes: Number.MAX_SAFE_INTEGER }, position)
  const events = new Events(1)
  const whole = framing.maxEventBytes + OVERHEAD_BYTES
  const isStill = hole > 0 && (await reader.read(0, HEAD_BYTES, scratch)).equals(HOLE_HEAD)
  let head = isStill ? HOLE_HEAD : undefined
  const begin = isStill ? hole : 0
  let cutter = cutterAt(begin)
  const named = (event: Buffer) => ({ event: Buffer.from(event.subarray(0, NAMING_BYTES)), head: head! })
  for (let want = PROBE_BYTES; ; ) {
    const from = cutter.next
    if (from - begin >= HOLE_BYTES_MAX) return { hole: from }
    const bytes = await reader.read(from, from + want, scratch)
    head ??= Buffer.from(bytes.subarray(0, HEAD_BYTES))
    if (framing.kind === 'lines' && bytes.equals(HOLE)) {
      cutter = cutterAt(from + bytes.length) // ten times as fast as cutting it
      continue
    }
    const atEnd = bytes.length < want
    const used = cutter.cut(bytes, 0, bytes.length, final && atEnd, events)
    if (events.count > 0) return named(bytes.subarray(events.valueStart[0], events.valueEnd[0]))
    const rest = bytes.subarray(used)
    const long = framing.kind === 'lines' ? rest.length >= NAMING_BYTES : rest.length >= whole
    if (long) return named(rest)
    if (atEnd) return undefined
    if (used === 0) want = Math.max(want, whole)
  }
}
