import { type Bucket, encodeRanges, type Range, RANGES_KEY } from '../../shared/chunks/index.ts'
import { type Follower, HEAD_BYTES, type HeadAndTail, splitId } from '../follow/index.ts'
import type { Decision, Entry } from '../publish/index.ts'
import { type Chunk, chunkOf, fingerprintOf, inOrder, type OwnChunks } from './chunks.ts'
import { handOver, isProvisional, judge, type Kinship, nextName } from './decide.ts'
import type { SourceFiles } from './source-files.ts'

/** Who makes decisions durable: in touch with Kafka, which is to say that it has fenced the former lives, then read. */
export interface Authority {
  /** Of a route; undefined: nothing can be decided in it now. */
  topicOf(route: string): string | undefined
  /** When Kafka was last made to forget entries of a topic: of what was seen before, it may have known. */
  forgottenMs(topic: string): number
  decide(decision: Decision): Promise<boolean>
}

/** What a decider works with. */
export interface DeciderParts {
  readonly bucket: Bucket
  readonly chunks: OwnChunks
  readonly authority: Authority
  /** What the last transaction has made durable. */
  readonly positions: Pick<Follower, 'entries' | 'entry'>
  /** What is known of the files behind the chunks. */
  readonly files: Pick<SourceFiles, 'isPublishable' | 'sources' | 'inode' | 'fingerprintAt' | 'sizeCarried'>
}

/** The bytes of a chunk are read again this often, to compare them. */
const ASK_AGAIN_EVERY_MS = 60_000

/** Decides in Kafka who carries an undecided chunk, and then notes it in the object. */
export class Decider {
  /** Names of objects of which nothing tells who has carried them: they wait for the operator. */
  readonly untold = new Set<string>()
  readonly #with: DeciderParts
  /** By the names of chunks whose source cannot be told yet. */
  readonly #askAgainAtMs = new Map<string, number>()
  /** The sources of provisional chunks, by the names of their objects. */
  readonly #owners = new Map<string, string>()

  constructor(parts: DeciderParts) {
    this.#with = parts
  }

