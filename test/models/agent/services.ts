import type { Stats } from 'node:fs'
import { Readable } from 'node:stream'
import { crc32, zstdDecompressSync } from 'node:zlib'
import { keyOf } from '../../../agent/follow/scan.ts'
import { decodeEntries } from '../../../agent/publish/positions.ts'
import type { Bucket, ObjectView, PatchAnswer, UploadAnswer } from '../../../shared/chunks/index.ts'
import { type Commit, type Committed, KafkaError, type PartitionBatch } from '../../../shared/kafka/index.ts'
import { HEADER } from './files.ts'

/** An event that a transaction has made visible. */
export interface Published {
  readonly source: string
  readonly position: number
  readonly size: number
  readonly line: string
}

/** One topic, and the groups of one agent's positions. Transactions take effect whole, or not at all. */
export class ModelKafka {
  readonly partitions = 2
  readonly published: Published[] = []
  epoch = 0
  #commits = new Map<string, string>()

  /** What the groups hold, for a reader who keeps it. */
  snapshot(): ReadonlyMap<string, string> {
    return new Map(this.#commits)
  }

  /** When entries were last dropped. */
  get forgottenMs(): number {
    return Math.max(0, ...[...this.#commits.values()].map((text) => (text ? decodeEntries(text).forgottenMs : 0)))
  }

  /** Whether it has all of a file, and knows it by its inode. `written`: every line, as often as it was written. */
  knows(file: Stats, lines: readonly string[], written: readonly string[]): boolean {
    const published = Map.groupBy(this.published, ({ line }) => line)
    const times = Map.groupBy(written, (line) => line)
    const entries = [...this.#commits.values()].flatMap((text) => (text ? decodeEntries(text).entries : []))
    const inode = crc32(keyOf(file))
    return (
      entries.some((entry) => entry.file === inode && entry.position === file.size) &&
      lines.every((line) => line === HEADER || published.get(line)?.length === times.get(line)!.length)
    )
  }

  fence(): number {
    return ++this.epoch
  }

  transact(epoch: number, events: readonly Published[], commits: readonly Commit[]): void {
    if (epoch !== this.epoch) throw new KafkaError('fenced', 'PRODUCER_FENCED', 'fenced')
    this.published.push(...events)
    for (const { group, partition, metadata } of commits) this.#commits.set(`${group}/${partition}`, metadata)
  }

  read(group: string, topic: string, from: ReadonlyMap<string, string> = this.#commits): Committed[] {
    return Array.from({ length: this.partitions }, (_, partition) => {
      const metadata = from.get(`${group}/${partition}`)
      return { topic, partition, offset: metadata === undefined ? -1 : 0, metadata: metadata ?? '' }
    })
  }
}

/** The records of an uncompressed batch. https://kafka.apache.org/documentation/#record */
export function eventsOf({ batch }: PartitionBatch): Published[] {
  const body = batch.body
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = body[at++]!
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return (value >>> 1) ^ -(value & 1)
    }
  }
  const text = (): string => {
    const length = varint()
    at += Math.max(0, length)
    return length < 0 ? '' : body.toString('latin1', at - length, at)
  }
  return Array.from({ length: batch.records }, () => {
    const size = varint()
    const next = at + size
    at++ // attributes
    varint() // time
    varint() // offset
    const [, source = '', position, length] = /^(.+)@(\d+)\+(\d+)$/.exec(text()) ?? []
    const line = text()
    at = next
    return { source, position: Number(position), size: Number(length), line }
  })
}

export interface StoredObject {
  readonly view: ObjectView
  readonly content: Buffer
}

/** What the bucket does when a call takes effect. */
export class ModelBucket {
  readonly objects = new Map<string, StoredObject>()

  stat(name: string): ObjectView | undefined {
    return this.objects.get(name)?.view
  }

  upload(name: string, content: Buffer, metadata: Record<string, string>, nowMs: number): UploadAnswer {
    const existing = this.objects.get(name)
    if (existing) return { kind: 'exists', object: existing.view }
    const fixed = { generation: '1', metageneration: '1', createdMs: nowMs }
    const view = { name, ...fixed, size: content.length, metadata }
    this.objects.set(name, { view, content })
    return { kind: 'uploaded', object: view }
  }

  patch(object: ObjectView, metadata: Record<string, string | null>, checked = true): PatchAnswer {
    const stored = this.objects.get(object.name)
    if (!stored || (checked && stored.view.metageneration !== object.metageneration)) return { kind: 'changed' }
    const metageneration = String(Number(stored.view.metageneration) + 1)
    const view = {
      ...stored.view,
      metageneration,
      metadata: { ...stored.view.metadata, ...metadata } as ObjectView['metadata'],
    }
    this.objects.set(object.name, { view, content: stored.content })
    return { kind: 'patched', object: view }
  }

  list(prefix: string): ObjectView[] {
    return Array.from(this.objects.values(), ({ view }) => view)
      .filter(({ name }) => name.startsWith(prefix))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  }
}

/** What a call to the bucket does, and how it comes to be called. */
export interface BucketEffects {
  readonly call: <T>(effect: () => T) => Promise<T>
  readonly isAway: () => boolean
  content(name: string): Buffer | undefined
  stat(name: string): ObjectView | undefined
  list(prefix: string): ObjectView[]
  upload(name: string, content: Buffer, metadata: Record<string, string>): UploadAnswer
  patch(object: ObjectView, metadata: Record<string, string | null>): PatchAnswer
}

/** How a life reaches the bucket: each call waits until the schedule lets it happen. */
export function bucketOf({ call, isAway, ...effects }: BucketEffects): Bucket {
  return {
    name: 'b',
    stat: (name) => call(() => effects.stat(name)),
    async upload(name, content, metadata) {
      const pieces: Buffer[] = []
      for await (const piece of content as AsyncIterable<Buffer>) pieces.push(piece)
      return call(() => effects.upload(name, Buffer.concat(pieces), metadata))
    },
    patch: (object, metadata) => call(() => effects.patch(object, metadata)),
    read({ name }) {
      if (isAway()) return new Readable({ read: () => undefined }).destroy(new Error('away'))
      return Readable.from([effects.content(name) ?? Buffer.alloc(0)], { objectMode: false })
    },
    async *list(prefix) {
      yield* await call(() => effects.list(prefix))
    },
  }
}

export function textOf({ content }: StoredObject): string {
  return zstdDecompressSync(content).toString('latin1')
}
