import { randomBytes } from 'node:crypto'
import {
  type FetchedBatch,
  joinGroup,
  type KafkaClient,
  type PartitionOffsets,
  topicOffsets,
} from '../../shared/kafka/index.ts'
import { eventually } from './eventually.ts'

export interface ConsumedRecord {
  readonly partition: number
  readonly offset: number
  readonly key: string | null
  readonly value: string | null
}

/** How long the end of a topic may be held back by transactions: their markers follow the answer to their commit. */
const SETTLE_MS = 5000

/**
 * Every committed record of a topic up to its present end, ordered by partition and offset, read by a group of its own. A transaction
 * that stays open hides what was written after it.
 */
export async function consumeTopic(client: KafkaClient, topic: string, timeoutMs = 20_000): Promise<ConsumedRecord[]> {
  const open = new Map<number, number>()
  for (const { partition, end } of await settledOffsets(client, topic)) if (end > 0) open.set(partition, end)
  const records: ConsumedRecord[] = []
  if (open.size === 0) return records
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const take = (batch: FetchedBatch) => {
    collect(batch, open.get(batch.partition) ?? 0, records)
    if (batch.lastOffset + 1 >= (open.get(batch.partition) ?? 0)) open.delete(batch.partition)
    if (open.size === 0) resolve()
  }
  const options = { groupId: `consume-${randomBytes(6).toString('hex')}`, topics: [{ topic, from: 'start' as const }] }
  const group = await joinGroup(client, options, {
    assigned: async () => undefined,
    batch: (_membership, batch) => take(batch),
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

/** Where every transaction has ended, this is also where the log ends. */
async function settledOffsets(client: KafkaClient, topic: string): Promise<PartitionOffsets[]> {
  const settled = async () => {
    const offsets = await topicOffsets(client, [topic])
    return offsets.every(({ end, written }) => end === written) && offsets
  }
  return eventually(settled, { timeoutMs: SETTLE_MS }).catch(() => topicOffsets(client, [topic]))
}

function collect(batch: FetchedBatch, end: number, into: ConsumedRecord[]): void {
  batch.visit(0, ({ buffer, offset, keyStart, keyEnd, valueStart, valueEnd }) => {
    if (offset >= end) return
    const key = keyStart < 0 ? null : buffer.toString('utf8', keyStart, keyEnd)
    const value = valueStart < 0 ? null : buffer.toString('utf8', valueStart, valueEnd)
    into.push({ partition: batch.partition, offset, key, value })
  })
}
