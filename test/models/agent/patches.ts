import { Readable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { crc32, zstdCompressSync } from 'node:zlib'
import { baseId, HEAD_BYTES, TAIL_BYTES } from '../../../agent/follow/identity.ts'
import type { Decision, Entry } from '../../../agent/publish/index.ts'
import { provisionalName } from '../../../agent/upload/decide.ts'
import { Decider, NO_FILES, OwnChunks } from '../../../agent/upload/index.ts'
import {
  type Bucket,
  chunkName,
  decodeMetadata,
  encodeMetadata,
  type ObjectView,
  type Range,
  RANGES_KEY,
  STATE_KEY,
} from '../../../shared/chunks/index.ts'
import type { Random } from '../../support/random.ts'
import { ModelBucket } from './services.ts'

/**
 * One source whose bytes land in the bucket several times, by two names and in several lengths, while one life after the
 * other decides and patches of those before are still under way. The decider is untouched; Kafka is one entry.
 */

/** Effects that a test leaves out, to see that the model notices. */
export type PatchMutant =
  | 'none'
  | 'a patch without precondition'
  | 'the object is patched before the hand-over'
  | 'an upload replaces the object'
  | 'the hand-over is not noted'
  | 'decided chunks are not listed'

/** More than the head by which a file is recognised. */
const UNIT = 5_000
const UNITS = 3
const SOURCE = baseId('a', 'r', Buffer.from('first'))
const STEPS_MAX = 160
/** A transaction and a patch for each of the chunks. */
const HEALING_ROUNDS = 12

interface Life {
  decider?: Decider
  chunks?: OwnChunks
  /** What it knows of Kafka: the last entry, as long as nobody has fenced it. */
  entry: () => Entry | undefined
  isBusy: boolean
  /** For a patch. */
  isWaiting: boolean
}

export class PatchWorld {
  readonly fired = new Map<string, number>()
  readonly #random: Random
  readonly #mutant: PatchMutant
  /** Another file in each schedule, so that the names of its chunks have another order. */
  readonly #bytes: Buffer
  readonly #bucket = new ModelBucket()
  readonly #underWay: (() => void)[] = []
  readonly #rows: Range[] = []
  #lives: Life[] = []
  #entry: Entry | undefined
  #isThere = true
  #isOverdue = false

  constructor(random: Random, mutant: PatchMutant) {
    this.#random = random
    this.#mutant = mutant
    const factor = 1 + random.below(250)
    this.#bytes = Buffer.from(Array.from({ length: UNITS * UNIT }, (_, at) => (at * factor) % 251))
  }

  /** Returns what is wrong at the end, or undefined. */
  async run(): Promise<string | undefined> {
    await this.#begin()
    for (let step = this.#random.below(STEPS_MAX); step > 0; step--) await this.#step()
    this.#isThere = false
    this.#land()
    await this.#begin()
    for (let round = 0; round < HEALING_ROUNDS; round++) {
      this.#decide(this.#lives.at(-1)!)
      for (; this.#lives.some(({ isBusy }) => isBusy); await this.#settle()) this.#land()
    }
    this.#load()
    return this.#verdict()
  }

  async #step(): Promise<void> {
    const dice = this.#random.below(100)
    if (dice < 8) this.#upload()
    else if (dice < 18) this.#publish()
    else if (dice < 40) this.#isOverdue = !this.#isOverdue
    else if (dice < 41) this.#isThere = false
    else if (dice < 52) await this.#begin()
    else if (dice < 55) this.#load()
    else if (dice < 90) this.#decide(this.#random.pick(this.#lives))
    else this.#land()
    await this.#settle()
  }

  /** Until whoever decides waits for a patch. */
  async #settle(): Promise<void> {
    do await turn()
    while (this.#lives.some(({ isBusy, isWaiting }) => isBusy && !isWaiting))
  }

  #count(rule: string): void {
    this.fired.set(rule, (this.fired.get(rule) ?? 0) + 1)
  }

  /** An upload lands, of whichever life. */
  #upload(): void {
    const size = UNIT * (1 + this.#random.below(UNITS))
    const bytes = this.#bytes.subarray(0, size)
    const isNamed = this.#entry !== undefined && this.#random.chance(0.3)
    const crc32c = crc32(bytes).toString(16).padStart(8, '0')
    const source = isNamed ? SOURCE : provisionalName(SOURCE, crc32c)
    const plain = { route: 'r', format: 'raw', agent: 'a', source }
    const name = chunkName({ ...plain, firstReadMs: 0, part: 0 })
    const more = { framing: 'lines', path: '/app.log', start: 0, size, events: 1, ranges: 'undecided', crc32c } as const
    if (this.#mutant === 'an upload replaces the object') this.#bucket.objects.delete(name)
    this.#bucket.upload(name, zstdCompressSync(bytes), encodeMetadata({ ...plain, ...more }), 0)
    this.#count(isNamed ? 'uploaded by name' : 'uploaded')
  }

  #publish(): void {
    const position = this.#entry?.position ?? 0
    if (!this.#isThere || this.#isOverdue || position === this.#bytes.length) return
    const { handed } = this.#entry ?? {}
    const end = position + UNIT
    this.#rows.push([position, end])
    this.#entry = { ...entryAt(this.#bytes, end), ...(handed ? { handed } : {}) }
    this.#count('published')
  }

  /** Fences the life before, then lists. */
  async #begin(): Promise<void> {
    const former = this.#lives.at(-1)
    const last = this.#entry
    if (former) former.entry = () => last
    const life: Life = { entry: () => this.#entry, isBusy: false, isWaiting: false }
    const bucket = this.#bucketOf(life)
    life.chunks = await OwnChunks.list(bucket, 'a', ['r'], [SOURCE])
    const positions = {
      get entries() {
        return [life.entry()].flatMap((entry) => entry ?? [])
      },
      entry: (source: string) => (source === SOURCE ? life.entry() : undefined),
      topicOf: () => 't',
      forgottenMs: () => 0,
      decide: (decision: Decision) => {
        this.#patchEarly(decision.change(life.entry()))
        return Promise.resolve(this.#lives.at(-1) === life && this.#take(decision))
      },
    }
    const files = { ...NO_FILES, isPublishable: () => this.#isThere && !this.#isOverdue }
    life.decider = new Decider({ bucket, chunks: life.chunks, authority: positions, positions, files })
    this.#lives = [...this.#lives.slice(-2), life]
    this.#count('life')
  }

  /** A mutant: what a life means to hand over is noted in the objects before the transaction, which may be refused. */
  #patchEarly(entry: Entry | undefined): void {
    if (this.#mutant !== 'the object is patched before the hand-over' || !entry?.handed) return
    for (const { view } of this.#bucket.objects.values()) {
      const chunk = decodeMetadata(view.metadata)!
      if (chunk.ranges !== 'undecided') continue
      const from = Math.max(chunk.start, entry.handed.from)
      const ranges = from < chunk.size ? [[from, chunk.size]] : []
      this.#bucket.patch(view, { [RANGES_KEY]: JSON.stringify(ranges), 'millrace-source': SOURCE })
    }
  }

  #take({ change }: Decision): boolean {
    const after = change(this.#entry)
    this.#count(after ? 'handed over' : 'the hand-over waits')
    this.#entry = after ?? this.#entry
    if (this.#mutant === 'the hand-over is not noted' && after?.handed) {
      const { handed: _, ...entry } = after
      this.#entry = entry
    }
    return true
  }

  #bucketOf(life: Life): Bucket {
    const bucket = this.#bucket
    const isListed = ({ metadata }: ObjectView) =>
      this.#mutant !== 'decided chunks are not listed' || decodeMetadata(metadata)?.ranges === 'undecided'
    return {
      name: 'b',
      stat: (name) => Promise.resolve(bucket.stat(name)),
      upload: () => Promise.reject(new Error('nobody uploads')),
      patch: (object, metadata) => {
        const { promise, resolve } = Promise.withResolvers<ReturnType<ModelBucket['patch']>>()
        life.isWaiting = true
        this.#underWay.push(() => {
          life.isWaiting = false
          const answer = bucket.patch(object, metadata, this.#mutant !== 'a patch without precondition')
          this.#count(answer.kind)
          resolve(answer)
        })
        return promise
      },
      read: ({ name }) => Readable.from([bucket.objects.get(name)!.content], { objectMode: false }),
      async *list(prefix) {
        yield* await Promise.resolve(bucket.list(prefix).filter(isListed))
      },
    }
  }

  /** One chunk at a time, as in a round. */
  #decide(life: Life): void {
    const { decider, chunks } = life
    const open = chunks?.undecided ?? []
    if (life.isBusy || !decider || open.length === 0) return
    life.isBusy = true
    const round = async () => {
      for (const chunk of open) await decider.decide(chunk)
    }
    void round().finally(() => (life.isBusy = false))
  }

  #land(): void {
    this.#underWay.splice(this.#random.below(this.#underWay.length), 1)[0]?.()
  }

  #load(): void {
    for (const { view } of this.#bucket.objects.values()) {
      const { ranges } = decodeMetadata(view.metadata)!
      if (ranges === 'undecided' || view.metadata[STATE_KEY]) continue
      this.#bucket.patch(view, { [STATE_KEY]: 'committed' })
      this.#rows.push(...ranges)
      if (ranges.length > 0) this.#count('loaded')
    }
  }

  #verdict(): string | undefined {
    const open = this.#bucket.list('').filter(({ metadata }) => decodeMetadata(metadata)!.ranges === 'undecided')
    if (open.length > 0) return `${open.length} chunks stay undecided`
    const times = Array.from({ length: UNITS }, (_, unit) => {
      const [from, to] = [unit * UNIT, (unit + 1) * UNIT]
      return this.#rows.filter((row) => row[0] <= from && row[1] >= to).length
    })
    const expected = (this.#entry?.position ?? 0) / UNIT
    const wrong = times.findIndex((count, unit) => count !== Number(unit < expected))
    return wrong < 0 ? undefined : `unit ${wrong} is carried ${times[wrong]} times`
  }
}

function entryAt(bytes: Buffer, position: number): Entry {
  const head = crc32(bytes.subarray(0, Math.min(position, HEAD_BYTES)))
  const tail = crc32(bytes.subarray(position - TAIL_BYTES, position))
  return { source: SOURCE, position, start: 0, size: position, head, tail, file: 0, retired: false }
}
