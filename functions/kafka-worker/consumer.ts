import type { Config, Route } from '../../shared/config/index.ts'
import { asUserError, UserError } from '../../shared/errors.ts'
import { connectKafka, type Group, joinGroup, type Membership, topicOffsets } from '../../shared/kafka/index.ts'
import type { Log } from '../../shared/telemetry/index.ts'
import { openWarehouse, type Warehouse } from '../../shared/warehouse/index.ts'
import type { AcceptLoss } from './accept-loss.ts'
import { Assignment } from './assignment.ts'
import { Metrics } from './metrics.ts'
import type { PartitionTask } from './partition-task.ts'
import { groupOf, type Mode, prepareCommits, refuseBothModes } from './prepare-commits.ts'
import { openSink, type RouteSink } from '../../shared/dead-letters/index.ts'
import { RowPool } from './row-pool.ts'

/** What worker and drain want differently. */
export interface ConsumerOptions {
  /** `worker` or `drain`: part of the group's name and of the user agent. */
  readonly mode: Mode
  readonly log: Log
  readonly acceptLoss?: AcceptLoss | undefined
  /** Longest time to finish when the partitions are taken away, in milliseconds. */
  readonly leaveWithinMs: number
  /** Told of every change: a drain looks whether it is done. */
  readonly onProgress?: (assignment: Assignment) => void
}

/** A member of the installation's consumer group: all routes with topics, partition by partition, exactly once. */
export type Consumer = Awaited<ReturnType<typeof openConsumer>>

/** Without those that kafka-push carries: one carrier for every event. */
const routesOf = (config: Config): Route[] =>
  Object.values(config.routes).filter(({ topic, push }) => topic !== undefined && !push)

/** The topics of those routes. */
export const topicsOf = (config: Config): string[] => routesOf(config).flatMap(({ topic }) => topic ?? [])

/**
 * Makes sure of the tables and joins the group.
 * @throws UserError when the configuration, a schema or a table does not allow it
 */
export async function openConsumer(config: Config, options: ConsumerOptions) {
  const { mode, log, acceptLoss } = options
  const routes = routesOf(config)
  if (!config.kafka || routes.length === 0) {
    throw new UserError(`${config.file}: no route has a topic`, 'add kafka.brokers, and topic to a route')
  }
  const warehouse = openWarehouse(config, `kafka-${mode}`)
  const sinks = await openSinks(config, warehouse, log)
  const kafka = connectKafka(config.kafka, `${config.name}-${mode}`)
  const metrics = new Metrics()
  const { consumer } = config
  const shared = { consumer, warehouse, metrics, pool: new RowPool(consumer.flush_bytes), log, acceptLoss }
  let assignment: Assignment | undefined

  const assigned = async (membership: Membership): Promise<void> => {
    const before = assignment
    const begun = new Assignment({ ...shared, membership }, sinks, () => options.onProgress?.(begun))
    assignment = begun
    log.info({ generation: membership.generation, partitions: begun.tasks.length }, 'assigned')
    const offsets = await topicOffsets(kafka, [...new Set(membership.partitions.map(({ topic }) => topic))])
    begun.begin(await prepareCommits(kafka, config, mode, membership, offsets, log), offsets, before)
    options.onProgress?.(begun) // of a member without partitions nothing else tells
  }

  const disconnect = async (): Promise<void> => {
    await kafka.close()
    warehouse.close()
  }
  const join = async (): Promise<Group> => {
    const { session_timeout: sessionTimeoutMs, fetch_bytes: fetchBytes } = consumer
    const limits = { sessionTimeoutMs, fetchBytes, revokeTimeoutMs: options.leaveWithinMs }
    await refuseBothModes(kafka, config, mode)
    return joinGroup(
      kafka,
      { groupId: groupOf(config, mode), topics: topicsOf(config), ...limits },
      {
        assigned,
        batch: (_membership, batch) => assignment?.batch(batch),
        stopped: (_membership, stop) => assignment?.stopped(stop),
        revoking: async () => assignment?.leave(),
      },
    )
  }
  const group = await join().catch(async (error: unknown) => {
    await disconnect()
    const where = `cannot reach Kafka at ${config.kafka?.brokers.join(', ')}`
    return asUserError(where, 'start it, correct kafka, or grant Read and Describe on both groups')(error)
  })

  /** Finishes, commits `clean`, leaves. */
  const close = async (): Promise<void> => {
    await group.close()
    await disconnect()
  }
  return {
    metrics,
    /** The partitions of the present membership; undefined: none. */
    get assignment() {
      return assignment?.over ? undefined : assignment
    },
    /** How it stands now, in the words of the `millrace.metrics` line. */
    gauges: () => gaugesOf(assignment?.over ? [] : (assignment?.tasks ?? [])),
    /** Rejects when it cannot go on. */
    done: group.done,
    close,
    /** For `await using`. */
    [Symbol.asyncDispose]: close,
  }
}

/** By topic, of which each has one route; their tables are there before the first record is read. */
async function openSinks(config: Config, warehouse: Warehouse, log: Log): Promise<Map<string, RouteSink>> {
  const sinks = new Map<string, RouteSink>()
  for (const route of routesOf(config)) {
    const sink = openSink(config, route, warehouse, log, { answerWithinMs: config.consumer.answer_within })
    const fix = 'check network, credentials and rights: millrace check --connect tries them'
    await sink.ensureTables().catch(asUserError(`BigQuery and the tables of route ${route.name}`, fix))
    sinks.set(route.topic!, sink)
  }
  return sinks
}

/** How partitions stand now, in the words of the `millrace.metrics` line. */
export function gaugesOf(tasks: readonly PartitionTask[]): Record<string, number> {
  const sum = (value: (task: PartitionTask) => number) => tasks.reduce((total, task) => total + value(task), 0)
  return {
    partitions: tasks.length,
    partitions_stopped: sum((task) => (task.stopped ? 1 : 0)),
    lag_events: sum((task) => task.lagEvents),
    lag_seconds: Math.max(0, ...tasks.map((task) => task.lagMs)) / 1000,
    in_flight_bytes: sum((task) => task.heldBytes),
  }
}
