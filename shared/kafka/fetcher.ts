import { setTimeout as delay } from 'node:timers/promises'
import protocol, { type ProtocolRequest } from 'kafkajs/src/protocol/requests/index.js'
import { type Broker, byTopic, type Cluster, keyOf } from './cluster.ts'
import { createLog } from '../telemetry/index.ts'
import { isDefect, KafkaError, kafkaError } from './errors.ts'
import { decodeFetch, type FetchedPartition, readRanges } from './fetch-response.ts'
import { bothEnds, unknownTopic } from './topics.ts'
import type { FetchedBatch } from './record-range.ts'
import type { GroupOptions, PartitionStop, StopReason, TopicPartition } from './types.ts'

const FETCH_KEY = 1
const FETCH_VERSION_MIN = 4
const READ_COMMITTED = 1
/** After an error of a broker or of a partition whose leader is moving. */
const RETRY_AFTER_MS = 200
/** With paused partitions a fetch is not held for longer, so that a resumed one need not wait behind it. */
const PAUSED_WAIT_MS_MAX = 50
/** Bytes that fail their checksum are fetched again so often, in case that only the way was bad. */
const CORRUPT_TRIES_MAX = 3

const OFFSET_OUT_OF_RANGE = 1
/** The topic is not there, or not there any more: it may come again as another one, under the same name. */
const UNKNOWN_TOPIC = 3
/**
 * The leader has moved or is moving: LEADER_NOT_AVAILABLE, ..., UNKNOWN_LEADER_EPOCH; metadata say where it is. Or it has failed by something that
 * Kafka has no name for, or that took too long (remote storage that does not answer): Kafka's own consumer asks again then, too.
 */
const LEADER_MOVED = new Set([-1, 7, 5, 6, 9, 13, 56, 74, 75, 78, 100])

/** Fetched from one broker at once, in bytes. */
const FETCH_BYTES_MAX = 8 * 1024 * 1024

/** How much is asked for at once, and how long a broker may wait for it. */
export type FetchOptions = Pick<Required<GroupOptions>, 'fetchBytes' | 'fetchWaitMs'>

/** Who is told what was fetched. */
export interface FetchSink {
  batch(batch: FetchedBatch): void
  stopped(stop: PartitionStop): void
  /** Something threw that is no affair of a single partition, and that no further try would mend. */
  failed(error: unknown): void
}

interface Place extends TopicPartition {
  offset: number
  /** Grows with each seek: what was fetched for an earlier place is dropped. */
  epoch: number
  paused: boolean
  /** Not fetched: no position yet, or stopped until the next seek. */
  idle: boolean
  /** In a request that is under way, or waiting for metadata: never in two, though its leader moves. */
  busy: boolean
  corrupt: number
  /** No answer of use has come, and that was told. */
  troubled: boolean
}

const log = createLog('kafka')

/**
 * Fetches the partitions of one membership, one request at a time from each leader, and sends the next one as soon as the
 * last was delivered: the work on batches and the next fetch overlap. Nothing is fetched that was not asked for by `seek`.
 */
export class Fetcher {
  readonly #cluster: Cluster
  readonly #options: FetchOptions
  readonly #sink: FetchSink
  readonly #places: Map<string, Place>
  readonly #busy = new Set<string>()
  #running = false
  #stopped = false

  constructor(cluster: Cluster, partitions: readonly TopicPartition[], options: FetchOptions, sink: FetchSink) {
    this.#cluster = cluster
    this.#options = options
    this.#sink = sink
    const fresh = { offset: -1, epoch: 0, paused: false, idle: true, busy: false, corrupt: 0, troubled: false }
    this.#places = new Map(partitions.map((at) => [keyOf(at), { ...at, ...fresh }]))
  }

  seek(at: TopicPartition, offset: number): void {
    const place = this.#place(at)
    Object.assign(place, { offset, epoch: place.epoch + 1, idle: false, corrupt: 0 })
    this.#pump()
  }

  pause(partitions: readonly TopicPartition[]): void {
    for (const at of partitions) this.#place(at).paused = true
  }

  resume(partitions: readonly TopicPartition[]): void {
    for (const at of partitions) this.#place(at).paused = false
    this.#pump()
  }

  start(): void {
    this.#running = true
    this.#pump()
  }

  /** Nothing is delivered any more, not even what is under way. */
  stop(): void {
    this.#stopped = true
  }

