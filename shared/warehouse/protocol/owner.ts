import type { Effect, Event, Rule, StopReason } from './events.ts'
import { type Commit, decodeLog, EMPTY_LOG, encodeLog, type Log, LOG_BYTES_MAX } from './log.ts'
import { type Piece, Pieces } from './pieces.ts'
import { lossAt, takeOver } from './take-over.ts'

export interface OwnerOptions {
  /** Whether a stream belongs to the route's table. */
  readonly isOwnStream: (stream: string) => boolean
  /** Where to begin without a commit. */
  readonly from: 'start' | 'end'
  /** The offset at which the operator lets the partition go on although records were lost. */
  readonly acceptLossAt?: number | undefined
  readonly logBytesMax?: number
}

type Phase =
  /** Waits for the commit. */
  | 'reading'
  /** Waits for the commit under way to be answered, before Finalize. */
  | 'fencing'
  /** Waits for an answer about the former stream. */
  | 'taking over'
  /** Names pieces and sends them. */
  | 'running'
  /** Everything under way was answered "not now". */
  | 'waiting'
  | 'over'

/**
 * The decisions of one partition's owner in one generation: told what has happened, it says what to do. No I/O, no clock, no
 * randomness. Rules and words: docs/protocols/kafka-to-bigquery.md. When the membership ends it is thrown away.
 */
export class Owner {
  readonly #options: OwnerOptions
  #phase: Phase = 'reading'
  /** Fetching has begun. */
  #begun = false
  #leaving = false
  /** The offsets that the topic held when the commit was read. */
  #topic = { start: 0, end: 0 }
  /** The last commit that is known to be accepted, and the one under way. */
  #accepted: Commit = { offset: -1, log: EMPTY_LOG }
  #committing: Commit | undefined
  #takeOver = takeOver(this.#accepted)
  #checkpoint = false
  /** The topic does not hold what would be fetched next, and nobody has accepted that. */
  #lost = false
  /** The stream that takes the next append. */
  #stream: string | null = null
  #created = 0
  /** When this owner began. */
  #since = 0
  #creating = false
  /** Something sent to the stream was answered "not now": whatever the answer said, a copy may land later. */
  #doubtful = false
  readonly #pieces = new Pieces()
  /** An append under way was answered with a failure: what to do when all are answered. */
  #failed: 'rewind' | 'wait' | undefined
  /** Streams in a row that ended without a durable row. */
  #failures = 0
  #effects: Effect[] = []

  constructor(options: OwnerOptions) {
    this.#options = options
  }

  /** Everything before this Kafka offset is durable. */
  get durable(): number {
    return this.#pieces.durable
  }

  /** No row that goes to the present stream may say it was ingested before this: milliseconds since 1970. */
  get since(): number {
    return this.#stream === null ? this.#since : Math.max(this.#since, this.#created)
  }

  /** One call at a time. Answers that nobody waits for any more are ignored. */
  handle(event: Event): Effect[] {
    this.#effects = []
    if (this.#phase !== 'over') this.#dispatch(event)
    if (this.#leaving) this.#settle()
    return this.#effects
  }

  #dispatch(event: Event): void {
    switch (event.kind) {
      case 'read':
        return this.#phase === 'reading' ? this.#onRead(event) : this.#proceed(event)
      case 'counted':
      case 'gone':
      case 'asked':
        return this.#proceed(event)
      case 'created':
        return this.#onCreated(event.stream)
      case 'piece':
        return this.#onPiece(event)
      case 'letters durable':
        this.#pieces.lettersDurable(event.id)
        return this.#advance()
      case 'answer':
        return this.#onAnswer(event)
      case 'retry':
        return this.#onRetry()
      case 'turn':
        return this.#onTurn()
      case 'committed':
        return this.#onCommitted()
      case 'checkpoint':
        this.#checkpoint = true
        return
      case 'leave':
        return this.#onLeave(event.lost === true)
    }
  }

  // Taking over, from another owner or from itself.

  #onRead({ offset, metadata, start, end, now }: Event & { kind: 'read' }): void {
    this.#topic = { start, end }
    this.#since = now
    this.#pieces.durable = Math.max(0, offset)
    const decoded = decodeLog(metadata, offset)
    if (decoded.kind === 'log') this.#accepted = { offset, log: decoded.log }
    if (offset < 0) return this.#beginAnew(this.#options.from === 'start' ? start : end, 'first-start', 'no commit')
    if (decoded.kind === 'foreign') return this.#stop('foreign-log', `commit at ${offset}: ${decoded.message}`)
    if (decoded.kind === 'wiped') return this.#beginAnew(offset, 'offsets-reset', 'a commit without metadata')
    const { log } = decoded
    if (log.clean || log.stream === null) return this.#adopt(offset, log)
    this.#note('taken-over', `finalizes ${log.stream}, ${log.intents.length} intents from ${offset}`)
    this.#close()
  }

