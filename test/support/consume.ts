import { randomBytes } from 'node:crypto'
import {
  type FetchedBatch,
  joinGroup,
  type KafkaClient,
  type Membership,
  type PartitionOffsets,
  topicOffsets,
} from '../../shared/kafka/index.ts'
import { findTopics, bothEnds } from '../../shared/kafka/topics.ts'
import { eventually } from './eventually.ts'

export interface ConsumedRecord {
  readonly partition: number
  readonly offset: number
  readonly key: string | null
  readonly value: string | null
  readonly timestampMs: number
}

const READ_UNCOMMITTED = 0
/** How long the end of a topic may be held back by transactions: their markers follow the answer to their commit. */
const SETTLE_MS = 40_000
/** How long a reader waits for that: a transaction may stay open for ever. */
const READER_SETTLE_MS = 5000

/**
 * Every committed record of a topic up to its present end, ordered by partition and offset, read by a group of its own. A transaction
 * that stays open hides what was written after it.
 */
export async function consumeTopic(client: KafkaClient, topic: string, timeoutMs = 20_000): Promise<ConsumedRecord[]> {
  const open = new Map<number, number>()
  const ends = await settledOffsets(client, topic, READER_SETTLE_MS).catch(() => topicOffsets(client, [topic]))
  for (const { partition, end } of ends) if (end > 0) open.set(partition, end)
  const records: ConsumedRecord[] = []
  if (open.size === 0) return records
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const take = async (batch: FetchedBatch) => {
    await batch.ready()
    collect(batch, open.get(batch.partition) ?? 0, records)
    if (batch.lastOffset + 1 >= (open.get(batch.partition) ?? 0)) open.delete(batch.partition)
    if (open.size === 0) resolve()
  }
  let taken: Promise<void> = Promise.resolve()
  const options = { groupId: `consume-${randomBytes(6).toString('hex')}`, topics: [topic] }
  const group = await joinGroup(client, options, {
    assigned: seekCommits,
    batch: (_membership, batch) => {
      taken = taken.then(() => take(batch)) // one after the other: the last one ends it
      taken.catch(reject)
    },
    stopped: (_membership, stop) => reject(new Error(JSON.stringify(stop))),
    revoking: async () => undefined,
  })
  const timer = setTimeout(() => reject(new Error(`the end of ${topic} was not reached in ${timeoutMs} ms`)), timeoutMs)
  try {
    await promise
  } finally {
    clearTimeout(timer)
    await group.close()
  }
  return records.sort((a, b) => a.partition - b.partition || a.offset - b.offset)
}

/** Has all partitions fetched from their commits on, or from the start. */
export async function seekCommits(membership: Membership): Promise<void> {
  for (const { offset, ...at } of await membership.readCommits()) membership.seek(at, Math.max(0, offset))
}

/**
 * What can be read of a topic once every transaction has ended: all that its log has.
 * @throws when one stays open for `timeoutMs`
 */
export async function settledOffsets(
  client: KafkaClient,
  topic: string,
  timeoutMs = SETTLE_MS,
): Promise<PartitionOffsets[]> {
  const cluster = Object.assign(client.openCluster(), { isolationLevel: READ_UNCOMMITTED })
  await cluster.connect()
  const settled = async () => {
    const readable = await topicOffsets(client, [topic])
    await findTopics(cluster, [topic])
    const written = await bothEnds(cluster, readable)
    return readable.every(({ end }, index) => end >= (written[index]?.end ?? 0)) && readable
  }
  try {
    return await eventually(settled, { timeoutMs, what: `the transactions of ${topic} have ended` })
  } finally {
    await cluster.disconnect()
  }
}

function collect(batch: FetchedBatch, end: number, into: ConsumedRecord[]): void {
  batch.visit(0, ({ buffer, offset, timestampMs, keyStart, keyEnd, valueStart, valueEnd }) => {
    if (offset >= end) return
    const key = keyStart < 0 ? null : buffer.toString('utf8', keyStart, keyEnd)
    const value = valueStart < 0 ? null : buffer.toString('utf8', valueStart, valueEnd)
    into.push({ partition: batch.partition, offset, key, value, timestampMs })
  })
}
