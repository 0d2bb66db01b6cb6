import { type Bucket, encodeRanges, type Range, RANGES_KEY } from '../../shared/chunks/index.ts'
import { HEAD_BYTES, sourceId, splitId } from '../follow/index.ts'
import type { Decision, Entry } from '../publish/index.ts'
import { type Chunk, chunkOf, fingerprintOf, type OwnChunks } from './chunks.ts'
import { handOver, judge, type Kinship, ownerOf } from './decide.ts'

/** The positions of an agent, of one who is in touch with Kafka: fenced, then read. */
export interface Positions {
  /** In touch, and the topic is there. */
  canUse(topic: string): boolean
  /** What the last transaction has made durable. */
  entries(): Iterable<Entry>
  entry(source: string): Entry | undefined
  decide(decision: Decision): Promise<boolean>
}

/** What is known of the files behind the chunks. Nothing, for who adopts an agent from another host. */
export interface Files {
  /** The file is there, and its rest may still be published. */
  isPublishable(source: string): boolean
  /** Sources that are followed. */
  readonly sources: Iterable<string>
  hint(source: string): number
  /** Where a source ends that Kafka has carried whole: blank bytes behind the last event included. */
  sizeCarried(chunk: Chunk): Promise<number>
}

export interface DeciderOptions {
  readonly agent: string
  readonly topicOf: (route: string) => string | undefined
}

/** Decides in Kafka who carries an undecided chunk, and then notes it in the object. */
export class Decider {
  readonly #bucket: Bucket
  readonly #chunks: OwnChunks
  readonly #positions: Positions
  readonly #files: Files
  readonly #options: DeciderOptions
  /** Of which source a chunk is, by the name of its object, where that is known. */
  readonly #owners = new Map<string, string>()

  constructor(bucket: Bucket, chunks: OwnChunks, positions: Positions, files: Files, options: DeciderOptions) {
    this.#bucket = bucket
    this.#chunks = chunks
    this.#positions = positions
    this.#files = files
    this.#options = options
  }

  /** The chunk was uploaded by someone who knew the positions: its name can be relied on. */
  trust({ object, metadata }: Chunk): void {
    this.#owners.set(object.name, metadata.source)
  }

  /** One step: a patch, or a transaction. Nothing, where somebody else must act first. */
  async decide(chunk: Chunk): Promise<'patched' | 'handed over' | 'waits'> {
    const topic = this.#options.topicOf(chunk.metadata.route)
    if (topic === undefined || !this.#positions.canUse(topic)) return 'waits'
    const source = await this.#ownerOf(chunk)
    if (source === undefined) return 'waits'
    const publishable = this.#files.isPublishable(source)
    const verdict = judge(
      chunk.metadata,
      this.#positions.entry(source),
      publishable,
      this.#carriedBeside(chunk, source),
    )
    if (verdict.do === 'wait') return 'waits'
    if (verdict.do === 'patch') await this.#patch(chunk, source, verdict.ranges)
    else await this.#handOver(chunk, source, topic)
    return verdict.do === 'patch' ? 'patched' : 'handed over'
  }

  #carriedBeside({ object }: Chunk, source: string): Range[] {
    return this.#chunks.of(source).flatMap((other) => {
      const { ranges } = other.metadata
      return other.object.name === object.name || ranges === 'undecided' ? [] : ranges
    })
  }

  async #ownerOf(chunk: Chunk): Promise<string | undefined> {
    const { source: named, route } = chunk.metadata
    const known = this.#owners.get(chunk.object.name)
    if (known !== undefined) return known
    const { base } = splitId(named)
    const entries = [...this.#positions.entries()].filter(({ source }) => splitId(source).base === base)
    const candidates = []
    for (const entry of entries) candidates.push({ source: entry.source, kinship: await this.#compare(chunk, entry) })
    const followed = [...this.#files.sources].filter((source) => splitId(source).base === base)
    const nameless = followed.some((source) => source !== named && !this.#positions.entry(source))
    const owner = ownerOf(named, candidates, nameless)
    if (owner === 'wait') return undefined
    const source = owner === 'nobody' ? this.#nextName(base, [named, ...followed]) : owner.source
    if (source !== named) await this.#chunks.load(this.#bucket, this.#options.agent, route, source)
    if (this.#positions.entry(source)) this.#owners.set(chunk.object.name, source)
    return source
  }

  async #compare({ metadata }: Chunk, { position, head, tail }: Entry): Promise<Kinship> {
    const parts = this.#chunks.of(metadata.source)
    const end = Math.min(position, parts.at(-1)?.metadata.size ?? 0)
    if (end === 0 || parts[0]?.metadata.start !== 0) return 'unknown'
    if (end < position && end < HEAD_BYTES) return 'unknown'
    const found = await fingerprintOf(this.#bucket, parts, end)
    if (found.head !== head) return 'differs'
    if (end < position) return 'unknown'
    return found.tail === tail ? 'same' : 'differs'
  }

  #nextName(base: string, taken: readonly string[]): string {
    const entries = Array.from(this.#positions.entries(), ({ source }) => source)
    const all = [...taken, ...entries, ...this.#chunks.sources].map(splitId)
    return sourceId(base, Math.max(...all.filter((id) => id.base === base).map(({ number }) => number)) + 1)
  }

  async #handOver(chunk: Chunk, source: string, topic: string): Promise<void> {
    const { end, ...fingerprint } = await this.#endOf(chunk, source)
    await this.#positions.decide({ source, topic, change: (before) => handOver(source, before, end, fingerprint) })
  }

  /** Has a chunk count as carried although Kafka does not know its source any more: the operator said so. */
  async skip(chunk: Chunk, topic: string): Promise<void> {
    const { source } = chunk.metadata
    const { end, ...fingerprint } = await this.#endOf(chunk, source)
    const skipped = { source, position: end, start: end, size: end, ...fingerprint, retired: false }
    await this.#positions.decide({ source, topic, change: (before) => before ?? skipped })
  }

  /** From the bucket, not from the file: that may be gone, or another one by now. */
  async #endOf({ metadata }: Chunk, source: string) {
    const parts = this.#chunks.of(metadata.source)
    const end = parts.at(-1)?.metadata.size ?? metadata.size
    return { end, ...(await fingerprintOf(this.#bucket, parts, end)), file: this.#files.hint(source) }
  }

  async #patch(chunk: Chunk, source: string, ranges: readonly Range[]): Promise<void> {
    const size = ranges.length === 0 ? await this.#files.sizeCarried(chunk) : chunk.metadata.size
    const changes = {
      [RANGES_KEY]: encodeRanges(ranges),
      'millrace-size': String(size),
      ...(source === chunk.metadata.source ? {} : { 'millrace-source': source }),
    }
    const answer = await this.#bucket.patch(chunk.object, changes)
    const object = answer.kind === 'patched' ? answer.object : await this.#bucket.stat(chunk.object.name)
    const patched = object && chunkOf(object)
    this.#chunks.remove(chunk)
    if (patched) this.#chunks.put(patched)
  }
}
