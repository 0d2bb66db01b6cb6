import type { Readable } from 'node:stream'
import { openCodec, type Origin, originOutsideKafka, type Rejection, RowBuffer } from '../codec/index.ts'
import type { Route } from '../config/index.ts'
import { messageOf, UserError } from '../errors.ts'
import { createCutter, cutEvents, uncutReason, type EventBatch, framingOf, isDamage } from '../framing/index.ts'
import { createRowReader } from './row-reader.ts'

/** What became of one event, in the form of `millrace query`. */
export type Outcome = { readonly row: object } | { readonly deadLetter: { readonly reason: string } }

const ROW_BYTES = 64 * 1024

/**
 * What a route makes of every event of a source, read back from the very bytes that would be sent. Touches nothing.
 * @param source stands in the metadata column, and in dead letters
 * @throws UserError when the schema is broken or the source cannot be read to its end
 */
export async function* tryEvents(
  route: Route,
  stored: Readable,
  { source, maxEventBytes }: { source: string; maxEventBytes: number },
): AsyncGenerator<Outcome> {
  const outcomeOf = trial(route, source)
  const cutter = createCutter(framingOf(route, maxEventBytes), 0)
  try {
    for await (const batch of cutEvents(stored, cutter))
      for (let index = 0; index < batch.events.count; index++) yield outcomeOf(batch, index)
  } catch (error) {
    if (isDamage(error))
      throw new UserError(`${source}: cannot be decompressed: ${messageOf(error)}`, 'take a whole copy')
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error
    throw new UserError(`cannot read ${source}: ${messageOf(error)}`, 'name a file that is there and may be read')
  }
}

function trial(route: Route, source: string): (batch: EventBatch, index: number) => Outcome {
  const codec = openCodec(route)
  const read = createRowReader(codec)
  const rows = new RowBuffer(ROW_BYTES)
  const origin = originOutsideKafka(source)
  return ({ buffer, events }, index) => {
    const [start = 0, end = 0] = [events.valueStart[index], events.valueEnd[index]]
    origin.position = events.position[index] ?? 0
    origin.size = events.size[index] ?? 0
    rows.clear()
    const rejection = uncutReason(events.dead[index]) ?? codec.encode(buffer, start, end, origin, rows)
    if (!rejection) return { row: read(rowIn(rows.slice())) }
    return { deadLetter: deadLetterOf(rejection, route.name, buffer.subarray(start, end), origin) }
  }
}

function deadLetterOf(
  { reason, field, message }: Omit<Rejection, 'reason'> & { reason: string },
  route: string,
  bytes: Buffer,
  { source, position, size }: Origin,
) {
  const place = { source, position: String(position), size: String(size) }
  const content = bytes.length > 0 ? { bytes: bytes.toString('base64') } : {}
  return { reason, route, ...(field ? { field } : {}), message, ...content, ...place }
}

/** The row of one ProtoRows entry: what follows the tag and the length. */
function rowIn(entry: Buffer): Buffer {
  let start = 1
  while ((entry[start] ?? 0) > 127) start++
  return entry.subarray(start + 1)
}
