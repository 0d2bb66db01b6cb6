import { type Committing, objectId, type ObjectView } from '../../shared/chunks/index.ts'
import { type Origin, originOutsideKafka, RowBuffer, type RowCodec } from '../../shared/codec/index.ts'
import { letterOf, type Reason } from '../../shared/dead-letters/index.ts'
import { uncutReason, type EventBatch, type Events, framingNamed, framingOf } from '../../shared/framing/index.ts'
import { beside, DEAD_LETTERS } from '../../shared/warehouse/index.ts'
import type { ObjectState } from './claim.ts'
import type { Environment } from './environment.ts'
import { PendingStream } from './pending-stream.ts'
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
export async function writeRows(
  environment: Environment,
  plan: Plan,
  state: ObjectState,
): Promise<Written | undefined> {
  const writer = new ChunkWriter(environment, plan, state.object)
  try {
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
  } finally {
    writer.close()
  }
}

function checkContent({ chunk }: Plan, { crc32c, end }: { crc32c: string; end: number }): void {
  if (!chunk) return
  if (crc32c !== chunk.crc32c)
    throw new BrokenContent(`crc32c of the content is ${crc32c}, its metadata say ${chunk.crc32c}`)
  if (end < chunk.size) throw new BrokenContent(`the content ends at ${end}, its metadata say ${chunk.size}`)
}

class ChunkWriter {
  readonly #codec: RowCodec
  readonly #plan: Plan
  readonly #object: string
  readonly #rows: PendingStream
  readonly #deadLetters: PendingStream
  readonly #rowBuffer = new RowBuffer(BUFFER_BYTES)
  #letters: Buffer[] = []
  readonly #origin: Origin
  #events = 0
  /** Of the rows in the buffer: the index of each one's event. */
  #buffered: number[] = []

  constructor({ warehouse, sinkOf, bucket }: Environment, plan: Plan, object: ObjectView) {
    const { route } = plan
    this.#plan = plan
    this.#codec = sinkOf(route).codec
    this.#object = objectId(bucket.name, object)
    this.#rows = new PendingStream(warehouse, route.table, this.#codec.descriptor)
    this.#deadLetters = new PendingStream(warehouse, beside(route.table, DEAD_LETTERS.name), DEAD_LETTERS.descriptor)
    this.#origin = originOutsideKafka(plan.source)
  }

  /** All of the batch is appended when this returns: its buffer is reused. */
  async add({ buffer, events }: EventBatch): Promise<void> {
    this.#origin.ingestedAtMicros = Date.now() * 1000
    for (let index = 0; index < events.count; index++) {
      this.#take(buffer, events, index)
      if (this.#rowBuffer.length >= APPEND_BYTES) await this.#append(buffer, events)
    }
    await this.#append(buffer, events)
    this.#events += events.count
  }

  /** Makes an event's row, or its dead letter; `refused`: BigQuery did not take its row. */
  #take(buffer: Buffer, events: Events, index: number, refused?: Reason): void {
    const [from, to] = [events.valueStart[index] ?? 0, events.valueEnd[index] ?? 0]
    const origin = this.#origin
    origin.position = events.position[index] ?? 0
    origin.size = events.size[index] ?? 0
    const why =
      refused ?? uncutReason(events.dead[index]) ?? this.#codec.encode(buffer, from, to, origin, this.#rowBuffer)
    if (!why) this.#buffered.push(index)
    else this.#letters.push(letterOf(this.#plan.route.name, why, buffer.subarray(from, to), origin, this.#object))
  }

  /** Rows that BigQuery refuses become dead letters, and the others are sent again without them. */
  async #append(buffer: Buffer, events: Events): Promise<void> {
    while (this.#rowBuffer.rows > 0) {
      const refused = await this.#rows.append(this.#rowBuffer.slice(), this.#rowBuffer.rows)
      const indexes = this.#buffered
      this.#rowBuffer.clear()
      this.#buffered = []
      if (refused.length === 0) break
      const reasons = new Map(refused.map(({ index, message }) => [indexes[index], { reason: 'refused', message }]))
      for (const index of indexes) this.#take(buffer, events, index, reasons.get(index))
    }
    const letters = this.#letters
    this.#letters = []
    const [refused] = await this.#deadLetters.append(Buffer.concat(letters), letters.length)
    if (refused) throw new Error(`BigQuery refuses a dead letter: ${refused.message}`)
  }

  async finish(end: number): Promise<Written> {
    const deadLetters = await this.#deadLetters.finish()
    return { rows: await this.#rows.finish(), deadLetters, events: this.#events, end }
  }

  close(): void {
    this.#rows.close()
    this.#deadLetters.close()
  }
}
