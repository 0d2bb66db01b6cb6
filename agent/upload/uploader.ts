import { setTimeout as delay } from 'node:timers/promises'
import { type Bucket, chunkName, encodeMetadata, type Ranges } from '../../shared/chunks/index.ts'
import type { Route } from '../../shared/config/index.ts'
import { messageOf } from '../../shared/errors.ts'
import type { Followed, Follower } from '../follow/index.ts'
import type { Decision, Entry } from '../publish/index.ts'
import { type Chunk, chunkOf, OwnChunks } from './chunks.ts'
import { Decider, type Files } from './decider.ts'
import { compressed, type Measure, measure } from './measure.ts'
import { removeFile } from './remove-file.ts'

export interface UploaderOptions {
  readonly agent: string
  readonly routes: ReadonlyMap<string, Route>
  /** Between two rounds. */
  readonly everyMs: number
  readonly finishAfterMs: number
  readonly handoverAfterMs: number
  readonly afterUpload: 'keep' | 'delete'
  readonly report: (about: string, message: string) => void
}

/** The publisher, as far as it matters here. */
export interface InTouch {
  /** The former lives are fenced and the positions read. */
  readonly inTouch: boolean
  canUse(topic: string): boolean
  entries(): readonly { topic: string; entry: Entry }[]
  decide(decision: Decision): Promise<boolean>
}

/** Rounds in which nothing was seen of a source's file before it counts as gone: one look may miss a file that is just renamed. */
const GONE_ROUNDS = 3

/**
 * Brings finished sources to the bucket, decides with Kafka who carries them, and retires what is done
 * (docs/protocols/agent-positions.md, "Chunks and hand-over"). Works in rounds, one file at a time.
 */
export class Uploader {
  readonly counts = { chunks: 0, bytes: 0 }
  readonly #bucket: Bucket | undefined
  readonly #follower: Follower
  readonly #publisher: InTouch | undefined
  readonly #options: UploaderOptions
  #chunks: OwnChunks | undefined
  #decider: Decider | undefined
  /** The list was read by one who was in touch: what former lives have handed over is on it. */
  #listIsFinal = false
  /** Files that were dealt with, as they were then. */
  readonly #done = new Map<string, string>()
  #rounds = 0
  /** The round in which a source's file was first missed. */
  readonly #missedSince = new Map<string, number>()

  constructor(
    bucket: Bucket | undefined,
    follower: Follower,
    publisher: InTouch | undefined,
    options: UploaderOptions,
  ) {
    this.#bucket = bucket
    this.#follower = follower
    this.#publisher = publisher
    this.#options = options
  }

  get undecided(): number {
    return this.#chunks?.undecided.length ?? 0
  }

  chunksOf(source: string): readonly Chunk[] {
    return this.#chunks?.of(source) ?? []
  }