  /** One step: a patch, or a transaction. Nothing, where somebody else must act first. Returns whether Kafka is still to know its source. */
  async decide(chunk: Chunk): Promise<boolean> {
    const topic = this.#with.authority.topicOf(chunk.metadata.route)
    if (topic === undefined) return false
    const source = await this.#ownerOf(chunk)
    if (source === undefined) return false
    const entry = this.#with.positions.entry(source)
    if (this.#isRedundant(chunk, source)) await this.#patch(chunk, source, [])
    else if (!entry && this.#isTooOld(chunk, topic)) this.untold.add(chunk.object.name)
    else {
      const others = await this.#carriedBeside(chunk, source, entry?.position ?? 0)
      if (!others) return !entry
      const verdict = judge(chunk.metadata, entry, this.#with.files.isPublishable(source), others)
      if (typeof verdict !== 'string') await this.#patch(chunk, source, verdict)
      if (verdict === 'hand-over') await this.#handOver(chunk, source, topic)
      return typeof verdict === 'string' && !entry
    }
    return false
  }

  /** Kafka may have carried its source, and forgotten that since: it was there before Kafka forgot the last one. */
  #isTooOld({ metadata: { seen = 0 } }: Chunk, topic: string): boolean {
    return seen < this.#with.authority.forgottenMs(topic)
  }

  /** Kafka has forgotten the source since, and another chunk has the same bytes, decided. */
  #isRedundant({ metadata: { source: named, size } }: Chunk, source: string): boolean {
    return source !== named && !this.#with.positions.entry(source) && (this.#with.chunks.endOf(source) ?? 0) >= size
  }

  /**
   * What other chunks of the source carry, and what undecided ones behind it in their order will: the last one carries.
   * Undefined while one before it is undecided. So all lives agree, and a patch that is still under way fails or says the same.
   */
  async #carriedBeside(chunk: Chunk, source: string, position: number): Promise<Range[] | undefined> {
    const carried: Range[] = []
    for (const other of this.#with.chunks.alike(source)) {
      const { ranges, start, size } = other.metadata
      if (other.object.name === chunk.object.name) continue
      if (ranges !== 'undecided') carried.push(...(other.metadata.source === source ? ranges : []))
      else if (size <= position && (await this.#ownerOf(other)) === source) {
        if (inOrder(other, chunk) < 0) return undefined
        carried.push([start, size])
      }
    }
    return carried
  }

  /** The source that a chunk is of: with a provisional name the one that has its bytes, or a new one. Undefined: that cannot be told now. */
  async #ownerOf({ object, metadata }: Chunk): Promise<string | undefined> {
    const { source: named } = metadata
    if (!isProvisional(named)) return named
    const known = this.#owners.get(object.name)
    if (known !== undefined) return known
    const names = this.#namesakes(named)
    if (Date.now() < (this.#askAgainAtMs.get(named) ?? 0)) return undefined
    let isNew = true
    // Several may begin with the same bytes: it is of the one with which it has the most in common.
    const common = (source: string) => this.#with.positions.entry(source)?.position ?? Number.MAX_SAFE_INTEGER
    for (const source of [...names].sort((a, b) => common(b) - common(a))) {
      const kinship = await this.#compare(named, source)
      if (kinship === 'same') {
        this.#owners.set(object.name, source)
        return source
      }
      isNew &&= kinship === 'differs'
    }
    if (isNew) return nextName(splitId(named).base, names)
    this.#askAgainAtMs.set(named, Date.now() + ASK_AGAIN_EVERY_MS)
    this.untold.add(object.name)
    return undefined
  }

  /** The sources that are known with this first event. */
  #namesakes(named: string): Set<string> {
    const entries = Array.from(this.#with.positions.entries, ({ source }) => source)
    const all = [...entries, ...this.#with.chunks.sources, ...this.#with.files.sources]
    return new Set(all.filter((source) => splitId(source).base === splitId(named).base && !isProvisional(source)))
  }

  /** By the bytes before the entry's position; if the chunk has not so many, by those before its own end. */
  async #compare(named: string, source: string): Promise<Kinship> {
    const end = this.#with.chunks.endOf(named) ?? 0
    const entry = this.#with.positions.entry(source)
    if (entry?.position === 0) return 'differs'
    if (entry && entry.position <= end) return kinship(await this.#fingerprintOf(named, entry.position), entry)
    const own = await this.#fingerprintOf(named, end)
    const other = await this.#fingerprintAt(source, end)
    if (other) return kinship(own, other)
    if (!entry || end < HEAD_BYTES) return 'unknown'
    return own.head === entry.head ? 'same' : 'differs' // as a file is known that is shorter than its source
  }

  #fingerprintOf(name: string, end: number): Promise<HeadAndTail> {
    return fingerprintOf(this.#with.bucket, this.#with.chunks.of(name), end)
  }

  async #fingerprintAt(source: string, end: number): Promise<HeadAndTail | undefined> {
    const fromFile = await this.#with.files.fingerprintAt(source, end)
    if (fromFile || (this.#with.chunks.endOf(source) ?? 0) < end) return fromFile
    return this.#fingerprintOf(source, end)
  }

  async #handOver(chunk: Chunk, source: string, topic: string): Promise<void> {
    const { end, ...fingerprint } = await this.#endOf(chunk, source)
    const change = (before: Entry | undefined) => {
      const decided = this.#with.chunks
        .of(source)
        .flatMap(({ metadata: { ranges } }) => (ranges === 'undecided' ? [] : ranges))
      return handOver(source, before, end, fingerprint, decided)
    }
    await this.#with.authority.decide({ source, topic, change })
  }

  /** Has nothing of a chunk count as carried although Kafka may have known its source (`start`), or all of it: the operator says so. */
  async say(chunk: Chunk, from: 'start' | 'end'): Promise<void> {
    const { source: named, route } = chunk.metadata
    const topic = this.#with.authority.topicOf(route)!
    const source = isProvisional(named) ? nextName(splitId(named).base, this.#namesakes(named)) : named
    if (from === 'start') return this.#handOver(chunk, source, topic)
    const { end, ...fingerprint } = await this.#endOf(chunk, source)
    const skipped = { source, position: end, start: end, size: end, ...fingerprint, retired: false }
    await this.#with.authority.decide({ source, topic, change: (before) => before ?? skipped })
  }

  /** From the bucket, not from the file: that may be gone, or another one by now. */
  async #endOf({ metadata }: Chunk, source: string) {
    const parts = this.#with.chunks.of(metadata.source)
    const end = parts.at(-1)?.metadata.size ?? metadata.size
    return { end, ...(await fingerprintOf(this.#with.bucket, parts, end)), ...this.#with.files.inode(source) }
  }

  async #patch(chunk: Chunk, source: string, ranges: readonly Range[]): Promise<void> {
    const size = ranges.length === 0 ? await this.#with.files.sizeCarried(chunk) : chunk.metadata.size
    const changes = {
      [RANGES_KEY]: encodeRanges(ranges),
      'millrace-size': String(size),
      ...(source === chunk.metadata.source ? {} : { 'millrace-source': source }),
    }
    const answer = await this.#with.bucket.patch(chunk.object, changes)
    const object = answer.kind === 'patched' ? answer.object : await this.#with.bucket.stat(chunk.object.name)
    const patched = object && chunkOf(object)
    this.#with.chunks.remove(chunk)
    this.untold.delete(chunk.object.name)
    if (patched) this.#with.chunks.put(patched)
  }
}

function kinship(a: HeadAndTail, b: HeadAndTail): Kinship {
  return a.head === b.head && a.tail === b.tail ? 'same' : 'differs'
}
