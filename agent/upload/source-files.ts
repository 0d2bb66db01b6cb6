import type { Followed, Follower, HeadAndTail, Inode, PlainReader, Source } from '../follow/index.ts'
import type { Chunk } from './chunks.ts'
import { fingerprintBefore, measure } from './measure.ts'

/** Rounds in which nothing was seen of a source's file before it counts as gone: one look may miss a file that is just renamed. */
const GONE_ROUNDS = 3

/** The files behind the chunks, as the follower sees them. */
export class SourceFiles {
  readonly #follower: Follower
  readonly #leaves: (followed: Followed) => boolean
  #rounds = 0
  /** The round in which a source's file was first missed. */
  readonly #missedSince = new Map<string, number>()

  /** `leaves`: the rest of this source goes by its chunk. */
  constructor(follower: Follower, leaves: (followed: Followed) => boolean) {
    this.#follower = follower
    this.#leaves = leaves
  }

  /** Sources that are followed. */
  get sources(): Iterable<string> {
    return this.#follower.sources.keys()
  }

  beginRound(): void {
    this.#rounds++
  }

  /** The file is there, and its rest may still be published. */
  isPublishable(source: string): boolean {
    const followed = this.#follower.sources.get(source)
    return followed ? !this.#leaves(followed) : !this.isGone(source)
  }

  /** Missed for as many rounds as this was asked. */
  isGone(source: string): boolean {
    if (this.#follower.sources.has(source)) {
      this.#missedSince.delete(source)
      return false
    }
    const since = this.#missedSince.get(source) ?? this.#rounds
    this.#missedSince.set(source, since)
    return this.#rounds - since >= GONE_ROUNDS - 1
  }

  /** Nothing is said of it any more: counting begins anew. */
  forget(source: string): void {
    this.#missedSince.delete(source)
  }

  inode(source: string): Inode {
    return this.#follower.sources.get(source)?.file.inode ?? { file: 0 }
  }

  /** Of the bytes before `end`; undefined when the file is not there, or shorter. */
  fingerprintAt(source: string, end: number): Promise<HeadAndTail | undefined> {
    return this.#read(source, (reader) => fingerprintBefore(reader, end))
  }

  /** Where a source ends that Kafka has carried whole: behind the last event, or behind blank bytes that it has carried too. */
  async sizeCarried({ metadata: { source, start, size } }: Chunk): Promise<number> {
    const end = this.#follower.entry(source)?.position ?? size
    if (end <= size) return size
    const measured = await this.#read(source, (reader, { framing }) => measure(reader, framing, start, Infinity))
    return measured?.size === size && end <= measured.end ? end : size
  }

  /** Undefined when the file is deleted, or broken: then the bucket may tell. */
  async #read<T>(id: string, act: (reader: PlainReader, source: Source) => Promise<T>): Promise<T | undefined> {
    const followed = this.#follower.sources.get(id)
    let reader: PlainReader | undefined
    try {
      reader = followed?.file.open()
      return followed && reader && (await act(reader, followed.source))
    } catch {
      return undefined
    } finally {
      reader?.close()
    }
  }
}

/** Nothing is known of any: for who adopts an agent from another host. */
export const NO_FILES = {
  isPublishable: () => false,
  sources: [],
  inode: () => ({ file: 0 }),
  fingerprintAt: () => Promise.resolve(undefined),
  sizeCarried: ({ metadata }: Chunk) => Promise.resolve(metadata.size),
}