  #place(at: TopicPartition): Place {
    const place = this.#places.get(keyOf(at))
    if (place) return place
    throw new RangeError(`${keyOf(at)} is not assigned to this membership`)
  }

  #pump(): void {
    if (!this.#running || this.#stopped) return
    const ready = [...this.#places.values()].filter(({ idle, paused, busy }) => !idle && !paused && !busy)
    for (const [leader, places] of Map.groupBy(ready, (place) => this.#leaderOf(place))) {
      if (this.#busy.has(leader)) continue
      this.#busy.add(leader)
      for (const place of places) place.busy = true
      void this.#fetchFrom(leader, places).then((later) => {
        this.#busy.delete(leader)
        for (const place of places) place.busy = later.includes(place)
        if (later.length > 0) void this.#refresh(later)
        this.#pump()
      })
    }
  }

  /** The leader's node id; empty while it is unknown. */
  #leaderOf({ topic, partition }: Place): string {
    try {
      return Object.keys(this.#cluster.findLeaderForPartitions(topic, [partition]))[0] ?? ''
    } catch {
      return ''
    }
  }

  /** Gives back those whose leader must be looked for again, while the others go on. */
  async #fetchFrom(leader: string, places: readonly Place[]): Promise<readonly Place[]> {
    if (leader === '') return this.#tell(places, 'they have no leader')
    try {
      const broker = await this.#cluster.findBroker({ nodeId: leader })
      const asked = new Map(places.map((place) => [keyOf(place), { place, epoch: place.epoch }]))
      const later: Place[] = []
      const answers = await this.#send(broker, places)
      for (const answer of answers) {
        const ask = asked.get(keyOf(answer))
        if (!ask || ask.place.epoch !== ask.epoch || this.#stopped) continue
        if (answer.errorCode === UNKNOWN_TOPIC) {
          this.#sink.failed(unknownTopic([answer.topic]))
          return later
        }
        if (LEADER_MOVED.has(answer.errorCode)) {
          later.push(ask.place)
          continue
        }
        ask.place.troubled = false
        await this.#take(ask.place, answer)
      }
      answers[0]?.memory.release() // its batches hold it from here on
      return this.#tell(later, 'their leader has moved, or failed')
    } catch (thrown) {
      const error = kafkaError(thrown)
      if (error.kind === 'unauthorized' || isDefect(thrown)) this.#sink.failed(thrown)
      return this.#tell(places, error.message)
    }
  }

  /** Once for each partition, until it is answered again. */
  #tell(places: readonly Place[], why: string): readonly Place[] {
    const fresh = places.filter(({ troubled }) => !troubled)
    for (const place of fresh) place.troubled = true
    if (fresh.length > 0 && !this.#stopped)
      log.warn({ partitions: fresh.map(keyOf) }, `not fetched for now, trying again: ${why}`)
    return places
  }

  async #send(broker: Broker, places: readonly Place[]): Promise<FetchedPartition[]> {
    const { fetchBytes, fetchWaitMs } = this.#options
    const paused = [...this.#places.values()].some((place) => place.paused)
    // What waits grows with the partitions: of many, each is asked for less.
    const maxBytes = Math.min(fetchBytes, (2 * FETCH_BYTES_MAX) / this.#places.size)
    const create = broker.lookupRequest(FETCH_KEY, protocol.requests.Fetch)
    const made = create({
      isolationLevel: READ_COMMITTED,
      maxWaitTime: paused ? Math.min(fetchWaitMs, PAUSED_WAIT_MS_MAX) : fetchWaitMs,
      minBytes: 1,
      maxBytes: FETCH_BYTES_MAX,
      // The broker fills the answer in this order: who was served last stands first the next time.
      topics: byTopic(rotate(places), ({ partition, offset }) => ({
        partition,
        fetchOffset: `${offset}`,
        maxBytes: Math.ceil(maxBytes),
      })),
      rackId: '',
    })
    return (await broker.connectionPool.send(withOwnDecoder(made))) as FetchedPartition[]
  }

  async #take(place: Place, answer: FetchedPartition): Promise<void> {
    const { errorCode } = answer
    if (errorCode === OFFSET_OUT_OF_RANGE) return this.#outOfRange(place)
    if (errorCode !== 0) return this.#stop(place, { kind: 'refused', message: `Kafka's error ${errorCode}` })
    const { epoch } = place
    for (const range of this.#read(place, answer)) {
      place.offset = range.lastOffset + 1
      this.#sink.batch(range)
      if (this.#stopped || place.epoch !== epoch) return // the handler sought, or ended the membership
    }
  }

  #read(place: Place, answer: FetchedPartition): FetchedBatch[] {
    try {
      const ranges = readRanges(answer, place.offset)
      place.corrupt = 0
      return ranges
    } catch (thrown) {
      if (isDefect(thrown)) throw thrown
      const error = kafkaError(thrown)
      if (++place.corrupt >= CORRUPT_TRIES_MAX) this.#stop(place, { kind: 'corrupt', message: error.message })
      return []
    }
  }

  async #outOfRange(place: Place): Promise<void> {
    const { epoch, offset } = place
    const [{ start, end } = { start: -1, end: -1 }] = await bothEnds(this.#cluster, [place])
    if (this.#stopped || place.epoch !== epoch) return
    // Within the range: the leader that was asked had not caught up. It is asked again.
    if (offset < start || offset > end) this.#stop(place, { kind: 'out-of-range', start, end })
  }

  #stop(place: Place, why: StopReason): void {
    place.idle = true
    const { topic, partition, offset } = place
    this.#sink.stopped({ topic, partition, offset, ...why })
  }

  async #refresh(places: readonly Place[]): Promise<void> {
    await delay(RETRY_AFTER_MS)
    if (this.#stopped) return
    await this.#cluster.refreshMetadata().catch((thrown: unknown) => {
      if (isDefect(thrown)) this.#sink.failed(thrown)
    })
    for (const place of places) place.busy = false
    this.#pump()
  }
}

let turn = 0

function rotate<T>(items: readonly T[]): T[] {
  const first = turn++ % items.length
  return [...items.slice(first), ...items.slice(0, first)]
}

/**
 * The fetch seam: kafkajs's own request, read by our decoder. kafkajs's connection takes a request together with what reads its
 * answer, so nothing has to be replaced: kafkajs still makes the request, sends it, and matches the answer to it.
 */
function withOwnDecoder(made: ProtocolRequest): ProtocolRequest {
  const version = made.request.apiVersion
  if (version < FETCH_VERSION_MIN)
    throw new KafkaError('refused', 'UNSUPPORTED_VERSION', 'Kafka 0.11 or later is needed')
  const decode = async (payload: Buffer) => {
    const { throttleMs, partitions } = decodeFetch(payload, version)
    return { clientSideThrottleTime: throttleMs, partitions }
  }
  const parse = async (decoded: unknown) => (decoded as { partitions: FetchedPartition[] }).partitions
  return { ...made, response: { decode, parse } }
}
