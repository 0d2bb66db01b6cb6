import { Owner } from '../../../shared/warehouse/protocol/owner.ts'
import type { Effect, Event } from '../../../shared/warehouse/protocol/events.ts'
import { type KafkaRecord, type ServerAnswer, type Table, type TableRow, tableOf } from './services.ts'
import type { World } from './world.ts'

/** What a mutant does to the effects of the untouched core, or to what they are answered. */
export type Mutant =
  | 'none'
  /** Rule 1: appends go out while the commit that names them is still under way. */
  | 'append-before-commit'
  /** Rule 1: a commit without an answer is taken for accepted, and the membership goes on. */
  | 'unanswered-commit-accepted'
  /** Rule 1: a commit without an answer is given up, and its handler goes on in the same generation. */
  | 'unanswered-commit-retried'
  /** Rule 2: the stream is counted, not finalized. */
  | 'no-fence'
  /** Rule 2: what landed is not counted. */
  | 'no-count'
  /** Rule 2: a handler of an earlier generation commits with the member's present one. */
  | 'no-generation-gate'
  /** Rule 3: every commit says `clean`. */
  | 'always-clean'
  /** Rule 4: a lost acknowledgement counts as written. */
  | 'lost-is-written'
  /** Rule 4: a lost acknowledgement counts as not written; the stream is closed, but not counted. */
  | 'lost-is-unwritten'
  /** Rule 4: "not now" is believed: when rows are refused, other pieces follow on the same stream. */
  | 'later-is-believed'
  /** Rule 5: the table is not asked. */
  | 'no-ask'
  /** Rule 5: rows of an earlier stream count too. */
  | 'ask-without-created'
  /** Rule 5: the route's table is asked, though the stream was of another one. */
  | 'ask-new-table'
  /** Rule 5: a log start beyond `k` is skipped, without an alarm and without an operator. */
  | 'loss-skipped'
  /** Rule 5: the log does not say that the partition has stopped. */
  | 'loss-forgotten'
  /** Rule 5: after an accepted loss the stream may hold rows that were ingested before. */
  | 'loss-keeps-created'
  /** Rule 5: the offset that the operator gave is taken although the topic holds the position. */
  | 'loss-taken-literally'
  /** Rule 3: a clean stream goes on although the route has another table. */
  | 'table-kept'
  /** Rule 6: dead letters count as durable when they are sent. */
  | 'letters-unconfirmed'
  /** Rule 6: refused rows are left out without a letter. */
  | 'refused-forgotten'

interface BuiltPiece {
  readonly rows: readonly TableRow[]
  readonly letters: readonly KafkaRecord[]
}

interface Request {
  readonly id: number
  readonly attempt: number
  readonly stream: string
  readonly offset: number
  readonly rows: readonly TableRow[]
}

/** One process: what was deployed, the generation of its member, and the rows it knows BigQuery to refuse. */
export interface Process {
  readonly code: number
  /** The route's. */
  readonly table: Table
  readonly acceptLossAt: number | undefined
  generation: number
  readonly refused: Set<KafkaRecord>
}

const ROWS_MAX = 5

/** The I/O around one owner: one membership of one process. Everything it sends is a packet of the world's network. */
export class Driver {
  readonly process: Process
  readonly generation: number
  /** The process is dead, or knows that its generation is over. */
  ended = false
  /** SIGSTOP: neither sends nor receives. */
  paused = false
  left = false
  stopped: string | undefined
  commitUnderWay = false
  readonly owner: Owner
  readonly #world: World
  readonly #pieces = new Map<number, BuiltPiece>()
  #position: number | undefined
  #ids = 0
  #lossAccepted = false
  /** The connection: requests on their way, and answers on theirs, both in order. */
  #requests: Request[] = []
  #answers: { request: Request; answer: string }[] = []

  constructor(world: World, process: Process) {
    this.#world = world
    this.process = process
    this.generation = process.generation
    this.owner = new Owner({
      isOwnStream: (stream) => tableOf(stream) === process.table || world.mutant === 'table-kept',
      from: 'start',
      acceptLossAt: process.acceptLossAt,
      logBytesMax: world.logBytesMax,
    })
    this.readCommit()
  }

  get busy(): boolean {
    return this.#requests.length > 0 || this.#answers.length > 0
  }

  get caughtUp(): boolean {
    return this.#position !== undefined && this.owner.durable === this.#world.kafka.end
  }

  readCommit(): void {
    this.#world.send(this, () => {
      const { committed, start, end } = this.#world.kafka
      const told = this.#world.mutant === 'loss-skipped' ? Math.min(start, Math.max(committed.offset, 0)) : start
      this.handle({ kind: 'read', ...committed, start: told, end, now: this.#world.tick })
    })
  }

