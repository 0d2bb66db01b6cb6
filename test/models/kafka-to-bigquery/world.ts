import type { Effect } from '../../../shared/warehouse/protocol/events.ts'
import { Driver, type Mutant, type Process } from './driver.ts'
import { BigQuery, createRandom, Kafka, type KafkaRecord, type Random, type RecordKind, TABLES } from './services.ts'

const STEPS = 300
/** Chance, at each step, that something that hangs arrives. */
const ARRIVES_LATE = 0.03
const HEALING_STEPS_MAX = 20_000
/** Steps within which a topic that has lost its tail must be noticed, and the log say so. */
const ALARM_STEPS_MAX = 500
const KINDS: readonly RecordKind[] = ['row', 'row', 'row', 'row', 'row', 'dead', 'void', 'flips', 'flips']

/** How one schedule ended: records by their number in the order of production, over both tables. */
export interface Verdict {
  readonly missing: number[]
  readonly doubled: number[]
  /** Appends to a table that was not the route's. */
  readonly misplaced: number
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
  faults: Readonly<Record<'lostCommit' | 'later' | 'hungLater' | 'hungAppend' | 'newTable', number>>
  tick = 0
  misplaced = 0
  /** Also those that the topic holds no more. */
  readonly #records: KafkaRecord[] = []
  #packets: Packet[] = []
  /** Nobody waits for these any more; each arrives whenever it likes. */
  #hanging: (() => void)[] = []
  #drivers: Driver[] = []
  #code = 0
  #table = 0
  /** Where the topic ended when it had lost its tail. */
  #cutAt = 0
  /** `--accept-loss`, as the processes are started now. */
  #acceptLossAt: number | undefined
  #meddled = false

  constructor(seed: number, mutant: Mutant, rules: Map<string, number>) {
    this.random = createRandom(seed)
    this.mutant = mutant
    this.rules = rules
    this.logBytesMax = this.random.pick([95, 110, 140, 4096])
    const often = (probability: number) => (this.random.chance(0.5) ? probability : 0)
    const newTable = often(0.4)
    this.faults = { lostCommit: often(0.05), later: often(0.15), hungLater: often(0.4), hungAppend: 0.6, newTable }
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

  count(effect: Effect): void {
    const rule = effect.kind === 'note' ? effect.rule : effect.kind === 'stop' ? effect.reason : effect.kind
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
    else random.pick([() => this.#meddle(), () => this.#retain(), () => this.#truncate()])()
    if (random.chance(0.1)) this.#acceptLoss()
  }

  #produce(): void {
    for (let more = this.random.below(8); more >= 0; more--) {
      const kind = this.random.chance(0.02) ? 'poison' : this.random.pick(KINDS)
      const record = { kind, due: 1, lossAccepted: false, rows: 0, letter: false }
      this.kafka.records.push(record)
      this.#records.push(record)
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
    if (!process && this.random.chance(this.faults.newTable)) this.#table++
    const member: Process = process ?? this.#startProcess()
    member.generation = generation
    this.#drivers.push(new Driver(this, member))
  }

  #startProcess(): Process {
    const table = TABLES[this.#table % TABLES.length] ?? 'A'
    return { code: this.#code, table, acceptLossAt: this.#acceptLossAt, generation: 0, refused: new Set() }
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
    const { kafka, random } = this
    const { offset, metadata } = kafka.committed
    if (offset <= kafka.start || !metadata.endsWith('"clean":true}') || this.mutant === 'always-clean') return
    this.#stopEverything()
    const back = kafka.start + random.below(Math.min(offset, kafka.end) + 1 - kafka.start)
    for (const record of kafka.records.slice(back, offset)) record.due++
    kafka.committed = { offset: back, metadata: '' }
    this.#join()
  }

  /** Everything is ended, and what was under way has arrived or never will. */
  #stopEverything(): void {
    for (const driver of this.#drivers) driver.ended = true
    this.#packets = []
    this.#hanging = []
  }

  /** Retention is faster than the group, or nearly. What it takes before the first commit is nobody's. */
  #retain(): void {
    const { kafka, random } = this
    const near = Math.max(kafka.start, kafka.committed.offset) + 4
    kafka.start = Math.min(kafka.end, kafka.start + random.below(near - kafka.start))
    if (kafka.committed.offset < 0) this.#giveUp(kafka.start)
  }

  /** Nothing before this offset, nor what the topic has lost, need be there. */
  #giveUp(offset: number): void {
    const held = new Set(this.kafka.records.slice(offset))
    for (const record of this.#records) if (!held.has(record)) record.lossAccepted = true
  }

  /** The topic loses its tail, or is made again: later records have the offsets of earlier ones. The owner must alarm. */
  #truncate(): void {
    const { kafka } = this
    const { offset, metadata } = kafka.committed
    if (Math.min(offset, kafka.end) <= kafka.start || metadata === '' || this.#owner?.stopped || this.#meddled) return
    this.#stopEverything()
    this.#acceptLossAt = undefined
    this.#cutAt = kafka.start + this.random.below(Math.min(offset, kafka.end) - kafka.start)
    kafka.records.length = this.#cutAt
    this.#join()
    for (let patience = ALARM_STEPS_MAX; patience > 0 && !this.#hasAlarmed; patience--) {
      if (this.#owner?.ended) this.#join()
      this.#progress()
    }
    this.tick++
  }

  get #hasAlarmed(): boolean {
    return this.#owner?.stopped !== undefined && this.#owner.left
  }

  /** The operator sees the alarm, and lets the partition go on: where the topic begins or a little later, or where it ended. */
  #acceptLoss(): void {
    const { kafka } = this
    const reason = this.#owner?.stopped
    if (
      this.#owner === undefined ||
      (reason !== 'records-lost' && reason !== 'topic-replaced' && reason !== 'out-of-range')
    )
      return
    const from = reason === 'topic-replaced' ? Math.max(this.#cutAt, kafka.start) : kafka.start + this.random.below(3)
    const at = Math.min(kafka.end, from)
    this.#acceptLossAt = at
    this.#giveUp(at)
    this.#end(this.#owner)
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
        this.#stopEverything()
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
    this.faults = { lostCommit: 0, later: 0, hungLater: 0, hungAppend: 0.6, newTable: 0 }
    this.#wake()
    let left = HEALING_STEPS_MAX
    while (left-- > 0 && !this.#done()) {
      this.tick++
      this.#acceptLoss()
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

  #tally(): Pick<Verdict, 'missing' | 'doubled' | 'misplaced'> {
    const held = new Set(this.kafka.records.slice(this.kafka.committed.offset))
    const stopped = this.#owner?.stopped !== undefined
    const [missing, doubled]: [number[], number[]] = [[], []]
    this.#records.forEach((record, number) => {
      const { kind, due, rows, letter, lossAccepted } = record
      if (kind === 'void') return
      if (rows > due) doubled.push(number)
      // A dead letter stands for a row that is not there: the view hides it where there is one.
      const there = rows === due || (letter && this.#mayBeLetter(kind)) || lossAccepted || (stopped && held.has(record))
      if (rows < due && !there) missing.push(number)
    })
    return { missing, doubled, misplaced: this.misplaced }
  }

  #mayBeLetter(kind: RecordKind): boolean {
    return kind === 'dead' || kind === 'flips' || kind === 'poison'
  }
}
