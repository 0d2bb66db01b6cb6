import { DEAD_REASONS } from '../../shared/framing/index.ts'
import { BatchBuilder, type Compression, type PartitionBatch } from '../../shared/kafka/index.ts'
import type { Reading } from '../follow/index.ts'
import { KeyWriter } from './record-key.ts'

/** How large the records of one partition may become. */
export interface LaneLimits {
  /** A lane is full at this size, before compression; one record is taken however large it is. */
  readonly laneBytes: number
  readonly maxEventBytes: number
  /** A value of more bytes was refused by the broker: it travels as a dead letter. */
  readonly deadAboveBytes: number
}

/** What a record needs besides its value: lengths, deltas, a key of at most 70 bytes, a header. */
const RECORD_OVERHEAD_BYTES = 256
/** Lanes with memory of their own; sources of further partitions wait for the next transaction. */
const LANES_MAX = 8

/** The records of one partition in one transaction. */
export class Lane {
  readonly builder: BatchBuilder
  readonly limits: LaneLimits
  topic = ''
  partition = 0
  full = false
  bytes = 0
  dead = 0

  constructor(limits: LaneLimits) {
    this.limits = limits
    this.builder = new BatchBuilder(Math.max(limits.laneBytes, limits.maxEventBytes) + RECORD_OVERHEAD_BYTES)
  }

  get room(): number {
    return this.limits.laneBytes - this.builder.length
  }

  /** Appends the events of a piece, and returns how many found room; the first that did not makes the lane full. */
  append(source: string, { bytes, events }: Reading & { kind: 'piece' }, keys: KeyWriter, nowMs: number): number {
    for (let i = 0; i < events.count; i++) {
      const start = events.valueStart[i]!
      const end = events.valueEnd[i]!
      if (this.builder.records > 0 && this.room < end - start + RECORD_OVERHEAD_BYTES) return this.#fullAt(i)
      const key = keys.write(source, events.position[i]!, events.size[i]!)
      const dead = events.dead[i]! || Number(end - start > this.limits.deadAboveBytes)
      const taken =
        dead > 0
          ? this.builder.append(key, bytes, 0, 0, nowMs, DEAD_HEADERS[dead])
          : this.builder.append(key, bytes, start, end, nowMs)
      if (!taken) return this.#fullAt(i)
      this.bytes += events.size[i]!
      if (dead > 0) this.dead++
    }
    return events.count
  }

  #fullAt(count: number): number {
    this.full = true
    return count
  }

  begin(topic: string, partition: number): this {
    this.builder.reset()
    Object.assign(this, { topic, partition, full: false, bytes: 0, dead: 0 })
    return this
  }
}

const DEAD_HEADERS = DEAD_REASONS.map((reason) => [{ key: 'millrace-dead', value: Buffer.from(reason) }])

/** The records of one transaction, a lane for each partition. Its memory is used again for the next but one. */
export class Batch {
  readonly #lanes: Lane[] = []
  readonly #used = new Map<string, Lane>()
  readonly keys = new KeyWriter()

  /** The lane of a partition; undefined: no more memory in this transaction. */
  lane(topic: string, partition: number, limits: LaneLimits): Lane | undefined {
    const name = `${topic}/${partition}`
    const used = this.#used.get(name)
    if (used) return used
    const count = this.#used.size
    if (count === LANES_MAX) return undefined
    if (this.#lanes[count]?.limits !== limits) this.#lanes[count] = new Lane(limits)
    const lane = this.#lanes[count]!.begin(topic, partition)
    this.#used.set(name, lane)
    return lane
  }

  /** Adds its events, the bytes of their extents, and those that travel without their bytes. */
  addTo(counts: { events: number; bytes: number; dead: number }): void {
    for (const { builder, bytes, dead } of this.lanes) {
      counts.events += builder.records
      counts.bytes += bytes
      counts.dead += dead
    }
  }

  get full(): boolean {
    return this.lanes.some(({ full }) => full)
  }

  get lanes(): Lane[] {
    return [...this.#used.values()]
  }

  seal(compression: Compression): Promise<PartitionBatch[]> {
    const filled = this.lanes.filter(({ builder }) => builder.records > 0)
    return Promise.all(
      filled.map(async ({ topic, partition, builder }) => ({
        topic,
        partition,
        batch: await builder.seal(compression),
      })),
    )
  }

  clear(): void {
    this.#used.clear()
  }
}