  handle(event: Event): void {
    if (this.ended) return
    for (const effect of this.owner.handle(event)) this.#apply(effect)
  }

  /** Takes some records and makes a piece of them, as this process's code sees them. */
  fetch(): void {
    const { kafka, random, tick, mutant } = this.#world
    if (this.#position === undefined || this.left || this.stopped) return
    if (this.#position < kafka.start && mutant === 'loss-skipped') this.#position = kafka.start
    if (this.#position < kafka.start) return this.#halt('out-of-range')
    const available = kafka.end - this.#position
    if (available <= 0) return
    const from = this.#position
    const end = from + 1 + random.below(Math.min(available, ROWS_MAX))
    this.#position = end
    const rows: TableRow[] = []
    const letters: KafkaRecord[] = []
    kafka.records.slice(from, end).forEach((record, index) => {
      const becomes = this.#becomes(record)
      if (becomes === 'row') rows.push({ offset: from + index, record, ingestedAt: Math.max(tick, this.owner.since) })
      if (becomes === 'letter') letters.push(record)
    })
    const id = ++this.#ids
    this.#pieces.set(id, { rows, letters })
    this.handle({ kind: 'piece', id, end, rows: rows.length, letters: letters.length > 0 })
  }

  /** What it would fetch is gone: it finishes what is named, and waits for the operator. */
  #halt(reason: string): void {
    this.stopped = reason
    this.handle({ kind: 'leave', lost: true })
  }

  #becomes(record: KafkaRecord): 'row' | 'letter' | 'nothing' {
    const { kind } = record
    if (kind === 'void') return 'nothing'
    if (this.process.refused.has(record)) return this.#world.mutant === 'refused-forgotten' ? 'nothing' : 'letter'
    return kind === 'dead' || (kind === 'flips' && this.process.code % 2 === 1) ? 'letter' : 'row'
  }

  #apply(effect: Effect): void {
    const world = this.#world
    world.count(effect)
    switch (effect.kind) {
      case 'fetch':
        return this.#seek(effect.from)
      case 'finalize':
        return this.#finalize(effect.stream)
      case 'ask':
        return world.send(this, () => this.handle({ kind: 'asked', highest: this.#ask(effect) }))
      case 'read':
        return this.readCommit()
      case 'create':
        return world.send(this, () =>
          this.handle({ kind: 'created', stream: world.bigQuery.create(this.process.table) }),
        )
      case 'write letters':
        return this.#writeLetters(effect.id)
      case 'commit':
        return this.#commit(effect.offset, effect.metadata)
      case 'append':
        if (tableOf(effect.stream) !== this.process.table) world.misplaced++
        this.#requests.push({ ...effect, rows: this.#pieces.get(effect.id)?.rows ?? [] })
        return
      case 'wait':
        return world.send(this, () => this.handle({ kind: 'retry' }))
      case 'release':
        this.#pieces.delete(effect.id)
        return
      case 'rejoin':
        this.ended = true
        return
      case 'stop':
        this.stopped = effect.reason
        return
      case 'left':
        this.left = true
        return
      case 'note':
        if (effect.rule === 'loss-accepted') this.#lossAccepted = true
        return
    }
  }

  #seek(from: number): void {
    const { acceptLossAt } = this.process
    const literally = this.#world.mutant === 'loss-taken-literally' && this.#position === undefined
    this.#position = literally ? (acceptLossAt ?? from) : from
  }

  #finalize(stream: string): void {
    // A new connection is opened for the next stream: what is still under way hangs somewhere.
    this.hang()
    this.#world.send(this, () => {
      const { offset, metadata } = this.#world.kafka.committed
      const rows = this.#world.bigQuery.finalize(stream, this.#world.mutant !== 'no-fence')
      if (rows === 'gone') return this.handle({ kind: 'gone' })
      const mutants: Mutant[] = this.#position === undefined ? ['no-count'] : ['no-count', 'lost-is-unwritten']
      const ignored = mutants.includes(this.#world.mutant) && offset >= 0 && metadata !== ''
      this.handle({ kind: 'counted', rows: ignored ? Number(JSON.parse(metadata).offset) : rows })
    })
  }

