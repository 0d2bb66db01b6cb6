import type { LaneLimits } from './batch.ts'

/** Room for a batch's header, and for records that are larger than the lane by their overhead. */
const LANE_SPARE_BYTES = 64 * 1024
const LANE_BYTES_MIN = 16 * 1024

/** How large batches may become, topic by topic: what one of them refuses, others may take. */
export class TopicLimits {
  readonly #first: LaneLimits
  readonly #smaller = new Map<string, LaneLimits>()

  constructor({ batchBytes, maxEventBytes }: { batchBytes: number; maxEventBytes: number }) {
    const laneBytes = Math.max(batchBytes - LANE_SPARE_BYTES, LANE_BYTES_MIN)
    this.#first = { laneBytes, maxEventBytes, deadAboveBytes: Infinity }
  }

  of(topic: string): LaneLimits {
    return this.#smaller.get(topic) ?? this.#first
  }

  /** The broker takes no batch of this size: smaller ones from now on, then no event larger than the smallest. */
  shrink(topic: string): void {
    const { laneBytes, maxEventBytes, deadAboveBytes } = this.of(topic)
    const half = (bytes: number) => Math.max(bytes / 2, LANE_BYTES_MIN)
    const smaller =
      laneBytes > LANE_BYTES_MIN
        ? { laneBytes: half(laneBytes), maxEventBytes, deadAboveBytes }
        : { laneBytes, maxEventBytes, deadAboveBytes: half(Math.min(deadAboveBytes, maxEventBytes)) }
    this.#smaller.set(topic, smaller)
  }
}
