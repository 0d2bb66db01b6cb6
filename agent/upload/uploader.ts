import { setTimeout as delay } from 'node:timers/promises'
import { type Bucket, chunkName, encodeMetadata, type Ranges } from '../../shared/chunks/index.ts'
import type { AgentConfig, Route } from '../../shared/config/index.ts'
import { messageOf } from '../../shared/errors.ts'
import { framingName } from '../../shared/framing/index.ts'
import { type Followed, type Follower, type PlainReader, splitId } from '../follow/index.ts'
import type { Session } from '../publish/index.ts'
import { type Chunk, chunkOf, OwnChunks } from './chunks.ts'
import { type Authority, Decider } from './decider.ts'
import { provisionalName } from './decide.ts'
import { compressed, measureEvents } from './measure.ts'
import { Names } from './naming.ts'
import { removeFile } from './remove-file.ts'
import { SourceFiles } from './source-files.ts'

/** The publisher, as far as it matters here. */
export interface InTouch extends Pick<Authority, 'decide'> {
  /** Undefined: not in touch. In each session the former lives are fenced and the positions read. */
  readonly session: Pick<Session, 'topics' | 'entriesByTopic' | 'forgottenMs'> | undefined
}

/** What an uploader works with, and what it is told. */
export interface UploaderParts {
  /** Undefined: what is published retires when its file is gone. */
  readonly bucket: Bucket | undefined
  readonly follower: Follower
  /** Undefined: chunks carry all. */
  readonly publisher: InTouch | undefined
  readonly agent: Pick<AgentConfig, 'id' | 'finish_after' | 'handover_after' | 'after_upload'>
  readonly routes: ReadonlyMap<string, Route>
  /**
   * So long, in milliseconds, nothing says that a file is gone that this life has not seen: its volume may not be there yet,
   * or this may be another host, with an id that is not its own. Absent: at once.
   */
  readonly unseenMs?: number
  /** Sources that a life before this one followed: until they are seen again, nothing says that their files are gone. */
  readonly parked?: Set<string>
  readonly report: (about: string, message: string) => void
}

/** Between two rounds, at most. */
const ROUND_EVERY_MS = 1000
const LIST_EVERY_MS = 24 * 3_600_000
/** A file that could not be read whole is read again after this time, or when it has changed. */
const READ_AGAIN_AFTER_MS = 60_000

/**
 * Brings finished sources to the bucket, decides with Kafka who carries them, and retires what is done
 * (docs/protocols/agent-positions.md, "Chunks and hand-over"). Works in rounds, one file at a time.
 */
export class Uploader {
  readonly counts = { chunks: 0, bytes: 0 }
  readonly #with: UploaderParts
  #chunks: OwnChunks | undefined
  #decider: Decider | undefined
  /** When the list was read, in which session, and for which sources: what was handed over before, or uploaded of them, is on it. */
  #listed = { atMs: 0, session: undefined as object | undefined, sources: new Set<string>() }
  readonly #names: Names
  /** Files that were dealt with, as they were then. */
  readonly #done = new Map<string, string>()
  /** Files that could not be read, as they were then, and when they are tried again. */
  readonly #unread = new Map<string, { readonly state: string; readonly untilMs: number }>()
  readonly #files: SourceFiles
  /** Sources of Kafka's entries whose files this life has seen. */
  readonly #seen = new Set<string>()
  readonly #begunAtMs = performance.now()

  constructor(parts: UploaderParts) {
    this.#with = parts
    this.#names = new Names(parts.follower)
    this.#files = new SourceFiles(parts.follower, (followed) => this.takesOver(followed))
  }

  get undecided(): number {
    return this.#chunks?.undecided.length ?? 0
  }

  chunksOf(followed: Followed): readonly Chunk[] {
    return this.#chunks?.of(this.#names.of(followed)) ?? []
  }

  /** A chunk has all of it, and it has been finished for so long that nothing more of it is published. */
  takesOver(followed: Followed): boolean {
    return this.#isOverdue(followed) && this.#isUndecided(this.#names.of(followed))
  }

