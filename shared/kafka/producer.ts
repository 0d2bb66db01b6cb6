import type { Producer as KafkajsProducer, Message, RecordMetadata, Transaction } from 'kafkajs'
import type { KafkaClient } from './client.ts'
import { keyOf } from './cluster.ts'
import { KafkaError, kafkaError } from './errors.ts'
import { EncodedTopic } from './produce-request.ts'
import { commitRequest } from './topics.ts'
import type { Commit, PartitionBatch } from './types.ts'
import { askAgain, withTimeout } from './waiting.ts'

/**
 * kafkajs lets sequence numbers begin at 0 again after 2^31 - 1, where Kafka wants 2^31 - 1 to be followed by 0 modulo 2^31:
 * the broker would refuse the batch. Long before that a life ends by itself: so many records in one partition.
 */
const RECORDS_MAX = 2 ** 30
/** Longest wait for connections to close: an old life is fenced, so nothing depends on it. */
const CLOSE_TIMEOUT_MS = 1000

/**
 * Begins a new life of a transactional id. When this resolves the former life is fenced and its open transaction aborted; only
 * then may positions be read. Rejects with KafkaError.
 * @param options the broker aborts a transaction that is open for longer than `timeoutMs`
 */
export async function openProducer(
  client: KafkaClient,
  { transactionalId, timeoutMs }: { transactionalId: string; timeoutMs: number },
): Promise<Producer> {
  const producer = client.kafka.producer({
    transactionalId,
    transactionTimeout: timeoutMs,
    allowAutoTopicCreation: false,
    createPartitioner: () => () => 0, // never asked: batches name their partition
  })
  try {
    await producer.connect()
    const first = await producer.transaction() // InitProducerId happens here, not in connect
    await first.abort()
  } catch (error) {
    await closeQuietly(producer)
    throw kafkaError(error)
  }
  return livingProducer(producer, timeoutMs)
}

/** A transactional producer: one life of a transactional id. */
export type Producer = ReturnType<typeof livingProducer>

function livingProducer(producer: KafkajsProducer, timeoutMs: number) {
  const sent = new Map<string, number>()
  let state: 'ready' | 'busy' | 'unusable' = 'ready'
  /** The one that is open, and when it was begun. */
  let transaction: Transaction | undefined
  let begunAt = 0

  const within = async (work: (transaction: Transaction) => Promise<void>): Promise<void> => {
    if (state !== 'ready') throw new Error(`the producer is ${state}`)
    state = 'busy'
    if (!transaction) begunAt = performance.now()
    try {
      transaction ??= await producer.transaction()
      await work(transaction)
    } catch (error) {
      // kafkajs has rolled its sequence numbers back, the broker may have stored the batch: the next batch of the same
      // size would count as a repetition and be lost. So whatever the error was, this life is over.
      state = 'unusable'
      throw explain(error, performance.now() - begunAt >= timeoutMs)
    }
    state = 'ready'
  }

  /** Records go before offsets: AddPartitionsToTxn is tried again while the last transaction ends, AddOffsetsToTxn is not. */
  const sendRecords = async (open: Transaction, batches: readonly PartitionBatch[]): Promise<void> => {
    if (batches.length === 0) return
    for (const { batch, ...at } of batches) {
      const records = (sent.get(keyOf(at)) ?? 0) + batch.records
      if (records > RECORDS_MAX)
        throw new KafkaError('expired', 'WORN', `more than ${RECORDS_MAX} records for ${keyOf(at)}`)
      sent.set(keyOf(at), records)
    }
    const topics = Map.groupBy(batches, ({ topic }) => topic)
    // kafkajs's producer knows no other messages than its own.
    const asMessages = (group: readonly PartitionBatch[]) => new EncodedTopic(group) as unknown as Message[]
    const topicMessages = Array.from(topics, ([topic, group]) => ({ topic, messages: asMessages(group) }))
    refuseUnsent(batches, await open.sendBatch({ topicMessages }))
  }

  return {
    /**
     * These records (one batch for each partition at most) and these positions, and what `send` has brought since the last call: all of it, or none of it. One call at
     * a time. ANY rejection makes the producer unusable and leaves the outcome unknown: close it, open a new one with the same
     * id, read the positions, go on from there. Rejects with a KafkaError; kind `fenced`: another life took over, stop.
     */
    async transact(batches: readonly PartitionBatch[], commits: readonly Commit[]): Promise<void> {
      await within(async (open) => {
        await sendRecords(open, batches)
        await sendCommits(open, commits, begunAt + timeoutMs - performance.now())
        await open.commit()
      })
      transaction = undefined
    },

    /** Records that the next `transact` commits: so a transaction may be larger than what is held in memory. Rejects as that does. */
    send: (batches: readonly PartitionBatch[]): Promise<void> => within((open) => sendRecords(open, batches)),

    async close(): Promise<void> {
      state = 'unusable'
      await closeQuietly(producer)
    },
  }
}

/**
 * kafkajs leaves out, without a word, what belongs to a partition that its metadata do not have, or that moved to a leader which had
 * answered for its own by then.
 */
function refuseUnsent(batches: readonly PartitionBatch[], stored: readonly RecordMetadata[]): void {
  for (const { topic, partition } of batches) {
    if (stored.some((answer) => answer.topicName === topic && answer.partition === partition)) continue
    throw new KafkaError('refused', 'NOT_STORED', `${topic}/${partition} is not known, or its leader moved amid a send`)
  }
}

/** One TxnOffsetCommit for each group. Asking again is safe: the same offsets in the same transaction. */
async function sendCommits(transaction: Transaction, commits: readonly Commit[], withinMs: number): Promise<void> {
  for (const [group, entries] of Map.groupBy(commits, ({ group }) => group)) {
    const { topics } = commitRequest(group, entries)
    await askAgain(() => transaction.sendOffsets({ consumerGroupId: group, topics }), withinMs)
  }
}

/** The broker answers alike to a life that was replaced and to one that was too slow; only the time tells them apart. */
function explain(thrown: unknown, late: boolean): KafkaError {
  const error = kafkaError(thrown)
  if (error.kind !== 'fenced' || !late) return error
  return new KafkaError('expired', error.code, 'the transaction was open for longer than its time-out', {
    cause: error,
  })
}

async function closeQuietly(producer: KafkajsProducer): Promise<void> {
  await withTimeout(producer.disconnect(), CLOSE_TIMEOUT_MS).catch(() => undefined)
}
