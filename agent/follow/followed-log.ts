import type { FramingOptions } from '../../shared/framing/index.ts'
import type { RateLimit } from './rate-limit.ts'
import type { LogPattern } from './scan.ts'

/** A log to follow: a pattern, and what its bytes are. */
export interface FollowedLog {
  readonly pattern: LogPattern
  readonly route: string
  readonly framing: FramingOptions
  /** The newest file will not grow for ever: it is finished like the others. */
  readonly complete: boolean
  /** Absent: as fast as Kafka takes it. */
  readonly rate?: RateLimit
}

export interface FollowerOptions {
  readonly agent: string
  readonly logs: readonly FollowedLog[]
  readonly finishAfterMs: number
  /** Called once for each problem, and again when it has changed. */
  readonly report: (message: string) => void
}
