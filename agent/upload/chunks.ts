import { crc32 } from 'node:zlib'
import {
  type Bucket,
  type ChunkMetadata,
  decodeMetadata,
  type ObjectView,
  parseChunkName,
} from '../../shared/chunks/index.ts'
import { openDecompressed } from '../../shared/framing/index.ts'
import { HEAD_BYTES, TAIL_BYTES } from '../follow/index.ts'

/** A chunk that the agent has in the bucket. */
export interface Chunk {
  readonly object: ObjectView
  readonly part: number
  readonly metadata: ChunkMetadata
}

/** This agent's chunks, as far as they matter: those of files that are there, and those that are undecided. */
export class OwnChunks {
  readonly #bySource = new Map<string, Chunk[]>()

  /** Reads the list of the routes' objects. Rejects when the bucket cannot be reached. */
  static async list(bucket: Bucket, agent: string, routes: Iterable<string>, wanted: (source: string) => boolean) {
    const chunks = new OwnChunks()
    for (const route of routes) {
      for await (const object of bucket.list(`${route}/`)) {
        const name = parseChunkName(object.name)
        if (name?.agent !== agent) continue
        const chunk = chunkOf(object)
        if (chunk && (chunk.metadata.ranges === 'undecided' || wanted(name.source))) chunks.put(chunk)
      }
    }
    return chunks
  }

  /** In the order of their parts. */
  of(source: string): readonly Chunk[] {
    return this.#bySource.get(source) ?? []
  }

  /** Where the next chunk of a source begins. */
  endOf(source: string): number | undefined {
    return this.of(source).at(-1)?.metadata.size
  }

  get undecided(): Chunk[] {
    return [...this.#bySource.values()].flat().filter(({ metadata }) => metadata.ranges === 'undecided')
  }

  put(chunk: Chunk): void {
    const { source } = chunk.metadata
    const others = this.of(source).filter(({ part }) => part !== chunk.part)
    this.#bySource.set(
      source,
      [...others, chunk].sort((a, b) => a.part - b.part),
    )
  }

  forget(source: string): void {
    this.#bySource.delete(source)
  }
}

/** Undefined for an object that no agent wrote. */
export function chunkOf(object: ObjectView): Chunk | undefined {
  const name = parseChunkName(object.name)
  const metadata = decodeMetadata(object.metadata)
  return name && metadata && { object, part: name.part, metadata }
}

/** How the file of these chunks is recognised at `end`, from their own bytes. */
export async function fingerprintOf(
  bucket: Bucket,
  chunks: readonly Chunk[],
  end: number,
): Promise<{ head: number; tail: number }> {
  let head = Buffer.alloc(0)
  let tail = Buffer.alloc(0)
  for (const { object, metadata } of chunks) {
    let at = metadata.start
    for await (const piece of openDecompressed(bucket.read(object), 'zstd') as AsyncIterable<Buffer>) {
      const bytes = piece.subarray(0, Math.max(0, Math.min(metadata.size, end) - at))
      at += bytes.length
      if (head.length < HEAD_BYTES) head = Buffer.concat([head, bytes.subarray(0, HEAD_BYTES - head.length)])
      tail = Buffer.concat([tail, bytes]).subarray(-TAIL_BYTES)
    }
  }
  return { head: crc32(head), tail: crc32(tail) }
}
