import { setImmediate } from 'node:timers/promises'
import type { FetchedBatch } from '../../shared/kafka/index.ts'
import type { Place } from './place.ts'
import { type BuiltPiece, PieceBuilder, type RefusedRows } from './piece-builder.ts'

/** The way of one partition's records from the fetcher to pieces that are durable, and how much of them is in memory. */
export class Intake {
  /** Built and not durable yet, in order. */
  readonly pieces = new Map<number, BuiltPiece>()
  readonly refused: RefusedRows = new Map()
  readonly #place: Place
  readonly #built: (piece: BuiltPiece) => void
  readonly #failed: (error: unknown) => void
  readonly #builder: PieceBuilder
  /** The partition's share of `queue_bytes`: so appends are smaller where there are many. */
  readonly #shareBytes: number
  readonly #queue: { batch: FetchedBatch; bytes: number }[] = []
  #queuedBytes = 0
  #paused = true
  #pumping = false
  /** The offset that is built next; undefined: nobody has said from where. */
  #next: number | undefined
  /** No row says that it was ingested before: milliseconds since 1970. */
  #floorMs = 0
  /** Grows when the partition is rewound: what was fetched before means nothing then. */
  #epoch = 0
  #closed = false
  #flushTimer: NodeJS.Timeout | undefined

  /** @param failed a batch cannot be read */
  constructor(place: Place, built: (piece: BuiltPiece) => void, failed: (error: unknown) => void) {
    this.#place = place
    this.#built = built
    this.#failed = failed
    const { at, consumer, membership } = place
    this.#shareBytes = consumer.queue_bytes / membership.partitions.length
    this.#builder = new PieceBuilder(place, Math.min(consumer.flush_bytes, this.#shareBytes), this.refused)
    // Nothing is fetched before the take-over says from where.
    membership.seek(at, 0)
    membership.pause([at])
  }

  /** It is known from where records are taken. */
  get placed(): boolean {
    return this.#next !== undefined
  }

  /** The timestamp of the oldest record that is built and not durable; 0: there is none. */
  get oldestMs(): number {
    const [oldest] = this.pieces.values()
    return oldest?.oldestMs ?? this.#builder.oldestMs
  }

  get heldBytes(): number {
    return this.pieces.values().reduce((bytes, { rows }) => bytes + rows.length, this.#queuedBytes)
  }

  /** Fetches from here on, and drops what is half built. */
  seek(offset: number, floorMs: number): void {
    this.#discard()
    this.#next = offset
    this.#floorMs = floorMs
    this.#place.membership.seek(this.#place.at, offset)
    this.#regulate()
  }

  /** Called by the fetcher; returns at once. */
  enqueue(batch: FetchedBatch): void {
    if (this.#closed || this.#next === undefined || batch.lastOffset < this.#next) return batch.release()
    this.#queue.push({ batch, bytes: batch.bytes })
    this.#queuedBytes += batch.bytes
    this.#regulate()
    void this.#pump()
  }

  /** The piece's memory is free. `durable`: its rows are in the table; else they will be read again. */
  release(id: number, durable: boolean): void {
    const piece = this.pieces.get(id)
    if (!piece) return
    this.pieces.delete(id)
    if (durable) this.#settle(piece)
    this.#place.pool.give(piece.rows)
    void this.#pump()
  }

  #settle({ end, rows, reasons, passed }: BuiltPiece): void {
    this.#place.metrics.settled(rows.rows + reasons.length + passed, rows.rows, rows.length, reasons)
    for (const offset of this.refused.keys()) if (offset < end) this.refused.delete(offset)
  }

  /** Takes nothing more, and drops what is half built. */
  close(): void {
    this.#closed = true
    this.#place.membership.pause([this.#place.at])
    this.#discard()
  }

  /** Pauses fetching above half of the share, and goes on below a quarter. */
  #regulate(): void {
    const { membership, at } = this.#place
    if (!this.#paused && this.#queuedBytes > this.#shareBytes / 2) {
      this.#paused = true
      membership.pause([at])
    } else if (this.#paused && !this.#closed && this.#queuedBytes <= this.#shareBytes / 4) {
      this.#paused = false
      membership.resume([at])
    }
  }

  /** Bounds what is built and not durable: by number for one partition, by memory for all; one piece is always allowed. */
  get #mayBuild(): boolean {
    const { consumer, pool } = this.#place
    const pieces = this.pieces.size
    const hasRoom = pieces <= consumer.in_flight && pool.inUse * this.#builder.flushBytes < consumer.queue_bytes
    return !this.#closed && (pieces === 0 || hasRoom)
  }

  async #pump(): Promise<void> {
    if (this.#pumping) return
    this.#pumping = true
    try {
      while (this.#mayBuild && this.#queue.length > 0) {
        await this.#build()
        await setImmediate()
      }
      if (this.#mayBuild && this.#builder.started) this.#sealIfDue()
    } catch (error) {
      this.#failed(error)
    } finally {
      this.#pumping = false
    }
    this.#pumpLater()
  }

  async #build(): Promise<void> {
    const [first] = this.#queue
    if (!first) return
    const { batch, bytes } = first
    const epoch = this.#epoch
    await batch.ready()
    if (epoch !== this.#epoch || this.#next === undefined) return
    if (this.#next <= batch.lastOffset) {
      this.#next = this.#builder.take(batch, this.#next, Math.max(Date.now(), this.#floorMs))
    }
    if (this.#next > batch.lastOffset) {
      this.#queue.shift()
      this.#queuedBytes -= bytes
      batch.release()
      this.#regulate()
    }
    this.#sealIfDue()
  }

  #sealIfDue(): void {
    if (!this.#builder.full && this.#age < this.#place.consumer.flush_after) return
    const piece = this.#builder.seal()
    this.pieces.set(piece.id, piece)
    this.#built(piece)
  }

  get #age(): number {
    return performance.now() - this.#builder.startedAtMs
  }

  /** When what is half built has waited for long enough. Where there is no room, a release pumps. */
  #pumpLater(): void {
    if (!this.#builder.started || this.#flushTimer || !this.#mayBuild) return
    const pump = () => {
      this.#flushTimer = undefined
      void this.#pump()
    }
    this.#flushTimer = setTimeout(pump, Math.max(1, this.#place.consumer.flush_after - this.#age))
  }

  #discard(): void {
    this.#epoch++
    for (const { batch } of this.#queue.splice(0)) batch.release()
    this.#queuedBytes = 0
    clearTimeout(this.#flushTimer)
    this.#flushTimer = undefined
    this.#builder.discard()
  }
}
