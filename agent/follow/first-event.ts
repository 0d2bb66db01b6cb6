import { createCutter, Events, type FramingOptions, OVERHEAD_BYTES } from '../../shared/framing/index.ts'
import { HEAD_BYTES, NAMING_BYTES } from './identity.ts'
import type { PlainReader, Scratch } from './reader.ts'

const PROBE_BYTES = 64 * 1024

export interface FirstEvent {
  readonly event: Buffer
  /** The file's first bytes, at most HEAD_BYTES, as they were read with it. */
  readonly head: Buffer
}

/**
 * The beginning of a file's first event, at most NAMING_BYTES: what its source is named after, the same whenever it is
 * asked for; of an event of several lines, its first one. Undefined: there is none yet. `final`: nothing follows, an unterminated one counts. Throws UserError for
 * UTF-16, and whatever a broken compressed file throws.
 */
export async function firstEvent(
  reader: PlainReader,
  framing: FramingOptions,
  final: boolean,
  scratch: Scratch,
): Promise<FirstEvent | undefined> {
  const cutter = createCutter({ kind: framing.kind, maxEventBytes: Number.MAX_SAFE_INTEGER }, 0)
  const events = new Events(1)
  const whole = framing.maxEventBytes + OVERHEAD_BYTES
  let head: Buffer | undefined
  const named = (event: Buffer) => ({ event: Buffer.from(event.subarray(0, NAMING_BYTES)), head: head! })
  for (let want = PROBE_BYTES; ; ) {
    const from = cutter.next
    const bytes = await reader.read(from, from + want, scratch)
    head ??= Buffer.from(bytes.subarray(0, HEAD_BYTES))
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
