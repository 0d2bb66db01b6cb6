import type { Config, Route } from '../../shared/config/index.ts'
import { messageOf, UserError } from '../../shared/errors.ts'
import {
  connectKafka,
  type Group,
  type GroupHandlers,
  joinGroup,
  type KafkaClient,
  type Membership,
  readCommits,
  type TopicPartition,
  topicOffsets,
} from '../../shared/kafka/index.ts'
import type { Log } from '../../shared/telemetry/index.ts'
import { openWarehouse } from '../../shared/warehouse/index.ts'
import { Assignment } from './assignment.ts'
import { Metrics } from './metrics.ts'
import { openSinks } from './route-sinks.ts'
import { createRowPool } from './row-pool.ts'

export interface ConsumerOptions {
  /** `worker` or `drain`: part of the group's name and of the user agent. */
  readonly mode: 'worker' | 'drain'
  readonly log: Log
  /** Partitions at which the operator goes on although records were lost. */
  readonly acceptLoss?: ReadonlyMap<string, number>
  /** Longest time to finish when the partitions are taken away, in milliseconds. */
  readonly leaveWithinMs: number
  /** Told of every change: a drain looks whether it is done. */
  readonly onProgress?: (assignment: Assignment) => void
}

/** A member of the installation's consumer group: all routes with topics, partition by partition, exactly once. */
export interface Consumer {
  readonly metrics: Metrics
  readonly kafka: KafkaClient
  readonly groupId: string
  readonly topics: readonly string[]
  /** The partitions of the present membership; undefined: none. */
  readonly assignment: Assignment | undefined
  /** Rejects when it cannot go on. */
  readonly done: Promise<void>
  /** Finishes, commits `clean`, leaves. */
  close(): Promise<void>
}

/** The consumer group of an installation and mode; the first start in a new mode goes on from the other's commits. */
export const groupOf = (config: Config, mode: 'worker' | 'drain'): string => `millrace.${config.name}.${mode}`

/** Without those that kafka-push carries: one carrier for every event. */
const routesOf = (config: Config): Route[] =>
  Object.values(config.routes).filter(({ topic, push }) => topic !== undefined && !push)

export const topicsOf = (config: Config): string[] => routesOf(config).flatMap(({ topic }) => topic ?? [])

/**
 * Makes sure of the tables and joins the group.
 * @throws UserError when the configuration, a schema or a table does not allow it
 */
export async function openConsumer(config: Config, options: ConsumerOptions): Promise<Consumer> {
  const routes = routesOf(config)
  if (!config.kafka || routes.length === 0) {
    throw new UserError(`${config.file}: no route has a topic`, 'add kafka.brokers, and topic to a route')
  }
  const entry = `kafka-${options.mode}`
  const warehouse = openWarehouse(config, entry)
  const sinks = await openSinks(config, routes, warehouse, options.log)
  const kafka = connectKafka(config.kafka, `${config.name}-${options.mode}`)
  const groupId = groupOf(config, options.mode)
  const metrics = new Metrics()
  const pool = createRowPool(config.consumer.flush_bytes)
  const topics = [...sinks.keys()]
  let assignment: Assignment | undefined

  const assigned = async (membership: Membership): Promise<void> => {
    const shared = {
      membership,
      consumer: config.consumer,
      warehouse,
      metrics,
      pool,
      log: options.log,
      acceptLossAt: (at: TopicPartition) => options.acceptLoss?.get(`${at.topic}/${at.partition}`),
      rejoin: () => membership.lose(),
    }
    const begun = new Assignment(shared, sinks, () => options.onProgress?.(begun))
    assignment = begun
    options.log.info({ generation: membership.generation, partitions: begun.tasks.length }, 'assigned')
    const formerly = readCommits(kafka, groupOf(config, OTHER_MODE[options.mode]), membership.partitions)
    const offsets = topicOffsets(kafka, [...new Set(membership.partitions.map(({ topic }) => topic))])
    await begun.begin(await offsets, await formerly)
  }

  const group = await join(config, options, kafka, {
    assigned,
    batch: (_membership, batch) => assignment?.batch(batch),
    stopped: (_membership, stop) => assignment?.stopped(stop),
    revoking: async () => assignment?.leave(),
  })

  return {
    metrics,
    kafka,
    groupId,
    topics,
    get assignment() {
      return assignment?.over ? undefined : assignment
    },
    done: group.done,
    async close() {
      await group.close()
      assignment?.dispose()
      for (const { letters } of sinks.values()) letters.close()
      await kafka.close()
      warehouse.close()
    },
  }
}

const OTHER_MODE = { worker: 'drain', drain: 'worker' } as const

async function join(
  config: Config,
  { mode, leaveWithinMs }: ConsumerOptions,
  kafka: KafkaClient,
  handlers: GroupHandlers,
): Promise<Group> {
  const { session_timeout: sessionTimeoutMs, fetch_bytes: fetchBytes } = config.consumer
  const topics = routesOf(config).map(({ topic = '', from }) => ({ topic, from }))
  const groupId = groupOf(config, mode)
  try {
    return await joinGroup(
      kafka,
      { groupId, topics, sessionTimeoutMs, fetchBytes, revokeTimeoutMs: leaveWithinMs },
      handlers,
    )
  } catch (error) {
    const brokers = config.kafka?.brokers.join(', ')
    throw new UserError(
      `cannot reach Kafka at ${brokers}: ${messageOf(error)}`,
      'start it, or correct kafka in the configuration',
      {
        cause: error,
      },
    )
  }
}
