import { type Followed, type Follower, type PlainReader, splitId } from '../follow/index.ts'
import type { Chunk, OwnChunks } from './chunks.ts'
import { nextName } from './decide.ts'
import { crcsOf } from './measure.ts'

/** What the sources of files are called in the bucket. */
export class Names {
  readonly #follower: Follower
  /** Of files of whose sources Kafka knows nothing. */
  readonly #given = new Map<string, string>()

  constructor(follower: Follower) {
    this.#follower = follower
  }

  of(followed: Followed): string {
    const { id } = followed.source
    return this.#hasEntry(followed) ? id : (this.given(followed) ?? id)
  }

  given(followed: Followed): string | undefined {
    return this.#given.get(keyOf(followed))
  }

  give(followed: Followed, name: string): void {
    this.#given.set(keyOf(followed), name)
  }

  forget(followed: Followed): void {
    this.#given.delete(keyOf(followed))
  }

  /**
   * Its own name when Kafka knows that; without a topic, the one that its bytes have in the bucket. Undefined: the whole
   * goes under a name that is made of its bytes.
   */
  async known(chunks: OwnChunks, followed: Followed, reader: PlainReader, hasTopic: boolean) {
    const { id } = followed.source
    if (this.#hasEntry(followed)) return id
    if (hasTopic) return undefined
    const others = this.#follower.sources.values().filter((other) => other !== followed)
    const taken = new Set(others.map((other) => this.of(other)))
    const inBucket = await nameInBucket(chunks, id, reader, taken)
    return inBucket ?? nextName(splitId(id).base, [...chunks.sources, ...taken])
  }

  /** A name without an entry is a guess: the next life may give it to another file. */
  #hasEntry({ source }: Followed): boolean {
    return (this.#follower.entry(source.id)?.position ?? 0) > 0
  }
}

function keyOf({ source, file }: Followed): string {
  return `${source.id} ${file.key}`
}

/**
 * The name under which this very file is in the bucket, known by its bytes: of several the one that has most of it.
 * `taken`: names of other files that are there.
 */
async function nameInBucket(chunks: OwnChunks, source: string, reader: PlainReader, taken: ReadonlySet<string>) {
  const { base } = splitId(source)
  const names = [...chunks.sources].filter((name) => splitId(name).base === base && !taken.has(name))
  const ranges = names.flatMap((name) => chunks.of(name)).map(({ metadata }) => metadata)
  const crcs = await crcsOf(reader, ranges)
  const holds = ({ metadata }: Chunk) => crcs.get(metadata) === metadata.crc32c
  const held = names.filter((name) => chunks.of(name).every(holds))
  return held.sort((a, b) => (chunks.endOf(b) ?? 0) - (chunks.endOf(a) ?? 0))[0]
}
