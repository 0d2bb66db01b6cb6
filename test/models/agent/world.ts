import { mock } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { zstdDecompressSync } from 'node:zlib'
import type { PositionsStore } from '../../../agent/publish/index.ts'
import { decodeEntries } from '../../../agent/publish/positions.ts'
import {
  type Bucket,
  decodeMetadata,
  type ObjectView,
  type PatchAnswer,
  RANGES_KEY,
  STATE_KEY,
  type UploadAnswer,
} from '../../../shared/chunks/index.ts'
import { type Commit, KafkaError } from '../../../shared/kafka/index.ts'
import type { Random } from '../../support/random.ts'
import { HEADER, ModelLog } from './files.ts'
import { adopt, FINISH_AFTER_MS, HANDOVER_AFTER_MS, Life } from './life.ts'
import { bucketOf, eventsOf, ModelBucket, ModelKafka, type Published, textOf } from './services.ts'
import { type Mutant, mutated } from './mutants.ts'
import { carriedBy, judge } from './verdict.ts'

/**
 * A host with a log, a topic, a bucket and a clock, in which lives of the untouched agent run. Each call to Kafka or the
 * bucket waits until the schedule lets it take effect, or loses it, or its answer, or lets it take effect much later, or
 * kills its caller; lives are frozen and wake as zombies; Kafka and the bucket are away in turn.
 */

interface Call {
  readonly life: number
  readonly service: 'kafka' | 'bucket' | 'none'
  readonly effect: () => unknown
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

/** A life as the schedule sees it; `life` is absent for an adoption. */
interface Actor {
  readonly id: number
  readonly life?: Life
  isFrozen: boolean
  isAdopting: boolean
}

const STEP_MS = 200
/** The rule of schedules.ts. */
const AGAIN = 'the same again in the same inode'
const DAY_MS = 24 * 3_600_000
const CALM_STEPS = 150
/** Meanwhile files are published and deleted. */
const STEPS_BEFORE_UPLOADS = 30
const HEALING_STEPS_MAX = 1_500
const HEALING_STEPS_A_DAY = 400
const VERDICT_EVERY_STEPS = 10
const ACTORS_MAX = 2
/** Turns of the event loop without a call, after which every publisher waits. */
const QUIET_TURNS = 2
const ADOPTION_TRIES_MAX = 5
/** The end must stay good: a zombie may still wake up. */
const GOOD_VERDICTS = 4

export class AgentWorld {
  readonly fired = new Map<string, number>()
  readonly #random: Random
  readonly #mutant: Mutant
  readonly #log: ModelLog
  readonly #kafka = new ModelKafka()
  readonly #bucket = new ModelBucket()
  readonly #deleteAfterUpload: boolean
  /** Many late writes, and calls to the bucket that land late. */
  readonly #isTroubled: boolean
  /** Kafka keeps one retired entry. Then no file comes back, and none has the first line of another: that is what they are kept for. */
  readonly #isTight: boolean
  /** The last fence that each life knows. */
  readonly #epochs = new Map<number, number>()
  /** Objects that came to be when their life had given them up, or was fenced. */
  readonly #lateObjects = new Set<string>()
  #isLanding = false
  readonly #calls: Call[] = []
  readonly #late: Call[] = []
  /** Events of chunks that are rows. */
  readonly #loaded: Published[] = []
  readonly #actors = new Map<number, Actor>()
  readonly #marks: Map<string, { state: 'starting' | 'started'; sinceMs: number }>[] = [new Map()]
  #made = 0
  #ids = 0
  #kafkaAway = false
  #bucketAway = false
  #adopted = false

  constructor(random: Random, mutant: Mutant) {
    this.#random = random
    this.#mutant = mutant
    this.#isTight = random.chance(0.3)
    this.#log = new ModelLog(random, !this.#isTight && random.chance(0.5), mutant !== 'no file tells its birth')
    this.#deleteAfterUpload = random.chance(0.3)
    this.#kafkaAway = random.chance(0.3)
    this.#isTroubled = this.#isTight || random.chance(0.5)
  }

  count(rule: string): void {
    this.fired.set(rule, (this.fired.get(rule) ?? 0) + 1)
  }

