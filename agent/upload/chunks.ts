import { crc32 } from 'node:zlib'
import type { Bucket, ChunkMetadata, ObjectView } from '../../shared/chunks/index.ts'
import { decodeMetadata, parseChunkName } from '../../shared/chunks/index.ts'
import { openDecompressed } from '../../shared/framing/index.ts'
import { HEAD_BYTES, type HeadAndTail, splitId, TAIL_BYTES } from '../follow/index.ts'

/** A chunk that the agent has in the bucket. */
export interface Chunk {
  readonly object: ObjectView
  readonly part: number
  readonly metadata: ChunkMetadata
}

/** This agent's chunks, as far as they matter: those with the first event of a file that is there, or of an undecided chunk. */
export class OwnChunks {
  readonly #bySource = new Map<string, Chunk[]>()

  /** Reads the list of the routes' objects. Rejects when the bucket cannot be reached. */
  static async list(bucket: Bucket, agent: string, routes: Iterable<string>, sources: Iterable<string>) {
    const chunks = new OwnChunks()
    const prefixes = Array.from(routes, (route) => `${route}/`)
    const own = () => ownChunks(bucket, agent, prefixes)
    const bases = new Set(Array.from(sources, (source) => splitId(source).base))
    for await (const chunk of own())
      if (chunk.metadata.ranges === 'undecided' || bases.has(baseOf(chunk))) chunks.put(chunk)
    const open = new Set(chunks.undecided.map(baseOf)).difference(bases)
    if (open.size > 0) for await (const chunk of own()) if (open.has(baseOf(chunk))) chunks.put(chunk)
    return chunks
  }

  /** In the order of their positions. */
  of(source: string): readonly Chunk[] {
    return this.#bySource.get(source) ?? []
  }

  /** Those of every source with the same first event. */
  alike(source: string): Chunk[] {
    const { base } = splitId(source)
    return [...this.#bySource].flatMap(([other, chunks]) => (splitId(other).base === base ? chunks : []))
  }

  /** Where the next chunk of a source begins. */
  endOf(source: string): number | undefined {
    return this.of(source).at(-1)?.metadata.size
  }

  /** The number of the next chunk of a source. */
  nextPart(source: string): number {
    return Math.max(-1, ...this.of(source).map(({ part }) => part)) + 1
  }

  /** In the order in which they are to be decided. */
  get undecided(): Chunk[] {
    const all = [...this.#bySource.values()].flat()
    return all.filter(({ metadata }) => metadata.ranges === 'undecided').sort(inOrder)
  }

  get sources(): Iterable<string> {
    return this.#bySource.keys()
  }

  put(chunk: Chunk): void {
    const { source } = chunk.metadata
    const others = this.of(source).filter(({ object }) => object.name !== chunk.object.name)
    const before = (a: Chunk, b: Chunk) => a.metadata.size - b.metadata.size || a.part - b.part
    this.#bySource.set(source, [...others, chunk].sort(before))
  }

  remove({ object, metadata }: Chunk): void {
    const others = this.of(metadata.source).filter((chunk) => chunk.object.name !== object.name)
    if (others.length > 0) this.#bySource.set(metadata.source, others)
    else this.#bySource.delete(metadata.source)
  }

  forget(source: string): void {
    this.#bySource.delete(source)
  }
}

async function* ownChunks(bucket: Bucket, agent: string, prefixes: readonly string[]) {
  for (const prefix of prefixes) {
    for await (const object of bucket.list(prefix)) {
      const chunk = parseChunkName(object.name)?.agent === agent ? chunkOf(object) : undefined
      if (chunk) yield chunk
    }
  }
}

const baseOf = ({ metadata }: Chunk): string => splitId(metadata.source).base

/** The same for every life: by name. */
export function inOrder(a: Chunk, b: Chunk): number {
  return a.object.name < b.object.name ? -1 : Number(a.object.name > b.object.name)
}

/** Undefined for an object that no agent wrote. */
export function chunkOf(object: ObjectView): Chunk | undefined {
  const name = parseChunkName(object.name)
  const metadata = decodeMetadata(object.metadata)
  return name && metadata && { object, part: name.part, metadata }
}

/** How the file of these chunks is recognised at `end`, from their own bytes. */
export async function fingerprintOf(bucket: Bucket, chunks: readonly Chunk[], end: number): Promise<HeadAndTail> {
  let head = Buffer.alloc(0)
  let tail = Buffer.alloc(0)
  let done = 0
  for (const { object, metadata } of chunks) {
    let at = metadata.start
    if (metadata.size <= done || at >= end) continue
    for await (const piece of openDecompressed(bucket.read(object), 'zstd') as AsyncIterable<Buffer>) {
      const bytes = piece.subarray(Math.max(0, done - at), Math.max(0, Math.min(metadata.size, end) - at))
      at += piece.length
      done += bytes.length
      if (head.length < HEAD_BYTES) head = Buffer.concat([head, bytes.subarray(0, HEAD_BYTES - head.length)])
      tail = Buffer.concat([tail, bytes]).subarray(-TAIL_BYTES)
    }
  }
  return { head: crc32(head), tail: crc32(tail) }
}
