import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../../test/support/eventually.ts'
import type { Cluster } from './cluster.ts'
import { KafkaError } from './errors.ts'
import { Fetcher } from './fetcher.ts'
import { SharedMemory } from './memory.ts'

const at = { topic: 't', partition: 0 }

/** A fetcher of one partition whose leader cannot be asked: `find` says why. */
function fetching(find: () => never) {
  const failures: unknown[] = []
  let tries = 0
  const cluster = {
    findLeaderForPartitions: () => ({ 1: [0] }),
    refreshMetadata: async () => undefined,
    findBroker: async () => {
      tries++
      find()
    },
  } as unknown as Cluster
  const unexpected = () => assert.fail('nothing can have come')
  const fetcher: Fetcher = new Fetcher(
    cluster,
    [at],
    { fetchBytes: 1, fetchWaitMs: 1 },
    {
      batch: unexpected,
      stopped: unexpected,
      failed(error) {
        failures.push(error)
        fetcher.stop() // as a membership does that ends
      },
    },
  )
  fetcher.seek(at, 0)
  fetcher.start()
  return { fetcher, failures, tries: () => tries }
}

test('a broker that cannot be reached is asked again', async () => {
  const { fetcher, failures, tries } = fetching(() => {
    throw new KafkaError('unreachable', 'KafkaJSConnectionError', 'on purpose')
  })
  await eventually(() => tries() > 2)
  fetcher.stop()
  assert.deepEqual(failures, [])
})

test('an error that is its own cause is no mistake in the program', async () => {
  const error = new Error('as kafkajs makes them')
  error.cause = error
  const { fetcher, failures, tries } = fetching(() => {
    throw error
  })
  await eventually(() => tries() > 1)
  fetcher.stop()
  assert.deepEqual(failures, [])
})

test('a mistake in the program is not tried again, even where kafkajs has wrapped it', async () => {
  for (const cause of [new TypeError('on purpose'), new ReferenceError('on purpose')]) {
    const { failures, tries } = fetching(() => {
      throw new Error('KafkaJSNonRetriableError', { cause })
    })
    await eventually(() => failures.length > 0)
    assert.equal((failures[0] as Error).cause, cause)
    assert.equal(tries(), 1)
  }
})

test('what was asked for before a seek says nothing about the place after it', async () => {
  const asked: number[] = []
  const answers: PromiseWithResolvers<object[]>[] = []
  const broker = {
    lookupRequest: () => (options: { topics: { partitions: { fetchOffset: string }[] }[] }) => {
      asked.push(Number(options.topics[0]?.partitions[0]?.fetchOffset))
      return { request: { apiVersion: 11 } }
    },
    connectionPool: { send: () => answers[answers.push(Promise.withResolvers()) - 1]?.promise },
  }
  const cluster = { findLeaderForPartitions: () => ({ 1: [0] }), findBroker: async () => broker }
  const stops: number[] = []
  const unexpected = () => assert.fail('no batch has come')
  const sink = {
    batch: unexpected,
    failed: unexpected,
    stopped: ({ offset }: { offset: number }) => stops.push(offset),
  }
  const fetcher = new Fetcher(cluster as unknown as Cluster, [at], { fetchBytes: 1, fetchWaitMs: 1 }, sink)
  fetcher.seek(at, 100)
  fetcher.start()
  const nothing = { records: Buffer.alloc(0), memory: new SharedMemory(Buffer.alloc(0)) }
  const refused = { ...at, errorCode: 29, lastStableOffset: 200, aborted: [], ...nothing }
  await eventually(() => answers.length === 1)
  fetcher.seek(at, 5)
  answers[0]?.resolve([refused])
  await eventually(() => answers.length === 2)
  assert.deepEqual([asked, stops], [[100, 5], []])
  answers[1]?.resolve([refused])
  await eventually(() => stops.length === 1)
  assert.deepEqual(stops, [5])
  fetcher.stop()
})

test('bytes that are no batch are fetched again, and stop the partition when they come again and again', async () => {
  const [bad, none] = [Buffer.alloc(100), Buffer.alloc(0)]
  const answers = [bad, bad, none, bad, bad, bad]
  let asked = 0
  const answer = async () => {
    const records = answers[asked++] ?? assert.fail('asked again')
    return [{ ...at, errorCode: 0, lastStableOffset: 9, aborted: [], records, memory: new SharedMemory(records) }]
  }
  const broker = { lookupRequest: () => () => ({ request: { apiVersion: 11 } }), connectionPool: { send: answer } }
  const cluster = { findLeaderForPartitions: () => ({ 1: [0] }), findBroker: async () => broker }
  const stops: object[] = []
  const sink = {
    batch: () => assert.fail('no batch has come'),
    failed: (error: unknown) => assert.fail(String(error)),
    stopped: ({ kind, offset }: { kind: string; offset: number }) => stops.push({ kind, offset, asked }),
  }
  const fetcher = new Fetcher(cluster as unknown as Cluster, [at], { fetchBytes: 1, fetchWaitMs: 1 }, sink)
  fetcher.seek(at, 0)
  fetcher.start()
  await eventually(() => stops.length > 0)
  fetcher.stop()
  assert.deepEqual(stops, [{ kind: 'corrupt', offset: 0, asked: answers.length }])
})

test('errors of a broker that may pass are asked again about, as leaders are that moved', async () => {
  const errors = [-1, 7, 6]
  let asked = 0
  const answer = async () => {
    const [errorCode, memory] = [errors[asked++], new SharedMemory(Buffer.alloc(0))]
    if (errorCode === undefined) return new Promise(() => undefined)
    return [{ ...at, errorCode, lastStableOffset: 0, aborted: [], records: Buffer.alloc(0), memory }]
  }
  const broker = { lookupRequest: () => () => ({ request: { apiVersion: 11 } }), connectionPool: { send: answer } }
  const refreshMetadata = async () => undefined
  const cluster = { findLeaderForPartitions: () => ({ 1: [0] }), findBroker: async () => broker, refreshMetadata }
  const unexpected = (what: unknown) => assert.fail(JSON.stringify(what))
  const sink = { batch: unexpected, failed: unexpected, stopped: unexpected }
  const fetcher = new Fetcher(cluster as unknown as Cluster, [at], { fetchBytes: 1, fetchWaitMs: 1 }, sink)
  fetcher.seek(at, 0)
  fetcher.start()
  await eventually(() => asked > errors.length)
  fetcher.stop()
})
