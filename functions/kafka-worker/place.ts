import type { ConsumerConfig } from '../../shared/config/index.ts'
import type { Membership, TopicPartition } from '../../shared/kafka/index.ts'
import type { Log } from '../../shared/telemetry/index.ts'
import type { Warehouse } from '../../shared/warehouse/index.ts'
import type { AcceptLoss } from './accept-loss.ts'
import type { Metrics } from './metrics.ts'
import type { RouteSink } from '../../shared/dead-letters/index.ts'
import type { RowPool } from './row-pool.ts'

/** What all partitions of a membership share. */
export interface TaskContext {
  readonly membership: Membership
  readonly consumer: ConsumerConfig
  readonly warehouse: Warehouse
  readonly metrics: Metrics
  readonly pool: RowPool
  readonly log: Log
  readonly acceptLoss: AcceptLoss | undefined
  /** Something happened that may need a commit, or that somebody may be waiting for. */
  readonly progressed: () => void
}

/** One partition, its route, and everything that they use. */
export interface Place extends TaskContext, RouteSink {
  readonly at: TopicPartition
  /** Says, now and then, what goes wrong. */
  readonly tell: (trouble: string, message: string) => void
}
