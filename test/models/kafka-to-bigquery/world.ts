import type { Effect } from '../../../shared/warehouse/protocol/events.ts'
import { Driver, type Mutant, type Process } from './driver.ts'
import {
  BigQuery,
  createRandom,
  Kafka,
  type Random,
  type RecordKind,
  type ServerAnswer,
  type TableRow,
} from './services.ts'

const STEPS = 300
/** Chance, at each step, that something that hangs arrives. */
const ARRIVES_LATE = 0.03
const HEALING_STEPS_MAX = 20_000
const KINDS: readonly RecordKind[] = ['row', 'row', 'row', 'row', 'row', 'dead', 'void', 'flips', 'flips']

/** How one schedule ended. */
export interface Verdict {
  readonly missing: number[]
  readonly doubled: number[]
  /** The core stopped and alarmed: right only where somebody else meddled with its stream. */
  readonly stopped: string | undefined
  readonly meddled: boolean
  readonly stuck: boolean
}

interface Packet {
  readonly from: Driver
  readonly arrive: () => void
}

/** One random schedule over one partition: records, processes, zombies, a network that delays and loses. */
export class World {
  readonly kafka = new Kafka()
  readonly bigQuery = new BigQuery()
  readonly random: Random
  readonly mutant: Mutant
  readonly rules: Map<string, number>
  readonly logBytesMax: number
  faults: Readonly<Record<'lostCommit' | 'later' | 'hungLater' | 'hungAppend', number>>
  tick = 0
  /** How often each record is to be there: once, and once more for each time an operator sent the group back before it. */
  readonly #expected: number[] = []
  #packets: Packet[] = []
  /** Nobody waits for these any more; each arrives whenever it likes. */
  #hanging: (() => void)[] = []
  #drivers: Driver[] = []
  #code = 0
  #meddled = false

  constructor(seed: number, mutant: Mutant, rules: Map<string, number>) {
    this.random = createRandom(seed)
    this.mutant = mutant
    this.rules = rules
    this.logBytesMax = this.random.pick([85, 100, 130, 4096])
    const often = (probability: number) => (this.random.chance(0.5) ? probability : 0)
    this.faults = { lostCommit: often(0.05), later: often(0.15), hungLater: often(0.4), hungAppend: 0.6 }
  }

  run(): Verdict {
    this.#join()
    for (let step = 0; step < STEPS; step++) this.#step()
    return this.#heal()
  }

  // What the drivers use.

  send(from: Driver, arrive: () => void): void {
    this.#packets.push({ from, arrive })
  }

  hang(arrive: () => void): void {
    this.#hanging.push(arrive)
  }

  append({ stream, offset, rows }: { stream: string; offset: number; rows: readonly TableRow[] }): ServerAnswer {
    return this.bigQuery.append(stream, offset, rows, (at) => this.isPoison(at))
  }

  isPoison(offset: number): boolean {
    return this.kafka.records[offset] === 'poison'
  }

  count(effect: Effect): void {
    const rule = effect.kind === 'note' ? effect.rule : effect.kind
    this.rules.set(rule, (this.rules.get(rule) ?? 0) + 1)
  }

  // What happens.