  /** The faulty part, then the healing. Returns what is wrong at its end, or undefined. */
  async run(faultySteps: number): Promise<string | undefined> {
    try {
      for (let step = 0; step < faultySteps; step++) {
        await this.#faultyStep()
        await this.#settle()
      }
      if (this.#isTight) await this.#liveOn()
      // What only the bucket has of a host is known by its bytes: that may be one of two files.
      const isSure = !this.fired.has(AGAIN)
      if (this.#random.chance(0.3) && isSure) await this.#dieForEver()
      return await this.#heal()
    } finally {
      for (const { life } of this.#actors.values()) life?.close()
      this.#log.remove()
    }
  }

  // What happens while things fail.

  async #faultyStep(): Promise<void> {
    const random = this.#random
    const dice = random.below(100)
    if (this.#living.length === 0) return this.#return()
    if (dice < 16) return this.#changeFiles(dice)
    if (dice < 21) return this.#pass(random.pick([STEP_MS, STEP_MS, FINISH_AFTER_MS, HANDOVER_AFTER_MS, DAY_MS]))
    if (dice < 23) return this.#toggle()
    if (dice < 25) return this.#freezeOrThaw()
    if (dice < 26) return this.#living.length < ACTORS_MAX ? this.#start() : undefined
    if (dice < 36) return this.#beginRound()
    if (dice < 40 && this.#late.length > 0) return this.#land()
    if (dice < 42) return this.#load()
    this.#deliver(true)
  }

  /** Nothing fails and nothing lands late for a while: sources come and go, and Kafka forgets those of before. */
  async #liveOn(): Promise<void> {
    this.#kafkaAway = this.#bucketAway = false
    for (const { id } of this.#living) this.#kill(id)
    this.#start()
    for (let step = 0; step < CALM_STEPS && this.#living.length > 0; step++) {
      this.#pass(STEP_MS)
      const isUploading = step > STEPS_BEFORE_UPLOADS
      if (this.#random.chance(0.05)) this.#log.write()
      if (this.#random.chance(isUploading ? 0.1 : 0.3)) this.#changeFiles(8 + this.#random.below(8))
      if (isUploading && this.#random.chance(0.2)) this.#beginRound()
      this.#deliver(false)
      await this.#settle()
    }
  }

  #changeFiles(dice: number): void {
    if (this.#isTroubled && dice < 4) this.#countIf(this.#log.writeLate(), 'written to after the rotation')
    else if (dice < 8) this.#log.write()
    else if (dice < 11) this.#log.rotate()
    else if (dice < 12) this.#countIf(this.#log.copyAndTruncate(), 'copied and truncated')
    else if (dice < 13) this.#countIf(this.#log.writeLate(), 'written to after the rotation')
    else this.#countIf(this.#log.deleteOldest(this.#safeLines()), 'file deleted')
  }

  #countIf(happened: boolean, rule: string): void {
    if (happened) this.count(rule)
  }

  #published(): Set<string> {
    return new Set([HEADER, ...this.#kafka.published.map(({ line }) => line)])
  }

  /** What Kafka or the bucket have, decided or not. */
  #safeLines(): Set<string> {
    return this.#published().union(new Set([...this.#bucket.objects.values()].flatMap((o) => textOf(o).split('\n'))))
  }

  /** A backfill: what is decided and not loaded becomes rows. An object that was replaced is a new one. */
  #load(): void {
    for (const { view, content } of this.#bucket.objects.values()) {
      const chunk = decodeMetadata(view.metadata)!
      if (chunk.ranges === 'undecided' || view.metadata[STATE_KEY] !== undefined) continue
      this.#bucket.patch(view, { [STATE_KEY]: 'committed' })
      this.#loaded.push(...carriedBy(chunk, zstdDecompressSync(content).toString('latin1')))
      this.count('loaded')
    }
  }

  #pass(ms: number): void {
    mock.timers.tick(ms)
  }

  #toggle(): void {
    if (this.#random.chance(0.5)) {
      this.#kafkaAway = !this.#kafkaAway
      this.#countIf(this.#kafkaAway, 'Kafka away')
    } else {
      this.#bucketAway = !this.#bucketAway
      this.#countIf(this.#bucketAway, 'bucket away')
    }
  }

  #freezeOrThaw(): void {
    const actor = this.#random.pick(this.#living)
    actor.isFrozen = !actor.isFrozen
    this.count(actor.isFrozen ? 'frozen' : 'woken')
  }

  get #living(): Actor[] {
    return [...this.#actors.values()]
  }

  /** After a while in which no agent ran, and somebody may have put a file back, or a job have said the same as before. */
  #return(): void {
    if (!this.#isTight && this.#random.chance(0.3))
      this.#countIf(
        this.#log.repeat((file, lines) => this.#kafka.knows(file, lines, this.#log.lines)),
        AGAIN,
      )
    if (!this.#isTight && this.#random.chance(0.3)) this.#countIf(this.#log.restore(this.#published()), 'file restored')
    this.#start()
  }

  #start(): void {
    const alone = this.#living.length === 0
    if (!alone) this.#marks.push(new Map())
    const marks = this.#marks.at(-1)!
    const id = this.#ids++
    this.#epochs.set(id, this.#kafka.epoch)
    const life = new Life({
      path: this.#log.path,
      deleteAfterUpload: this.#deleteAfterUpload,
      retiredMax: this.#isTight ? 1 : undefined,
      store: this.#store(id),
      bucket: this.#bucketFor(id),
      marks,
      idle: () => this.#call(id, 'none', () => undefined),
    })
    this.#actors.set(id, { id, life, isFrozen: false, isAdopting: false })
    this.count(alone ? 'life' : 'life beside another')
  }

  #beginRound(): void {
    const ready = this.#living.filter(({ life, isFrozen }) => life?.canBeginRound && !isFrozen)
    if (ready.length > 0) this.#random.pick(ready).life?.beginRound()
  }

