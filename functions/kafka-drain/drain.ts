import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from '../../shared/config/index.ts'
import {
  type Committed,
  connectKafka,
  keyOf,
  type PartitionOffsets,
  presentOffsets,
  readCommits,
} from '../../shared/kafka/index.ts'
import type { Log } from '../../shared/telemetry/index.ts'
import { decodeLog } from '../../shared/warehouse/protocol/log.ts'
import type { AcceptLoss } from '../kafka-worker/accept-loss.ts'
import type { Assignment } from '../kafka-worker/assignment.ts'
import { gaugesOf, openConsumer, topicsOf } from '../kafka-worker/consumer.ts'
import { Metrics } from '../kafka-worker/metrics.ts'
import { groupOf } from '../kafka-worker/prepare-commits.ts'

/** Of the budget, at most this much is for the hand-over at its end. */
const LEAVE_WITHIN_MS = 5000
/**
 * Kafka forgets the commits of a group in which nobody has been for `offsets.retention.minutes` (7 days by default): also
 * without events each instance joins now and then, and at its first call.
 */
const JOIN_EVERY_MS = 24 * 3_600_000

/** When this process was last in a group. */
const joinedMs = new Map<string, number>()

/**
 * Takes every partition to the end that its topic has now, or as far as `consumer.budget` allows, and leaves a clean log
 * behind. Several at once share the partitions. When there is nothing to do it writes nothing, and joins once a day.
 * @returns what it has done; `remaining`: offsets before the ends seen at its start that are not in the tables yet
 */
export async function drain(config: Config, log: Log, acceptLoss: AcceptLoss = new Map(), joined = joinedMs) {
  const deadline = performance.now() + config.consumer.budget - LEAVE_WITHIN_MS
  if (!config.kafka) return { partitions: 0, events: 0, rows: 0, dead_letters: 0, remaining: 0 }
  await using kafka = connectKafka(config.kafka, `${config.name}-drain`)
  const { found: ends, missing } = await presentOffsets(kafka, topicsOf(config))
  for (const topic of missing) log.warn({ topic }, 'the topic does not exist')
  const group = groupOf(config, 'drain')
  const commits = () => readCommits(kafka, group, ends)
  let [done, remaining] = [{ metrics: new Metrics(), gauges: gaugesOf([]) }, 0]
  const isDue = Date.now() - (joined.get(group) ?? 0) >= JOIN_EVERY_MS
  if (isDue || !isIdle(ends, await commits())) {
    joined.set(group, Date.now())
    done = await consume(config, log, ends, deadline, acceptLoss)
    remaining = countRemaining(ends, await commits())
  }
  const standing = { ...done.gauges, partitions: ends.length, lag_events: remaining, in_flight_bytes: 0 }
  log.info({ metrics: done.metrics.snapshot(standing) }, 'millrace.metrics')
  const { events, rows, dead_letters } = done.metrics.totals
  return { partitions: ends.length, events, rows, dead_letters, remaining }
}

/** Until all ends are reached, or until that time. */
async function consume(
  config: Config,
  log: Log,
  ends: readonly PartitionOffsets[],
  until: number,
  acceptLoss: AcceptLoss,
) {
  const done = Promise.withResolvers<void>()
  const targets = new Map(ends.map((range) => [keyOf(range), range.end]))
  const look = (assignment: Assignment) => {
    if (assignment.tasks.every((task) => task.reached(targets.get(keyOf(task.at)) ?? 0))) done.resolve()
  }
  const limits = { acceptLoss, leaveWithinMs: LEAVE_WITHIN_MS }
  await using consumer = await openConsumer(config, { mode: 'drain', log, ...limits, onProgress: look })
  const budget = delay(Math.max(0, until - performance.now()), undefined, { ref: false })
  await Promise.race([done.promise, consumer.done, budget])
  return { metrics: consumer.metrics, gauges: consumer.gauges() }
}

/** Every commit is clean and at the end of its partition, and none waits for an operator. */
function isIdle(ends: readonly PartitionOffsets[], commits: readonly Committed[]): boolean {
  return commits.every(({ offset, metadata }, i) => {
    const decoded = decodeLog(metadata)
    return offset === ends[i]?.end && decoded.kind === 'log' && decoded.log.clean && !decoded.log.lost
  })
}

function countRemaining(ends: readonly PartitionOffsets[], commits: readonly Committed[]): number {
  return ends.reduce((sum, { start, end }, i) => sum + Math.max(0, end - Math.max(commits[i]?.offset ?? -1, start)), 0)
}
