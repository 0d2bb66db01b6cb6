import { linkSync, renameSync, statSync, unlinkSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import {
  type Bucket,
  chunkName,
  encodeMetadata,
  encodeRanges,
  RANGES_KEY,
  type Range,
} from '../../shared/chunks/index.ts'
import type { Route } from '../../shared/config/index.ts'
import { messageOf } from '../../shared/errors.ts'
import type { Followed, Follower } from '../follow/index.ts'
import type { Entry, Publisher } from '../publish/index.ts'
import { type Chunk, chunkOf, fingerprintOf, OwnChunks } from './chunks.ts'
import { handOver, judge } from './decide.ts'
import { compressed, type Measure, measure } from './measure.ts'

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

/** Rounds in which nothing was seen of a source's file before its position retires. */
const GONE_ROUNDS = 3

/**
 * Brings finished sources to the bucket, decides with Kafka who carries them, and retires what is done
 * (docs/protocols/agent-positions.md, "Chunks and hand-over"). Works in rounds, one file at a time.
 */
export class Uploader {
  readonly counts = { chunks: 0, bytes: 0 }
  readonly #bucket: Bucket | undefined
  readonly #follower: Follower
  readonly #publisher: Publisher | undefined
  readonly #options: UploaderOptions
  #chunks: OwnChunks | undefined
  /** Files that were dealt with, as they were then. */
  readonly #done = new Map<string, string>()
  /** Rounds since a source's file was last seen: of sources with an undecided chunk, and of positions that may retire. */
  readonly #undecidedGone = new Map<string, number>()
  readonly #positionGone = new Map<string, number>()

  constructor(
    bucket: Bucket | undefined,
    follower: Follower,
    publisher: Publisher | undefined,
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
        await this.#round(signal)
        this.#options.report('bucket', '')
      } catch (error) {
        this.#options.report('bucket', `chunks wait, the bucket cannot be used: ${messageOf(error)}`)
      }
      await delay(this.#options.everyMs, undefined, { signal }).catch(() => undefined)
    }
  }

  async #round(signal: AbortSignal): Promise<void> {
    if (this.#bucket) {
      this.#chunks ??= await this.#list(this.#bucket)
      for (const followed of this.#follower.rotations().flat()) {
        if (signal.aborted) return
        await this.#upload(this.#bucket, this.#chunks, followed).catch(unlessGone)
      }
      for (const chunk of this.#chunks.undecided) await this.#decide(this.#bucket, this.#chunks, chunk)
    }
    for (const followed of [...this.#follower.sources.values()]) this.#letGo(followed)
    if (this.#publisher?.inTouch) await this.#retire(this.#publisher)
  }

  #list(bucket: Bucket): Promise<OwnChunks> {
    const { agent, routes } = this.#options
    return OwnChunks.list(bucket, agent, routes.keys(), (source) => this.#follower.sources.has(source))
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
        const ranges = {
          'by Kafka': [] as Range[],
          undecided: 'undecided' as const,
          'by chunk': [[start, size] as Range],
        }
        const about = { start, size, ranges: ranges[carried], events: measured.events, crc32c: measured.crc32c }
        const part = (chunks.of(source.id).at(-1)?.part ?? -1) + 1
        const object = this.#describe(followed, part, about)
        const answer = await bucket.upload(object.name, compressed(reader, start, measured), object.metadata)
        const chunk = chunkOf(answer.object)
        if (!chunk) throw new Error(`${object.name} is no chunk of an agent`)
        chunks.put(chunk)
        if (answer.kind === 'exists' && !isSame(chunk, measured, start)) return
        this.counts.chunks++
        this.counts.bytes += measured.end - start
      }
      this.#done.set(source.id, state)
    } finally {
      reader.close()
    }
  }

  /** Who carries the source, as far as that can be said now. */
  #carried(followed: Followed): 'by Kafka' | 'by chunk' | 'undecided' | 'not yet' {
    const topic = this.#topic(followed)
    if (topic === undefined) return 'by chunk'
    const { source, file } = followed
    const entry = this.#follower.entry(source.id)
    if (this.#publisher!.canUse(topic)) {
      const published = source.finished && entry?.size === source.progress.position
      if (published) return 'by Kafka'
      return this.#isOverdue(file.changedAtMs) ? 'undecided' : 'not yet'
    }
    return source.finished && entry?.size === source.progress.position ? 'by Kafka' : 'undecided'
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
    const metadata = encodeMetadata({
      route,
      format,
      framing,
      agent,
      path: source.path,
      source: source.id,
      ...about,
    })
    return {
      name: chunkName({ route, firstReadMs: source.firstReadMs, agent, source: source.id, part, format }),
      metadata,
    }
  }

  /** Decides in Kafka who carries an undecided chunk, and notes it in the object. */
  async #decide(bucket: Bucket, chunks: OwnChunks, chunk: Chunk): Promise<void> {
    const { source: id, route } = chunk.metadata
    const topic = this.#options.routes.get(route)?.topic
    const publisher = this.#publisher
    if (!publisher || topic === undefined || !publisher.canUse(topic)) return
    const followed = this.#follower.sources.get(id)
    if (followed) this.#undecidedGone.delete(id)
    const publishable = followed !== undefined ? !this.takesOver(followed) : !isGoneForRounds(this.#undecidedGone, id)
    const verdict = judge(chunk.metadata, this.#follower.entry(id), publishable)
    if (verdict.do === 'patch') await this.#patch(bucket, chunks, chunk, verdict.ranges, followed)
    if (verdict.do === 'hand-over') await this.#handOver(publisher, topic, chunk, bucket, chunks)
  }

  async #handOver(publisher: Publisher, topic: string, chunk: Chunk, bucket: Bucket, chunks: OwnChunks): Promise<void> {
    const { source, size } = chunk.metadata
    const end = chunks.endOf(source) ?? size
    const file = this.#follower.sources.get(source)?.file.hint ?? 0
    // From the bucket, not from the file: that may be gone, or another one by now.
    const fingerprint = await fingerprintOf(bucket, chunks.of(source), end)
    await publisher.decide({
      source,
      topic,
      change: (before) => handOver(source, before, end, { ...fingerprint, file }) ?? before,
    })
  }

  async #patch(
    bucket: Bucket,
    chunks: OwnChunks,
    chunk: Chunk,
    ranges: readonly Range[],
    followed: Followed | undefined,
  ) {
    const size = ranges.length === 0 ? await this.#sizeCarried(chunk, followed) : chunk.metadata.size
    const changes = { [RANGES_KEY]: encodeRanges(ranges), 'millrace-size': String(size) }
    const answer = await bucket.patch(chunk.object, changes)
    const object = answer.kind === 'patched' ? answer.object : await bucket.stat(chunk.object.name)
    const patched = object && chunkOf(object)
    if (patched) chunks.put(patched)
    else chunks.forget(chunk.metadata.source)
  }

  /** Kafka may have carried blank bytes behind the last event too; then the source ends behind them. */
  async #sizeCarried(chunk: Chunk, followed: Followed | undefined): Promise<number> {
    const { source, start, size, crc32c } = chunk.metadata
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
  async #retire(publisher: Publisher): Promise<void> {
    for (const { topic, entry } of publisher.entries()) {
      if (!this.#isGone(topic, entry)) {
        this.#positionGone.delete(entry.source)
        continue
      }
      if (!isGoneForRounds(this.#positionGone, entry.source)) continue
      this.#positionGone.delete(entry.source)
      this.#chunks?.forget(entry.source)
      this.#done.delete(entry.source)
      void publisher.decide({ source: entry.source, topic, change: (now) => now && { ...now, retired: true } })
    }
  }

  #isGone(topic: string, entry: Entry): boolean {
    if (entry.retired || this.#follower.sources.has(entry.source)) return false
    if (this.chunksOf(entry.source).some(({ metadata }) => metadata.ranges === 'undecided')) return false
    const routes = [...this.#options.routes.values()].filter((route) => route.topic === topic)
    return routes.every(({ name }) => this.#follower.completeRoutes.has(name))
  }
}

/** One look may miss a file that is renamed at that moment: only several say that it is gone. */
function isGoneForRounds(rounds: Map<string, number>, source: string): boolean {
  const count = (rounds.get(source) ?? 0) + 1
  rounds.set(source, count)
  return count >= GONE_ROUNDS
}

/** Changes when there is something new to upload. */
function stateOf({ source, file }: Followed): string {
  return `${file.key} ${file.seen.size} ${file.seen.mtimeMs} ${source.finished}`
}

function isSame(chunk: Chunk, measured: Measure, start: number): boolean {
  return chunk.metadata.start === start && chunk.metadata.crc32c === measured.crc32c
}

/** A rotation may give the name to another file at any moment: so the name is taken away first, then looked at. */
function removeFile({ file }: Followed, report: UploaderOptions['report']): void {
  const { path } = file.seen
  const aside = `${path}.millrace-deleting`
  try {
    renameSync(path, aside)
    if (statSync(aside).ino !== file.seen.ino) linkSync(aside, path)
    unlinkSync(aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    report(file.key, `${path} is uploaded, but cannot be deleted: ${messageOf(error)}`)
  }
}

/** A file that was renamed or deleted since the last look is found, or missed, by the next one. */
function unlessGone(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
}