  #ask({ stream, from, below, since }: Effect & { kind: 'ask' }): number | null {
    const { mutant, bigQuery } = this.#world
    if (mutant === 'no-ask') return null
    const table = mutant === 'ask-new-table' ? this.process.table : tableOf(stream)
    return bigQuery.highest(table, from, below, mutant === 'ask-without-created' ? 0 : since)
  }

  #writeLetters(id: number): void {
    const letters = this.#pieces.get(id)?.letters ?? []
    if (this.#world.mutant === 'letters-unconfirmed') {
      this.#world.hang(() => this.#world.random.chance(0.5) && letters.forEach((record) => (record.letter = true)))
      return this.handle({ kind: 'letters durable', id })
    }
    this.#world.send(this, () => {
      for (const record of letters) record.letter = true
      this.#world.send(this, () => this.handle({ kind: 'letters durable', id }))
    })
  }

  // Commits: one under way; without an answer the membership ends.

  #commit(offset: number, metadata: string): void {
    const { kafka, mutant } = this.#world
    const generation = mutant === 'no-generation-gate' ? () => this.process.generation : () => this.generation
    const written = this.#mutateLog(metadata)
    this.commitUnderWay = true
    const arrive = (then: (accepted: boolean) => void) => () => then(kafka.commit(generation(), offset, written))
    if (mutant === 'append-before-commit') {
      this.handle({ kind: 'committed' })
      return this.#world.send(
        this,
        arrive((accepted) => this.#world.send(this, () => this.#committed(accepted, false))),
      )
    }
    if (this.#world.random.chance(this.#world.faults.lostCommit)) return this.#loseCommit(arrive, offset, metadata)
    this.#world.send(
      this,
      arrive((accepted) => this.#world.send(this, () => this.#committed(accepted, true))),
    )
  }

  #mutateLog(metadata: string): string {
    const { mutant } = this.#world
    if (mutant === 'always-clean') return metadata.replace('"clean":false', '"clean":true')
    if (mutant === 'loss-forgotten') return metadata.replace(',"lost":true', '')
    if (mutant === 'loss-keeps-created' && this.#lossAccepted) return metadata.replace(/"created":\d+/, '"created":0')
    return metadata
  }

  #committed(accepted: boolean, tell: boolean): void {
    this.commitUnderWay = false
    if (!accepted) this.ended = true
    else if (tell) this.handle({ kind: 'committed' })
  }

  /** The request or its answer is late or lost; the client waits no longer. */
  #loseCommit(arrive: (then: () => void) => () => void, offset: number, metadata: string): void {
    if (this.#world.random.chance(0.5)) this.#world.hang(arrive(() => undefined))
    this.#world.send(this, () => {
      if (this.#world.mutant === 'unanswered-commit-accepted') return this.#committed(true, true)
      if (this.#world.mutant === 'unanswered-commit-retried') return this.#commit(offset, metadata)
      this.ended = true
    })
  }

  // Appends.

  /** The server takes the next request of the connection, and answers it. */
  serve(): void {
    const request = this.#requests.shift()
    if (!request) return
    const { random, faults } = this.#world
    if (random.chance(faults.later)) {
      // "Not now" is not always true: the very same request may land later.
      const landing = () => void this.#append(request)
      if (random.chance(faults.hungLater)) random.chance(0.5) ? landing() : this.#world.hang(landing)
      this.#answers.push({ request, answer: 'later' })
      return
    }
    this.#answers.push({ request, answer: this.#append(request) })
  }

  /** The client reads the next answer of the connection. */
  receive(): void {
    const next = this.#answers.shift()
    if (next) this.#answered(next.request, next.answer)
  }

  /** The connection breaks: nobody knows what became of what was under way. */
  breakConnection(): void {
    const unanswered = [...this.#answers.map(({ request }) => request), ...this.#requests]
    this.hang()
    for (const request of unanswered) this.#answered(request, 'lost')
  }

  /** What is on its way may still arrive, one by one, in any order. */
  hang(): void {
    const { random, faults } = this.#world
    for (const request of this.#requests) {
      if (random.chance(faults.hungAppend)) this.#world.hang(() => void this.#append(request))
    }
    this.#requests = []
    this.#answers = []
  }

  #append({ stream, offset, rows }: Request): ServerAnswer {
    return this.#world.bigQuery.append(stream, offset, rows)
  }

  #answered({ id, attempt, rows }: Request, answer: string): void {
    if (answer === 'refused')
      for (const { record } of rows) if (record.kind === 'poison') this.process.refused.add(record)
    this.handle({ kind: 'answer', id, attempt, answer: this.#mutate(answer) as 'written' })
  }

  #mutate(answer: string): string {
    const { mutant } = this.#world
    if (mutant === 'lost-is-written' && answer === 'lost') return 'written'
    // Refused without a refused row: read again from the last durable record, on the same stream.
    if (mutant === 'later-is-believed' && answer === 'later') return 'refused'
    return answer
  }
}