  #step(): void {
    this.tick++
    const { random } = this
    const roll = random.below(100)
    if (roll < 5) this.#produce()
    else if (roll < 90) this.#progress()
    else if (roll < 92) this.#rebalance()
    else if (roll < 93) this.#crash()
    else if (roll < 95) this.#pauseAndMove()
    else if (roll < 96) this.#wake()
    else if (roll < 97) this.#break()
    else if (roll < 98) this.#expire()
    else if (roll < 99) this.#reset()
    else this.#meddle()
  }

  #produce(): void {
    for (let more = this.random.below(8); more >= 0; more--) {
      this.kafka.records.push(this.random.chance(0.02) ? 'poison' : this.random.pick(KINDS))
      this.#expected.push(1)
    }
  }

  /** Somebody does something, or something arrives. */
  #progress(): void {
    const { random } = this
    const awake = this.#drivers.filter(({ ended, paused }) => !ended && !paused)
    if (random.chance(ARRIVES_LATE)) this.#hanging.splice(random.below(this.#hanging.length), 1)[0]?.()
    const arrivable = this.#packets.filter(({ from }) => !from.paused)
    if (arrivable.length > 0 && random.chance(0.5)) return this.#deliver(random.pick(arrivable))
    if (awake.length > 0) this.#act(random.pick(awake))
  }

  #deliver(packet: Packet): void {
    this.#packets.splice(this.#packets.indexOf(packet), 1)
    packet.arrive()
  }

  #act(driver: Driver): void {
    const actions = [
      () => driver.fetch(),
      () => driver.fetch(),
      () => this.#turn(driver),
      () => driver.serve(),
      () => driver.serve(),
      () => driver.receive(),
      () => driver.receive(),
      () => driver.handle({ kind: 'checkpoint' }),
    ]
    this.random.pick(actions)()
  }

  #turn(driver: Driver): void {
    if (!driver.commitUnderWay) driver.handle({ kind: 'turn' })
  }

  #join(process?: Process): void {
    const generation = ++this.kafka.generation
    if (!process && this.random.chance(0.3)) this.#code++
    const member: Process = process ?? { code: this.#code, generation, refused: new Set() }
    member.generation = generation
    this.#drivers.push(new Driver(this, member))
  }

  get #owner(): Driver | undefined {
    return this.#drivers.at(-1)
  }

  /** The group re-balances: the owner may be asked to finish first, and may be its own successor. */
  #rebalance(): void {
    const owner = this.#owner
    if (!owner) return
    if (this.random.chance(0.6) && !owner.ended && !owner.paused) this.#finish(owner)
    const sameProcess = !owner.ended && !owner.paused && this.random.chance(0.5)
    // The mutant's former handler lives on; in the product the end of its membership ends it.
    if (this.mutant !== 'no-generation-gate' && sameProcess) this.#end(owner)
    this.#join(sameProcess ? owner.process : undefined)
  }

  /** Asked to leave; it may be cut short. */
  #finish(owner: Driver): void {
    owner.handle({ kind: 'leave' })
    for (let patience = this.random.below(120); patience > 0 && !owner.left && !owner.ended; patience--) {
      this.tick++
      if (this.random.chance(0.4)) this.#turn(owner)
      else this.#progress()
    }
  }

  #crash(): void {
    if (this.#owner) this.#end(this.#owner)
    this.#join()
  }

  /** Dead, but what it has sent is on its way. */
  #end(driver: Driver): void {
    driver.ended = true
    driver.hang()
  }

  #pauseAndMove(): void {
    if (this.#owner) this.#owner.paused = true
    this.#join()
  }

  #wake(): void {
    for (const driver of this.#drivers) driver.paused = false
  }

  #break(): void {
    const awake = this.#drivers.filter(({ ended, paused, busy }) => !ended && !paused && busy)
    if (awake.length > 0) this.random.pick(awake).breakConnection()
  }

  #expire(): void {
    if (this.random.chance(0.5)) this.bigQuery.expire()
  }

  /** An operator stops everything, waits, and sends the group back: what follows is to be there once more. */
  #reset(): void {
    const { offset, metadata } = this.kafka.committed
    if (offset <= 0 || !metadata.includes('"clean":true') || this.mutant === 'always-clean') return
    for (const driver of this.#drivers) driver.ended = true
    this.#packets = []
    this.#hanging = []
    const back = this.random.below(offset + 1)
    for (let at = back; at < offset; at++) this.#expected[at]!++
    this.kafka.committed = { offset: back, metadata: '' }
    this.#join()
  }

  /** Somebody else writes a row into the stream of a dead owner, where the next intent has room for more. */
  #meddle(): void {
    const { offset, metadata } = this.kafka.committed
    if (this.mutant !== 'none' || offset < 0 || metadata === '' || this.#meddled || this.random.chance(0.5)) return
    const log = JSON.parse(metadata) as { stream: string; offset: number; intents: [number, number][]; clean: boolean }
    const rows = log.stream ? this.bigQuery.rowsOf(log.stream) : undefined
    if (rows === undefined || log.clean) return
    let border = log.offset
    let proven = offset
    for (const [end, more] of log.intents) {
      if (border === rows) {
        if (more < 2) return
        this.#meddled = true
        for (const driver of this.#drivers) driver.ended = true
        this.#packets = []
        this.#hanging = []
        this.bigQuery.intrude(log.stream)
        this.#join()
        return this.#repair(proven)
      }
      border += more
      proven = end
    }
  }

  /** Sometimes the operator sees it and puts the group where it belongs, while the new owner is still in doubt. */
  #repair(position: number): void {
    const doubts = this.rules.get('read') ?? 0
    for (let patience = 60; patience > 0 && (this.rules.get('read') ?? 0) === doubts; patience--) this.#progress()
    if ((this.rules.get('read') ?? 0) === doubts || this.random.chance(0.5)) return
    this.kafka.committed = { offset: position, metadata: '' }
    for (let patience = 60; patience > 0 && !this.#owner?.ended; patience--) this.#progress()
    this.#join()
  }

  // The end: faults stop, the last owner works everything off, and what still hangs arrives.

  #heal(): Verdict {
    this.faults = { lostCommit: 0, later: 0, hungLater: 0, hungAppend: 0.6 }
    this.#wake()
    let left = HEALING_STEPS_MAX
    while (left-- > 0 && !this.#done()) {
      this.tick++
      if (this.#owner?.stopped) break
      if (!this.#owner || this.#owner.ended) this.#join()
      this.#progress()
    }
    for (const arrive of this.#hanging) arrive()
    return { ...this.#tally(), stopped: this.#owner?.stopped, meddled: this.#meddled, stuck: left <= 0 }
  }

  #done(): boolean {
    const owner = this.#owner
    return (
      owner !== undefined &&
      !owner.ended &&
      owner.caughtUp &&
      !this.#drivers.some((driver) => driver.busy && !driver.ended)
    )
  }

  #tally(): { missing: number[]; doubled: number[] } {
    const rows = new Array<number>(this.kafka.records.length).fill(0)
    for (const { offset } of this.bigQuery.table) rows[offset]!++
    const { offset: passed } = this.kafka.committed
    const missing: number[] = []
    const doubled: number[] = []
    this.kafka.records.forEach((kind, offset) => {
      const count = rows[offset] ?? 0
      const expected = this.#expected[offset] ?? 1
      if (kind === 'void') return
      if (count > expected) doubled.push(offset)
      // A dead letter stands for a row that is not there: the view hides it where there is one.
      if (count < expected && !(this.#mayBeLetter(kind) && this.bigQuery.letters.has(offset))) {
        if (!this.#owner?.stopped || offset < passed) missing.push(offset)
      }
    })
    return { missing, doubled }
  }

  #mayBeLetter(kind: RecordKind): boolean {
    return kind === 'dead' || kind === 'flips' || kind === 'poison'
  }
}