  /** A chunk has all of it, and it has been finished for so long that nothing more of it is published. */
  takesOver({ source, file }: Followed): boolean {
    return (
      this.#isOverdue(file.changedAtMs) &&
      this.chunksOf(source.id).some(({ metadata }) => metadata.ranges === 'undecided')
    )
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#follower.lookIfOlderThan(this.#options.everyMs)
        await this.round(signal)
        this.#options.report('bucket', '')
      } catch (error) {
        this.#options.report('bucket', `chunks wait, the bucket cannot be used: ${messageOf(error)}`)
      }
      await delay(this.#options.everyMs, undefined, { signal }).catch(() => undefined)
    }
  }

  /** Everything that can be done now. Rejects when the bucket fails; then the next round goes on. */
  async round(signal: AbortSignal): Promise<void> {
    this.#rounds++
    if (this.#bucket) {
      const chunks = await this.#list(this.#bucket)
      for (const followed of this.#follower.rotations().flat()) {
        if (signal.aborted) return
        await this.#upload(this.#bucket, chunks, followed).catch(unlessGone)
      }
      for (const chunk of chunks.undecided) await this.#decider?.decide(chunk)
    }
    for (const followed of [...this.#follower.sources.values()]) this.#letGo(followed)
    if (this.#publisher?.inTouch) this.#retire(this.#publisher)
  }

  /** Read at the start, and again when in touch for the first time: then no former life can hand over anything more. */
  async #list(bucket: Bucket): Promise<OwnChunks> {
    const inTouch = this.#publisher?.inTouch ?? false
    if (this.#chunks && (this.#listIsFinal || !inTouch)) return this.#chunks
    const { agent, routes } = this.#options
    const chunks = await OwnChunks.list(bucket, agent, routes.keys(), (source) => this.#follower.sources.has(source))
    this.#listIsFinal = inTouch
    this.#chunks = chunks
    if (this.#publisher) this.#decider = this.#openDecider(bucket, chunks, this.#publisher)
    return chunks
  }

  #openDecider(bucket: Bucket, chunks: OwnChunks, publisher: InTouch): Decider {
    const follower = this.#follower
    const { agent, routes } = this.#options
    const positions = {
      canUse: (topic: string) => this.#listIsFinal && publisher.canUse(topic),
      entries: () => follower.entries,
      entry: (source: string) => follower.entry(source),
      decide: (decision: Decision) => publisher.decide(decision),
    }
    const files: Files = {
      isPublishable: (source) => this.#isPublishable(source),
      get sources() {
        return follower.sources.keys()
      },
      hint: (source) => follower.sources.get(source)?.file.hint ?? 0,
      sizeCarried: (chunk) => this.#sizeCarried(chunk),
    }
    return new Decider(bucket, chunks, positions, files, { agent, topicOf: (route) => routes.get(route)?.topic })
  }

  #isPublishable(source: string): boolean {
    const followed = this.#follower.sources.get(source)
    return followed ? !this.takesOver(followed) : !this.#isMissedForRounds(source)
  }

  #isMissedForRounds(source: string): boolean {
    if (this.#follower.sources.has(source)) {
      this.#missedSince.delete(source)
      return false
    }
    const since = this.#missedSince.get(source) ?? this.#rounds
    this.#missedSince.set(source, since)
    return this.#rounds - since >= GONE_ROUNDS - 1
  }

  #topic({ log }: Followed): string | undefined {
    return this.#publisher && this.#options.routes.get(log.route)?.topic
  }

  /** Uploads what no chunk has yet of a source that is finished. */
  async #upload(bucket: Bucket, chunks: OwnChunks, followed: Followed): Promise<void> {
    const { source, file } = followed
    const state = stateOf(followed)
    if (this.#done.get(source.id) === state || !this.#follower.isFinishable(followed, Date.now())) return
    const carried = this.#carried(followed)
    if (carried === 'not yet') return
    const entry = this.#follower.entry(source.id)
    const start = chunks.endOf(source.id) ?? entry?.start ?? 0
    const limit = carried === 'by Kafka' ? source.progress.position : Infinity
    if (limit <= start) return void this.#done.set(source.id, state)
    const reader = file.open()
    try {
      const measured = await measure(reader, source.framing, start, limit)
      if (measured.events > 0) {
        const size = carried === 'by Kafka' ? limit : measured.size
        const object = this.#describe(followed, chunks.nextPart(source.id), {
          start,
          size,
          ranges: rangesOf(carried, start, size),
          events: measured.events,
          crc32c: measured.crc32c,
        })
        const answer = await bucket.upload(object.name, compressed(reader, start, measured), object.metadata)
        const chunk = chunkOf(answer.object)
        if (!chunk) throw new Error(`${object.name} is no chunk of an agent`)
        chunks.put(chunk)
        if (answer.kind === 'exists' && !isSame(chunk, measured, start)) return
        if (this.#listIsFinal) this.#decider?.trust(chunk)
        this.counts.chunks++
        this.counts.bytes += measured.end - start
      }
      this.#done.set(source.id, state)
    } finally {
      reader.close()
    }
  }

  /** Who carries the source, as far as that can be said now. */
  #carried(followed: Followed): Carried | 'not yet' {
    const topic = this.#topic(followed)
    if (topic === undefined) return 'by chunk'
    const { source, file } = followed
    if (source.finished && this.#follower.entry(source.id)?.size === source.progress.position) return 'by Kafka'
    return this.#publisher!.canUse(topic) && !this.#isOverdue(file.changedAtMs) ? 'not yet' : 'undecided'
  }

  #isOverdue(changedAtMs: number): boolean {
    return Date.now() - changedAtMs > this.#options.finishAfterMs + this.#options.handoverAfterMs
  }

  #describe(
    { source, log }: Followed,
    part: number,
    about: Pick<Chunk['metadata'], 'start' | 'size' | 'ranges' | 'events' | 'crc32c'>,
  ) {
    const { agent } = this.#options
    const { format, framing, name: route } = this.#options.routes.get(log.route)!
    const { id, path, firstReadMs } = source
    return {
      name: chunkName({ route, firstReadMs, agent, source: id, part, format }),
      metadata: encodeMetadata({ route, format, framing, agent, path, source: id, ...about }),
    }
  }

  /** Kafka may have carried blank bytes behind the last event too; then the source ends behind them. */
  async #sizeCarried({ metadata }: Chunk): Promise<number> {
    const { source, start, size, crc32c } = metadata
    const followed = this.#follower.sources.get(source)
    const end = this.#follower.entry(source)?.position ?? size
    if (!followed || end <= size) return size
    const reader = followed.file.open()
    try {
      const measured = await measure(reader, followed.source.framing, start, Infinity)
      return measured.size === size && measured.crc32c === crc32c && end <= measured.end ? end : size
    } finally {
      reader.close()
    }
  }

  /** What is finished, in the bucket and decided needs no descriptor any more, and perhaps no file. */
  #letGo(followed: Followed): void {
    const { source, file } = followed
    if (!this.#isSettled(followed)) return
    source.finished = true
    source.release()
    if (this.#bucket && this.#options.afterUpload === 'delete' && file.missed === 0 && !file.newest)
      removeFile(followed, this.#options.report)
    if (file.missed > 0) this.#follower.drop(followed)
    else file.close()
  }

  #isSettled(followed: Followed): boolean {
    const { source } = followed
    if (this.#bucket && this.#done.get(source.id) !== stateOf(followed)) return false
    if (this.chunksOf(source.id).some(({ metadata }) => metadata.ranges === 'undecided')) return false
    if (this.#topic(followed) === undefined) return this.#bucket !== undefined
    return source.finished && this.#follower.entry(source.id)?.size === source.progress.position
  }

  /** Positions of sources whose file is gone, and whose chunks are decided. */
  #retire(publisher: InTouch): void {
    for (const { topic, entry } of publisher.entries()) {
      const { source } = entry
      if (entry.retired || this.chunksOf(source).some(({ metadata }) => metadata.ranges === 'undecided')) continue
      if (!this.#isLookedFor(topic)) this.#missedSince.delete(source)
      else if (this.#isMissedForRounds(source)) {
        this.#missedSince.delete(source)
        this.#chunks?.forget(source)
        this.#done.delete(source)
        void publisher.decide({ source, topic, change: (now) => now && { ...now, retired: true } })
      }
    }
  }

  /** Every folder with files of this topic could be read. */
  #isLookedFor(topic: string): boolean {
    const routes = [...this.#options.routes.values()].filter((route) => route.topic === topic)
    return routes.every(({ name }) => this.#follower.completeRoutes.has(name))
  }
}

type Carried = 'by Kafka' | 'by chunk' | 'undecided'

function rangesOf(carried: Carried, start: number, size: number): Ranges {
  if (carried === 'undecided') return carried
  return carried === 'by Kafka' ? [] : [[start, size]]
}

/** Changes when there is something new to upload. */
function stateOf({ source, file }: Followed): string {
  return `${file.key} ${file.seen.size} ${file.seen.mtimeMs} ${source.finished}`
}

function isSame(chunk: Chunk, measured: Measure, start: number): boolean {
  return chunk.metadata.start === start && chunk.metadata.crc32c === measured.crc32c
}

/** A file that was renamed or deleted since the last look is found, or missed, by the next one. */
function unlessGone(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
}
