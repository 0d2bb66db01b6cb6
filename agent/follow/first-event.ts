import { createCutter, Events, type FramingOptions, OVERHEAD_BYTES } from '../../shared/framing/index.ts'
import { NAMING_BYTES } from './identity.ts'
import type { PlainReader, Scratch } from './reader.ts'

const PROBE_BYTES = 64 * 1024

/**
 * The beginning of a file's first event, at most NAMING_BYTES: what its source is named after, the same whenever it is
 * asked for. Undefined: there is none yet. `final`: nothing follows, an unterminated one counts. Throws UserError for
 * UTF-16, and whatever a broken compressed file throws.
 */
export async function firstEvent(
  reader: PlainReader,
  framing: FramingOptions,
  final: boolean,
  scratch: Scratch,
): Promise<Buffer | undefined> {
  const cutter = createCutter({ ...framing, maxEventBytes: Number.MAX_SAFE_INTEGER }, 0)
  const events = new Events(1)
  const whole = framing.maxEventBytes + OVERHEAD_BYTES
  for (let want = PROBE_BYTES; ; ) {
    const from = cutter.next
    const bytes = await reader.read(from, from + want, scratch)
    const atEnd = bytes.length < want
    const used = cutter.cut(bytes, 0, bytes.length, final && atEnd, events)
    if (events.count > 0)
      return Buffer.from(bytes.subarray(events.valueStart[0], events.valueEnd[0]).subarray(0, NAMING_BYTES))
    const rest = bytes.subarray(used)
    const long = framing.kind === 'lines' ? rest.length >= NAMING_BYTES : rest.length >= whole
    if (long) return Buffer.from(rest.subarray(0, NAMING_BYTES))
    if (atEnd) return undefined
    if (used === 0) want = Math.max(want, whole)
  }
}