  #land(): void {
    const [call] = this.#late.splice(this.#random.below(this.#late.length), 1)
    this.count(`landed late: ${call!.service}`)
    this.#isLanding = true
    attempt(call!.effect)
    this.#isLanding = false
  }

  /** Lets one call happen, in one of the ways in which calls do. */
  #deliver(faulty: boolean): void {
    const ready = this.#calls.filter(({ life }) => this.#actors.get(life)?.isFrozen === false)
    if (ready.length === 0) return this.#pass(STEP_MS)
    const call = this.#random.pick(ready)
    this.#calls.splice(this.#calls.indexOf(call), 1)
    this.#pass(1)
    if (call.service === 'none') {
      if (faulty && this.#random.chance(0.02)) return this.#kill(call.life)
      call.resolve(undefined)
      return
    }
    if (call.service === 'kafka' ? this.#kafkaAway : this.#bucketAway) return call.reject(unreachable())
    const fate = faulty ? this.#fateOf(call) : 29
    if (fate === 0) return this.#kill(call.life)
    if (fate === 1) {
      attempt(call.effect)
      this.count('killed after the effect')
      return this.#kill(call.life)
    }
    if (fate === 2) {
      this.#late.push(call)
      return this.#kill(call.life)
    }
    if (fate === 3) {
      attempt(call.effect)
      this.count(`answer lost: ${call.service}`)
      return call.reject(unreachable())
    }
    if (fate === 4) {
      this.#late.push(call)
      return call.reject(unreachable())
    }
    if (fate === 5) return call.reject(unreachable())
    try {
      call.resolve(call.effect())
    } catch (error) {
      call.reject(error as Error)
    }
  }

  /** In some schedules many calls to the bucket land late: when their caller is dead, or knows nothing of it. */
  #fateOf({ service }: Call): number {
    if (this.#isTroubled && service === 'bucket' && this.#random.chance(0.3)) return this.#random.pick([2, 4])
    return this.#random.below(30)
  }

  #kill(id: number): void {
    this.count('killed')
    this.#remove(id)
  }

