import { adoptChunks } from '../../../agent/adopt.ts'
import { Follower, LogPattern } from '../../../agent/follow/index.ts'
import { type HostLock, type PositionsStore, Publisher, Waker } from '../../../agent/publish/index.ts'
import { Uploader } from '../../../agent/upload/index.ts'
import type { Bucket } from '../../../shared/chunks/index.ts'
import { type AgentConfig, parseConfig } from '../../../shared/config/index.ts'

export const AGENT = 'a'
export const ROUTE = 'lines'
export const TOPIC = 't'
export const FINISH_AFTER_MS = 1_000
export const HANDOVER_AFTER_MS = 20_000

const CONFIG = parseConfig(
  `{ project: p, dataset: d, bucket: bkt, kafka: { brokers: ["k:1"] },
     routes: { ${ROUTE}: { topic: ${TOPIC}, format: raw, table: lines } } }`,
  '/millrace.yaml',
)
const MAX_EVENT_BYTES = 8192

/** What a life asks of the world. */
export interface Surroundings {
  readonly path: string
  readonly deleteAfterUpload: boolean
  /** Retired entries that Kafka keeps. */
  readonly retiredMax: number | undefined
  readonly store: PositionsStore
  readonly bucket: Bucket
  /** Marks of the host, which survive a life. */
  readonly marks: Map<string, { state: 'starting' | 'started'; sinceMs: number }>
  /** The publisher has nothing to do, or pauses after an error. */
  idle(): Promise<void>
}

/** One process: the untouched follower, publisher and uploader, put together as agent/main.ts does. */
export class Life {
  /** The publisher has ended by itself: it was fenced. */
  ended = false
  /** A round of the uploader is under way, and waits for nothing but itself. */
  isBusy = false
  readonly #stop = new AbortController()
  readonly #follower: Follower
  readonly #publisher: Publisher
  readonly #uploader: Uploader
  #round: Promise<void> | undefined

  constructor({ path, deleteAfterUpload, retiredMax, store, bucket, marks, idle }: Surroundings) {
    const framing = { kind: 'lines', maxEventBytes: MAX_EVENT_BYTES } as const
    const agent: AgentConfig = {
      ...CONFIG.agent,
      id: AGENT,
      linger: 0,
      poll_interval: 1,
      batch_bytes: 0,
      max_event_bytes: MAX_EVENT_BYTES,
      compression: 'none',
      finish_after: FINISH_AFTER_MS,
      handover_after: HANDOVER_AFTER_MS,
      after_upload: deleteAfterUpload ? 'delete' : 'keep',
    }
    this.#follower = new Follower({
      agent,
      logs: [{ pattern: new LogPattern(path), route: ROUTE, framing, complete: false }],
      report: () => undefined,
    })
    const waker = new Waker()
    waker.wait = idle
    waker.pause = idle
    const lock = {
      mark: (topic: string) => marks.get(topic),
      setMark: (topic: string, state: 'starting' | 'started', sinceMs: number) => marks.set(topic, { state, sinceMs }),
    } as unknown as HostLock
    this.#publisher = new Publisher({
      store,
      follower: this.#follower,
      lock,
      waker,
      agent,
      topicOf: () => TOPIC,
      topics: [TOPIC],
      retiredMax,
      // This Kafka forgets nothing: without a position nothing was ever published, and the operator says so.
      from: { new: 'start', forgotten: 'start' },
      leaves: (followed) => this.#uploader.takesOver(followed),
      report: () => undefined,
    })
    const publisher = this.#publisher
    const inTouch = {
      get session() {
        return publisher.session
      },
      decide: async (decision: Parameters<Publisher['decide']>[0]) => {
        const after = decision.change(this.#follower.entry(decision.source))
        if (after?.retired) return publisher.decide(decision) // nobody waits for it
        this.isBusy = false
        const done = await publisher.decide(decision)
        this.isBusy = this.#round !== undefined
        return done
      },
    }
    this.#uploader = new Uploader({
      bucket,
      follower: this.#follower,
      publisher: inTouch,
      agent,
      routes: new Map([[ROUTE, CONFIG.routes[ROUTE]!]]),
      report: () => undefined,
    })
    void this.#publisher.run(this.#stop.signal).catch(() => {
      this.ended = true
      this.#stop.abort()
    })
  }

  get canBeginRound(): boolean {
    return this.#round === undefined && !this.ended
  }

  get canBeClosed(): boolean {
    return this.#round === undefined
  }

  beginRound(): void {
    this.isBusy = true
    const round = async () => {
      await this.#follower.look()
      await this.#uploader.round(this.#stop.signal)
    }
    this.#round = round()
      .catch(() => undefined)
      .finally(() => {
        this.#round = undefined
        this.isBusy = false
      })
  }

  close(): void {
    this.#follower.close()
  }
}

/** `millrace adopt`, untouched. `isBlank`: nothing was ever published, and the operator says so. */
export async function adopt(store: PositionsStore, bucket: Bucket, isBlank: boolean): Promise<void> {
  const from = isBlank ? 'start' : undefined
  await adoptChunks(store, bucket, CONFIG, AGENT, { from, report: () => undefined })
}