  #isUndecided(source: string): boolean {
    return this.#chunks?.of(source).some(({ metadata }) => metadata.ranges === 'undecided') ?? false
  }

  async run(signal: AbortSignal): Promise<void> {
    const everyMs = Math.min(ROUND_EVERY_MS, this.#with.agent.finish_after / 2)
    while (!signal.aborted) {
      try {
        await this.#with.follower.lookIfOlderThan(everyMs)
        await this.round(signal)
        this.#with.report('bucket', '')
      } catch (error) {
        this.#with.report('bucket', `chunks wait, the bucket cannot be used: ${messageOf(error)}`)
      }
      await delay(everyMs, undefined, { signal }).catch(() => undefined)
    }
  }

  /** Everything that can be done now. Rejects when the bucket fails; then the next round goes on. */
  async round(signal: AbortSignal): Promise<void> {
    this.#files.beginRound()
    let waits = false
    if (this.#with.bucket) {
      const chunks = await this.#list(this.#with.bucket)
      // Decisions first: they may tell that a file is in the bucket already.
      const undecided = chunks.undecided
      for (const chunk of undecided) waits = (await this.#decider?.decide(chunk)) || waits
      this.#reportUntold()
      for (const followed of this.#with.follower.rotations().flat()) {
        if (signal.aborted) return
        // Meanwhile it may have been found to be another source.
        if (this.#with.follower.sources.get(followed.source.id)?.source !== followed.source) continue
        await this.#upload(this.#with.bucket, chunks, followed, signal)
      }
      waits ||= chunks.undecided.some((chunk) => !undecided.includes(chunk))
    }
    for (const followed of [...this.#with.follower.sources.values()]) this.#letGo(followed)
    // What retires is forgotten some day, and then it cannot be told from what Kafka never knew.
    if (this.#with.publisher?.session && !waits) this.#retire(this.#with.publisher)
  }

  #reportUntold(): void {
    const [first, ...others] = this.#decider?.untold ?? []
    const { agent, report } = this.#with
    const which = `${first} and ${others.length} more stay undecided: nothing tells what Kafka has carried of them`
    report('undecided', first ? `${which}; millrace adopt ${agent.id} --from start|end says it` : '')
  }

  /**
   * Read at the start, again in each session (another life may have come between, and can hand over nothing more), and
   * daily: an upload of another life may still have come late. And when a file without a topic is found that is older than the
   * list, such as on a volume that was not there: a former life may have uploaded it, and no entry tells.
   */
  async #list(bucket: Bucket): Promise<OwnChunks> {
    const { agent, routes, publisher, follower } = this.#with
    const session = publisher?.session
    const { atMs, session: before, sources } = this.#listed
    const isOld = before !== session || Math.abs(Date.now() - atMs) > LIST_EVERY_MS
    const isUnasked = (followed: Followed) =>
      !sources.has(followed.source.id) && followed.file.changedAtMs < atMs && this.topicOf(followed) === undefined
    const isDue = (isOld && (session || !publisher)) || follower.sources.values().some(isUnasked)
    if (this.#chunks && !isDue) return this.#chunks
    const listed = { atMs: Date.now(), session, sources: new Set(follower.sources.keys()) }
    this.#chunks = await OwnChunks.list(bucket, agent.id, routes.keys(), listed.sources)
    this.#listed = listed
    if (publisher) this.#decider = this.#openDecider(bucket, this.#chunks, publisher)
    return this.#chunks
  }

  #openDecider(bucket: Bucket, chunks: OwnChunks, publisher: InTouch): Decider {
    const authority: Authority = {
      topicOf: (route) => {
        const topics = this.#listed.session === publisher.session ? publisher.session?.topics : undefined
        return topics?.find((topic) => topic === this.#with.routes.get(route)?.topic)
      },
      forgottenMs: (topic) => publisher.session?.forgottenMs(topic) ?? Infinity,
      decide: (decision) => publisher.decide(decision),
    }
    return new Decider({ bucket, chunks, authority, positions: this.#with.follower, files: this.#files })
  }

  /** Of its route; undefined: chunks alone carry it. */
  topicOf({ log }: Followed): string | undefined {
    return this.#with.publisher && this.#with.routes.get(log.route)?.topic
  }

  /** Uploads what no chunk has yet of a source that is finished. */
  async #upload(bucket: Bucket, chunks: OwnChunks, followed: Followed, signal: AbortSignal): Promise<void> {
    const { source } = followed
    const state = stateOf(followed)
    if (this.#done.get(source.id) === state || !this.#with.follower.isFinishable(followed, Date.now())) return
    const unread = this.#unread.get(source.id)
    if (unread?.state === state && Date.now() < unread.untilMs) return
    const carried = this.#carried(followed)
    if (carried === 'not yet' || this.#isUndecided(this.#names.given(followed) ?? '')) return
    const found = await this.#read(chunks, followed, carried)
    if (!found) return
    const { reader, known, start, measured } = found
    try {
      // At the end the files are closed: what is read now may be another one's bytes. (What is uploaded is compared with what was measured.)
      if (measured && !signal.aborted) {
        const name = known ?? provisionalName(source.id, measured.crc32c)
        this.#names.give(followed, name)
        if (known === undefined && chunks.of(name).length > 0) return void this.#done.set(source.id, state)
        const { end: size, events, crc32c } = measured
        const ranges = rangesOf(carried, start, size)
        const metadata = { ...this.#describe(followed), source: name, start, size, events, ranges, crc32c }
        const object = chunkName({ ...metadata, firstReadMs: source.firstReadMs, part: chunks.nextPart(name) })
        const answer = await bucket.upload(object, compressed(reader, start, measured), encodeMetadata(metadata))
        const chunk = chunkOf(answer.object)
        if (!chunk) throw new Error(`${object} is no chunk of an agent`)
        chunks.put(chunk)
        const isSame = chunk.metadata.start === start && chunk.metadata.crc32c === crc32c
        if (answer.kind === 'exists' && !isSame) return
        this.counts.chunks++
        this.counts.bytes += chunk.object.size
      }
      this.#done.set(source.id, state)
    } finally {
      reader.close()
    }
  }

  /** What is to be uploaded of a file. Undefined when it cannot be read, such as a compressed one that was cut off: the others go on. */
  async #read(chunks: OwnChunks, followed: Followed, carried: Carried) {
    const { source, file } = followed
    let reader: PlainReader | undefined
    try {
      reader = file.open()
      const known = await this.#names.known(chunks, followed, reader, this.topicOf(followed) !== undefined)
      const start = chunks.endOf(known ?? '') ?? this.#with.follower.entry(source.id)?.start ?? 0
      const limit = carried === 'by Kafka' ? source.progress.position : Infinity
      const measured = await measureEvents(reader, source.framing, start, limit)
      this.#unread.delete(source.id)
      this.#with.report(file.key, '')
      return { reader, known, start, measured }
    } catch (error) {
      reader?.close()
      // Renamed or deleted since the last look: the next one finds it, or misses it.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      this.#unread.set(source.id, { state: stateOf(followed), untilMs: Date.now() + READ_AGAIN_AFTER_MS })
      this.#with.report(file.key, `${file.seen.path} is not uploaded: ${messageOf(error)}`)
      return undefined
    }
  }

  /** Who carries the source, as far as that can be said now. */
  #carried(followed: Followed): Carried | 'not yet' {
    const topic = this.topicOf(followed)
    if (topic === undefined) return 'by chunk'
    if (this.#isCarried(followed)) return 'by Kafka'
    const isPublished = this.#with.publisher?.session?.topics.includes(topic) && !this.#isOverdue(followed)
    return isPublished ? 'not yet' : 'undecided'
  }

  /** Whole: a line that came late, perhaps while no agent ran, is still to be published behind the end of a finished source. */
  #isCarried({ source }: Followed): boolean {
    return source.finished && !source.hasMore && this.#with.follower.entry(source.id)?.size === source.progress.position
  }

  #isOverdue({ file }: Followed): boolean {
    const { finish_after: finishAfterMs, handover_after: handoverAfterMs } = this.#with.agent
    return Date.now() - file.changedAtMs > finishAfterMs + handoverAfterMs
  }

  /** What the metadata of a chunk say of its file. */
  #describe({ source: { path, framing }, file: { seenAtMs: seen }, log }: Followed) {
    const { format, name: route } = this.#with.routes.get(log.route)!
    return { route, format, framing: framingName(framing), agent: this.#with.agent.id, path, seen }
  }

  /** What is finished, in the bucket and decided needs no descriptor any more, and perhaps no file. */
  #letGo(followed: Followed): void {
    const { source, file } = followed
    if (!this.#isSettled(followed)) return
    source.finished = true
    source.release()
    if (this.#with.bucket && this.#with.agent.after_upload === 'delete' && file.missed === 0 && !file.newest)
      removeFile(followed, this.#with.report)
    if (file.missed === 0) return file.close()
    this.#with.follower.drop(followed)
    this.#done.delete(source.id)
    this.#names.forget(followed)
  }

  #isSettled(followed: Followed): boolean {
    const { source } = followed
    if (this.#with.bucket && this.#done.get(source.id) !== stateOf(followed)) return false
    if (this.#isUndecided(this.#names.of(followed))) return false
    if (this.topicOf(followed) === undefined) return this.#with.bucket !== undefined
    return this.#isCarried(followed)
  }

  /** Positions of sources whose file is gone, and whose chunks are decided. */
  #retire(publisher: InTouch): void {
    // Also of another name: it may turn out to be of this source.
    const undecided = new Set(this.#chunks?.undecided.map(({ metadata }) => splitId(metadata.source).base))
    for (const { topic, entry } of publisher.session?.entriesByTopic ?? []) {
      const { source } = entry
      if (this.#with.follower.sources.has(source)) {
        this.#with.parked?.delete(source)
        this.#seen.add(source)
      }
      if (entry.retired || this.#isElsewhere(source) || undecided.has(splitId(source).base)) continue
      if (!this.#isLookedFor(topic)) this.#files.forget(source)
      else if (this.#files.isGone(source)) {
        this.#files.forget(source)
        this.#chunks?.forget(source)
        this.#done.delete(source)
        this.#seen.delete(source)
        void publisher.decide({ source, topic, change: (now) => now && { ...now, retired: true } })
      }
    }
  }

  /** Its file may be there, and not for this life to see. */
  #isElsewhere(source: string): boolean {
    const { parked, unseenMs = 0 } = this.#with
    const isEarly = performance.now() - this.#begunAtMs < unseenMs
    return parked?.has(source) || (isEarly && !this.#seen.has(source))
  }

  /** Every folder with files of this topic could be read. */
  #isLookedFor(topic: string): boolean {
    const { routes, follower } = this.#with
    return routes.values().every((route) => route.topic !== topic || follower.files.completeRoutes.has(route.name))
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