  #remove(id: number): void {
    this.#actors.get(id)?.life?.close()
    this.#actors.delete(id)
    const others = this.#calls.filter(({ life }) => life !== id)
    this.#calls.splice(0, this.#calls.length, ...others)
  }

  #call<T>(life: number, service: Call['service'], effect: () => T): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    this.#made++
    if (this.#actors.has(life) || life === this.#ids - 1)
      this.#calls.push({ life, service, effect, resolve: resolve as (value: unknown) => void, reject })
    return promise
  }

  /** Waits until every life waits for a call. */
  async #settle(): Promise<void> {
    for (let quiet = 0, made = this.#made; quiet < QUIET_TURNS; quiet++) {
      await turn()
      if (made !== this.#made || this.#living.some((actor) => this.#isComputing(actor))) quiet = 0
      made = this.#made
    }
    for (const { id, life } of this.#living)
      if (life?.ended && life.canBeClosed && !this.#calls.some((call) => call.life === id)) {
        this.count('stopped: fenced')
        this.#remove(id)
      }
  }

  #isComputing({ id, life, isAdopting }: Actor): boolean {
    const waits = (service: Call['service']) =>
      this.#calls.some((call) => call.life === id && (isAdopting || call.service === service))
    return (isAdopting || life?.isBusy === true) && !waits('bucket')
  }

  // Kafka and the bucket, as a life sees them.

  #store(life: number): PositionsStore {
    let before: ReadonlyMap<string, string> | undefined
    const kafka = this.#kafka
    return {
      openProducer: async () => {
        if (this.#mutant === 'positions read before the fence') before = kafka.snapshot()
        const fence = () => (this.#mutant === 'no fence' ? kafka.epoch : kafka.fence())
        const epoch = await this.#call(life, 'kafka', fence)
        this.#epochs.set(life, epoch)
        const open: Published[] = []
        return {
          send: async (batches) => {
            const events = batches.flatMap(eventsOf)
            await this.#call(life, 'kafka', () => this.#checkEpoch(epoch))
            open.push(...events)
          },
          transact: (batches, commits) =>
            this.#transact(life, epoch, [...open.splice(0), ...batches.flatMap(eventsOf)], commits),
          close: () => Promise.resolve(),
        }
      },
      partitionsOf: (topic) => this.#call(life, 'kafka', () => kafka.read('', topic)),
      readCommits: (group, [first]) => this.#call(life, 'kafka', () => kafka.read(group, first!.topic, before)),
    }
  }

  async #transact(life: number, epoch: number, events: readonly Published[], all: readonly Commit[]): Promise<void> {
    const commits = all.map((commit) => mutated(commit, this.#mutant))
    const apart = this.#mutant === 'positions stored apart from the events'
    await this.#call(life, 'kafka', () => this.#take(epoch, events, apart ? [] : commits))
    if (apart) await this.#call(life, 'kafka', () => this.#take(epoch, [], commits))
  }

  #checkEpoch(epoch: number): void {
    if (epoch !== this.#kafka.epoch) throw new KafkaError('fenced', 'PRODUCER_FENCED', 'fenced')
  }

  #take(epoch: number, events: readonly Published[], commits: readonly Commit[]): void {
    const { epoch: now } = this.#kafka
    if (epoch !== now) this.count('transaction refused')
    this.#kafka.transact(epoch, events, commits)
    if (events.length > 0) this.count('published')
    if (this.#adopted && events.length > 0) this.count('published after the adoption')
    const entries = commits.flatMap(({ metadata }) => decodeEntries(metadata).entries)
    if (entries.some(({ retired }) => retired)) this.count('retired')
    if (commits.some(({ metadata }) => decodeEntries(metadata).forgottenMs > 0)) this.count('retired entries dropped')
    if (entries.some(({ handed }) => handed)) this.count('handed over')
    if (entries.some(({ source }) => source.includes('~'))) this.count('first event shared')
  }

  #bucketFor(life: number): Bucket {
    const bucket = this.#bucket
    return bucketOf({
      call: (effect) => this.#call(life, 'bucket', effect),
      isAway: () => this.#bucketAway,
      content: (name) => bucket.objects.get(name)?.content,
      stat: (name) => bucket.stat(name),
      list: (prefix) => bucket.list(prefix),
      upload: (name, content, metadata) => this.#upload(life, name, content, metadata),
      patch: (object, metadata) => this.#patch(object, metadata),
    })
  }

  #upload(life: number, name: string, content: Buffer, metadata: Record<string, string>): UploadAnswer {
    const answer = this.#bucket.upload(name, content, metadata, Date.now())
    const isFenced = this.#kafka.epoch > (this.#epochs.get(life) ?? 0)
    if (answer.kind === 'uploaded' && (this.#isLanding || isFenced)) this.#lateObjects.add(name)
    const ranges = metadata[RANGES_KEY]
    this.count(answer.kind === 'exists' ? 'upload: there already' : `uploaded: ${ranges === '[]' ? 'carried' : ranges}`)
    if (/-\d+\.raw/.test(name)) this.count('uploaded: a further part')
    return answer
  }

  #patch(object: ObjectView, metadata: Record<string, string | null>): PatchAnswer {
    const { 'millrace-source': source, ...others } = metadata
    const changes = this.#mutant === 'a chunk keeps the name of another source' ? others : metadata
    const answer = this.#bucket.patch(object, changes)
    if (answer.kind === 'changed') this.count('patch: somebody was faster')
    else this.count(metadata[RANGES_KEY] === '[]' ? 'patched: carried by Kafka' : 'patched: carries the rest')
    if (source !== undefined) this.count('patched: given to another source')
    if (this.#adopted) this.count('patched after the host died')
    return answer
  }

  // The end.

  /** The host does not return: somebody adopts the agent, and tries again until that succeeds. Then it returns after all. */
  async #dieForEver(): Promise<void> {
    for (const actor of this.#living) if (!actor.isFrozen) this.#kill(actor.id)
    // Whoever has said where to begin says so again when he tries again: what the first try has noted is not all.
    const isBlank = this.#kafka.snapshot().size === 0
    let done = false
    for (let tries = 0; !done; tries++) {
      if (tries > ADOPTION_TRIES_MAX) this.#kafkaAway = this.#bucketAway = false
      if (tries > 2 * ADOPTION_TRIES_MAX) throw new Error('the adoption is refused, though nothing fails any more')
      const id = this.#ids++
      this.#adopted = true
      this.#actors.set(id, { id, isFrozen: false, isAdopting: true })
      let ended = false
      void adopt(this.#store(id), this.#bucketFor(id), isBlank)
        .then(() => (done = true))
        .catch(() => undefined)
        .finally(() => {
          ended = true
          this.#remove(id)
        })
      while (!ended && this.#actors.has(id)) {
        await this.#settle()
        if (!ended) this.#deliver(tries <= ADOPTION_TRIES_MAX)
      }
    }
    this.count('adopted')
  }

  async #heal(): Promise<string | undefined> {
    this.#kafkaAway = this.#bucketAway = false
    for (const actor of this.#living) actor.isFrozen = false
    let good = 0
    let problem: string | undefined = 'nothing was looked at'
    for (let step = 0; step < HEALING_STEPS_MAX; step++) {
      if (this.#living.length === 0) this.#start()
      if (this.#late.length > 0 && this.#random.chance(0.1)) this.#land()
      this.#pass(step % HEALING_STEPS_A_DAY === 0 ? DAY_MS : STEP_MS)
      if (this.#random.chance(0.2)) this.#beginRound()
      this.#deliver(false)
      await this.#settle()
      if (step % VERDICT_EVERY_STEPS !== 0) continue
      this.#load()
      const verdict = judge(this.#log, this.#kafka, this.#loaded, this.#bucket.objects.values(), this.#lateObjects)
      problem = verdict.problem
      if (problem?.startsWith('twice')) return problem
      good = problem === undefined && this.#late.length === 0 ? good + 1 : 0
      if (good === GOOD_VERDICTS) {
        for (const reason of verdict.untold) this.count(`left undecided: ${reason}`)
        return undefined
      }
    }
    return problem
  }
}

function unreachable(): KafkaError {
  return new KafkaError('unreachable', 'LOST', 'lost')
}

/** A late effect has nobody to tell. */
function attempt(effect: () => unknown): void {
  try {
    effect()
  } catch {
    // as it would have been answered
  }
}