  /** Committed before anything else, so that the same question has the same answer next time. */
  #beginAnew(position: number, rule: Rule, why: string): void {
    this.#note(rule, `${why}: begins at ${position}`)
    this.#checkpoint = true
    this.#begin(position)
  }

  #adopt(position: number, { stream, created, offset }: Log): void {
    if (stream !== null && this.#options.isOwnStream(stream)) {
      this.#note('adopted', `goes on with ${stream} at row ${offset}`)
      this.#stream = stream
      this.#created = created
      this.#pieces.base = offset
    } else if (stream !== null) {
      this.#note('table-changed', `${stream} is of another table`)
    }
    this.#begin(position)
  }

  /** Closes the stream of the accepted commit, and finds out what has landed. */
  #close(): void {
    this.#phase = 'taking over'
    this.#takeOver = takeOver(this.#accepted)
    this.#proceed()
  }

  #proceed(...answer: [] | [Event]): void {
    if (this.#phase !== 'taking over') return
    const { done, value } = this.#takeOver.next(...answer)
    if (!done) return value.forEach((effect) => this.#emit(effect))
    if (value === 'rejoin') {
      this.#phase = 'over'
      this.#emit({ kind: 'rejoin' })
    } else if ('stop' in value) this.#stop(...value.stop)
    else this.#continueAt(value.position)
  }

  /** The former stream is closed, and everything before `position` is durable. */
  #continueAt(position: number): void {
    this.#stream = null
    this.#pieces.base = 0
    this.#doubtful = false
    this.#failed = undefined
    if (!this.#begun) return this.#begin(position)
    this.#phase = 'running'
    const landed = this.#pieces.restart(position)
    // At no border: less than was acknowledged, so the table itself is another one now. Its rows decide.
    if (!landed) return this.#rewind(position)
    this.#release(landed, true)
    this.#advance()
  }

  /** Fetches from `position` on, unless the topic does not hold it. */
  #begin(position: number): void {
    this.#phase = 'running'
    const loss = lossAt(position, this.#accepted.log, this.#topic)
    const { start, end } = this.#topic
    const { acceptLossAt = -1 } = this.#options
    if (!loss) return this.#rewind(position)
    if (acceptLossAt < start || acceptLossAt > end) {
      const not = acceptLossAt < 0 ? '' : `; ${acceptLossAt} is not accepted: the topic has ${start} to ${end}`
      return this.#alarm(position, loss[0], loss[1] + not)
    }
    this.#note('loss-accepted', `goes on at ${acceptLossAt} instead of ${position}`)
    // Earlier rows may have the offsets that come now: only a stream made after them tells them apart.
    this.#stream = null
    this.#pieces.base = 0
    this.#checkpoint = true
    this.#rewind(acceptLossAt)
  }

  /** Says so in the log, too: however the topic grows, the next owner must not go on as if nothing had been. */
  #alarm(position: number, reason: StopReason, message: string): void {
    this.#pieces.rewind(position)
    this.#emit({ kind: 'stop', reason, message })
    this.#onLeave(true)
  }

  /** Gives up what is not durable and fetches it again. */
  #rewind(position: number): void {
    this.#begun = true
    this.#failed = undefined
    this.#release(this.#pieces.rewind(position), false)
    this.#emit({ kind: 'fetch', from: position })
  }

  // Pieces: named by a commit, then sent, then durable.

  #onPiece({ id, end, rows, letters }: Event & { kind: 'piece' }): void {
    if (this.#leaving || !this.#begun) return this.#emit({ kind: 'release', id, durable: false })
    this.#pieces.push(id, end, rows, letters)
    if (letters) this.#emit({ kind: 'write letters', id })
    this.#advance()
  }

  #onTurn(): void {
    if (!this.#mayCommit) return
    const named = this.#name()
    if (!this.#mayCommit) return // there was no room for one intent
    const commit = this.#commitNow()
    if (!named && !(this.#checkpoint && !this.#isAccepted(commit))) return
    this.#checkpoint = false
    this.#committing = commit
    this.#emit({ kind: 'commit', offset: commit.offset, metadata: encodeLog(commit.log) })
  }

  get #mayCommit(): boolean {
    return this.#phase === 'running' && !this.#committing && !this.#failed
  }

  /** Names pieces as long as the log has room for their intents. */
  #name(): boolean {
    let named = false
    for (let piece = this.#pieces.nextNew(); piece; piece = this.#pieces.nextNew()) {
      if (this.#stream === null || !this.#hasRoomFor(piece)) break
      this.#pieces.name(piece)
      named = true
    }
    if (this.#stream === null && this.#pieces.nextNew() && !this.#creating) {
      this.#creating = true
      this.#emit({ kind: 'create', failures: this.#failures })
    }
    return named
  }

  #hasRoomFor({ end, rows }: Piece): boolean {
    const { log } = this.#commitNow()
    const intents = [...log.intents, [end, rows] as const]
    const bytes = Buffer.byteLength(encodeLog({ ...log, intents, clean: false }))
    if (bytes <= (this.#options.logBytesMax ?? LOG_BYTES_MAX)) return true
    if (log.intents.length > 0) this.#note('room-waited', 'the next intent waits for room in the log')
    else this.#stop('no-room', `the name ${this.#stream} leaves no room for one intent`)
    return false
  }

  #onCreated(stream: string): void {
    this.#creating = false
    this.#stream = stream
    // Not the moment of creation: the rows that wait for the stream are older.
    this.#created = this.#since
  }

  #commitNow(): Commit {
    const intents = this.#pieces.intents()
    const clean = intents.length === 0
    const stream = { stream: this.#stream, created: this.#created, offset: this.#pieces.base }
    const log = this.#stream === null ? EMPTY_LOG : { ...stream, intents, clean }
    return { offset: this.durable, log: { ...log, lost: this.#lost, partitions: this.#accepted.log.partitions } }
  }

  #isAccepted({ offset, log }: Commit): boolean {
    return offset === this.#accepted.offset && encodeLog(log) === encodeLog(this.#accepted.log)
  }

  #onCommitted(): void {
    if (!this.#committing) return
    this.#accepted = this.#committing
    this.#committing = undefined
    this.#pieces.accept()
    if (this.#phase === 'fencing') this.#close()
    else if (this.#phase === 'running' && !this.#failed) this.#send()
  }

  #send(): void {
    for (const { id, attempt, offset } of this.#pieces.send()) {
      this.#emit({ kind: 'append', id, attempt, stream: this.#stream ?? '', offset })
    }
  }

  #onAnswer({ id, attempt, answer }: Event & { kind: 'answer' }): void {
    const piece = this.#pieces.sent(id, attempt)
    if (!piece || this.#phase !== 'running') return
    const landedBefore = answer === 'exists' && piece.resent
    if (landedBefore) this.#note('resent-landed', 'an append that was answered "not now" had landed')
    if ((answer === 'written' || landedBefore) && !this.#failed) return this.#onWritten(piece)
    const expected = answer === 'refused' || answer === 'later' || (answer === 'gap' && this.#failed)
    if (!expected) return this.#onSurprise(answer)
    piece.state = 'named'
    if (answer === 'later') this.#doubtful = true
    if (answer === 'refused') this.#failed = 'rewind'
    this.#failed ??= 'wait'
    if (!this.#pieces.underWay) this.#onAllAnswered()
  }

  #onWritten(piece: Piece): void {
    piece.state = 'done'
    this.#failures = 0
    this.#advance()
  }

  /** Takes over from itself, when the commit under way is answered. */
  #onSurprise(answer: string): void {
    this.#note('surprise', `an append was answered ${answer}: finalizes ${this.#stream}`)
    this.#failures++
    if (this.#committing) this.#phase = 'fencing'
    else this.#close()
  }

  #onAllAnswered(): void {
    if (this.#failed === 'wait') {
      this.#phase = 'waiting'
      this.#note('waited', 'the service said "not now"')
      this.#emit({ kind: 'wait' })
    } else if (this.#doubtful) {
      // Other pieces will come: an older copy of these must not land behind their back.
      this.#onSurprise('refused')
    } else {
      this.#note('refused', `rows were refused: reads again from ${this.durable}`)
      this.#rewind(this.durable)
    }
  }

  #onRetry(): void {
    if (this.#phase !== 'waiting') return
    this.#phase = 'running'
    this.#failed = undefined
    this.#send()
  }

  #advance(): void {
    this.#release(this.#pieces.advance(), true)
  }

  // Leaving.

  #onLeave(lost: boolean): void {
    this.#leaving = true
    this.#lost ||= lost
    this.#release(this.#pieces.dropNew(), false)
  }

  /** Nothing under way: commits `clean` with the next turn. In doubt about an append: leaves the doubt to the next owner. */
  #settle(): void {
    if (this.#phase === 'running') {
      if (!this.#pieces.empty || this.#committing) return
      if (!this.#isAccepted(this.#commitNow())) {
        this.#checkpoint = true
        return
      }
    } else if (this.#phase !== 'waiting' && this.#phase !== 'reading') return // over, or still taking over
    this.#phase = 'over'
    this.#emit({ kind: 'left' })
  }

  #release(pieces: readonly Piece[], durable: boolean): void {
    for (const { id } of pieces) this.#emit({ kind: 'release', id, durable })
  }

  #stop(reason: StopReason, message: string): void {
    this.#phase = 'over'
    this.#release(this.#pieces.rewind(this.durable), false)
    this.#emit({ kind: 'stop', reason, message })
    this.#emit({ kind: 'left' })
  }

  #note(rule: Rule, message: string): void {
    this.#emit({ kind: 'note', rule, message })
  }

  #emit(effect: Effect): void {
    this.#effects.push(effect)
  }
}
