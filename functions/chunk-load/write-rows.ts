import { type Committing, objectId, type ObjectView } from '../../shared/chunks/index.ts'
import { originOutsideKafka, RowBuffer } from '../../shared/codec/index.ts'
import { letterOf, type Reason } from '../../shared/dead-letters/index.ts'
import { uncutReason, type EventBatch, type Events, framingNamed, framingOf } from '../../shared/framing/index.ts'
import { beside, DEAD_LETTERS } from '../../shared/warehouse/index.ts'
import type { ObjectState } from './object-state.ts'
import type { Environment } from './environment.ts'
import { openPendingStream } from './pending-stream.ts'
import type { Plan } from './plan.ts'
import { BrokenContent, readEvents } from './read-events.ts'

/** Rows are appended when this many bytes of them are ready. */
const APPEND_BYTES = 2 * 1024 * 1024
/** One event may be larger than an append; BigQuery takes requests below 20 MB. */
const BUFFER_BYTES = APPEND_BYTES + 1024 * 1024

/** What the object's state says of what was written. */
type Written = Pick<Committing, 'rows' | 'deadLetters' | 'events' | 'end'>

/**
 * Writes an object's events to a PENDING stream and its dead letters to another, and finalizes both; undefined: the claim
 * was replaced meanwhile. @throws BrokenContent when no retry would mend it
 */
export async function writeRows(environment: Environment, plan: Plan, state: ObjectState) {
  using writer = openChunkWriter(environment, plan, state.object)
  const { max_event_bytes } = environment.config.agent
  const named = plan.chunk && framingNamed(plan.chunk.framing, max_event_bytes)
  const framing = named ?? framingOf(plan.route, max_event_bytes)
  const ranges = plan.ranges === 'undecided' ? [] : plan.ranges
  const batches = readEvents(environment.bucket.read(state.object), plan.start, ranges, framing)
  for (;;) {
    const next = await batches.next()
    if (next.done) {
      checkContent(plan, next.value)
      return await writer.finish(next.value.eventsEnd)
    }
    await writer.add(next.value)
    if (!(await state.keepClaim())) return undefined
  }
}

function checkContent({ chunk }: Plan, { crc32c, end }: { crc32c: string; end: number }): void {
  if (!chunk) return
  if (crc32c !== chunk.crc32c)
    throw new BrokenContent(`crc32c of the content is ${crc32c}, its metadata say ${chunk.crc32c}`)
  if (end < chunk.size) throw new BrokenContent(`the content ends at ${end}, its metadata say ${chunk.size}`)
}

function openChunkWriter({ warehouse, sinkOf, bucket }: Environment, { route, source }: Plan, object: ObjectView) {
  const { codec } = sinkOf(route)
  const id = objectId(bucket.name, object)
  const rowStream = openPendingStream(warehouse, route.table, codec.descriptor)
  const letterStream = openPendingStream(warehouse, beside(route.table, DEAD_LETTERS.name), DEAD_LETTERS.descriptor)
  const rows = new RowBuffer(BUFFER_BYTES)
  /** Of the rows in the buffer: the index of each one's event. */
  const buffered: number[] = []
  const letters: Buffer[] = []
  const origin = originOutsideKafka(source)
  let count = 0

  /** Makes an event's row, or its dead letter; `refused`: BigQuery did not take its row. */
  const take = (buffer: Buffer, events: Events, index: number, refused?: Reason): void => {
    const [from, to] = [events.valueStart[index] ?? 0, events.valueEnd[index] ?? 0]
    origin.position = events.position[index] ?? 0
    origin.size = events.size[index] ?? 0
    const why = refused ?? uncutReason(events.dead[index]) ?? codec.encode(buffer, from, to, origin, rows)
    if (why) letters.push(letterOf(route.name, why, buffer.subarray(from, to), origin, id))
    else buffered.push(index)
  }

  /** Rows that BigQuery refuses become dead letters, and the others are sent again without them. */
  const append = async (buffer: Buffer, events: Events): Promise<void> => {
    while (rows.rows > 0) {
      const refused = await rowStream.append(rows.slice(), rows.rows)
      const indexes = buffered.splice(0)
      rows.clear()
      if (refused.length === 0) break
      const reasons = new Map(refused.map(({ index, message }) => [indexes[index], { reason: 'refused', message }]))
      for (const index of indexes) take(buffer, events, index, reasons.get(index))
    }
    const entries = letters.splice(0)
    const [refused] = await letterStream.append(Buffer.concat(entries), entries.length)
    if (refused) throw new Error(`BigQuery refuses a dead letter: ${refused.message}`)
  }

  return {
    /** All of the batch is appended when this returns: its buffer is reused. */
    async add({ buffer, events }: EventBatch): Promise<void> {
      origin.ingestedAtMicros = Date.now() * 1000
      for (let index = 0; index < events.count; index++) {
        take(buffer, events, index)
        if (rows.length >= APPEND_BYTES) await append(buffer, events)
      }
      await append(buffer, events)
      count += events.count
    },

    async finish(end: number): Promise<Written> {
      const deadLetters = await letterStream.finish()
      return { rows: await rowStream.finish(), deadLetters, events: count, end }
    },

    [Symbol.dispose](): void {
      rowStream.close()
      letterStream.close()
    },
  }
}
