import type { AgentConfig } from '../../shared/config/index.ts'
import type { LaneLimits } from './batch.ts'

/** Room for a batch's header, and for records that are larger than the lane by their overhead. */
const LANE_SPARE_BYTES = 64 * 1024
const LANE_BYTES_MIN = 16 * 1024
/** A topic that takes no record of this size takes nothing. */
const SHRUNK_BYTES_MIN = 512
/** Then all is tried again: the broker's setting may have been a mistake. If not, it costs a few sessions. */
const SMALL_MS_MAX = 3_600_000

/** How large batches may become, topic by topic: what one of them refuses, others may take. */
export class TopicLimits {
  readonly #first: LaneLimits
  readonly #smaller = new Map<string, { readonly limits: LaneLimits; readonly untilMs: number }>()

  constructor(agent: Pick<AgentConfig, 'batch_bytes' | 'max_event_bytes'>) {
    const laneBytes = Math.max(agent.batch_bytes - LANE_SPARE_BYTES, LANE_BYTES_MIN)
    this.#first = { laneBytes, maxEventBytes: agent.max_event_bytes, deadAboveBytes: Infinity }
  }

  of(topic: string): LaneLimits {
    const smaller = this.#smaller.get(topic)
    return smaller && Date.now() < smaller.untilMs ? smaller.limits : this.#first
  }

  /**
   * The broker takes no batch of this size: smaller ones from now on, then no event larger than the smallest. First down to what
   * most topics take, so that one event that is too long for its topic does not make all batches tiny. False: it is the smallest.
   */
  shrink(topic: string): boolean {
    const { laneBytes, maxEventBytes, deadAboveBytes } = this.of(topic)
    const valueBytes = Math.min(deadAboveBytes, maxEventBytes)
    const isAbove = (floor: number) => laneBytes > floor || valueBytes > floor
    const floor = [LANE_BYTES_MIN, SHRUNK_BYTES_MIN].find(isAbove)
    if (floor === undefined) return false
    const half = (bytes: number) => Math.max(bytes / 2, floor)
    const smaller = laneBytes > floor ? { laneBytes: half(laneBytes) } : { deadAboveBytes: half(valueBytes) }
    const limits = { laneBytes, maxEventBytes, deadAboveBytes, ...smaller }
    this.#smaller.set(topic, { limits, untilMs: Date.now() + SMALL_MS_MAX })
    return true
  }
}
