import type { Intent } from './log.ts'

/** Records up to Kafka offset `end`, as one append of `rows` rows; without rows nothing is appended. */
export interface Piece {
  readonly id: number
  readonly end: number
  readonly rows: number
  /** Its dead letters are not durable yet: neither it nor anything behind it may be named. */
  lettersPending: boolean
  /** new -> naming (in the commit under way) -> named (in the accepted one) -> sent -> done. */
  state: 'new' | 'naming' | 'named' | 'sent' | 'done'
  /** The stream's end that its append expects; set when it is named. */
  offset: number
  /** Number of its last sending to the present stream (0: none), and whether that was not the first. */
  attempt: number
  resent: boolean
}

/** The pieces of a partition that are not durable yet, in order, and what they follow. */
export class Pieces {
  /** Everything before this Kafka offset is durable; the stream held `base` rows then. */
  durable = 0
  base = 0
  #queue: Piece[] = []
  #attempts = 0

  get empty(): boolean {
    return this.#queue.length === 0
  }

  /** Something is sent and not answered. */
  get underWay(): boolean {
    return this.#queue.some(({ state }) => state === 'sent')
  }

  push(id: number, end: number, rows: number, lettersPending: boolean): void {
    this.#queue.push({ id, end, rows, lettersPending, state: 'new', offset: 0, attempt: 0, resent: false })
  }

  lettersDurable(id: number): void {
    const piece = this.#queue.find((candidate) => candidate.id === id)
    if (piece) piece.lettersPending = false
  }

  /** The piece that waits for the answer to this sending. */
  sent(id: number, attempt: number): Piece | undefined {
    return this.#queue.find((piece) => piece.id === id && piece.attempt === attempt && piece.state === 'sent')
  }

  /** The next piece that could be named, if its dead letters and those before it are durable. */
  nextNew(): Piece | undefined {
    for (const piece of this.#queue) {
      if (piece.lettersPending) return undefined
      if (piece.rows > 0 && piece.state === 'new') return piece
    }
    return undefined
  }

  name(piece: Piece): void {
    piece.state = 'naming'
    piece.offset = this.base + this.#named().reduce((rows, other) => (other === piece ? rows : rows + other.rows), 0)
  }

  /** What the log says is, or may come, under way. */
  intents(): Intent[] {
    return this.#named().map(({ end, rows }) => [end, rows] as const)
  }

  #named(): Piece[] {
    return this.#queue.filter(({ rows, state }) => rows > 0 && state !== 'new')
  }

  /** The commit was accepted: what it names may be sent. */
  accept(): void {
    for (const piece of this.#queue) if (piece.state === 'naming') piece.state = 'named'
  }

  /** Marks what is named and not under way as sent, and gives it in order. */
  send(): Piece[] {
    const ready = this.#queue.filter(({ state }) => state === 'named')
    for (const piece of ready) {
      piece.state = 'sent'
      piece.resent = piece.attempt > 0
      piece.attempt = ++this.#attempts
    }
    return ready
  }

  /** Moves `durable` over what is done; gives the pieces that it passed. */
  advance(): Piece[] {
    const waiting = (piece: Piece) => piece.lettersPending || (piece.rows > 0 && piece.state !== 'done')
    const first = this.#queue.findIndex(waiting)
    const passed = this.#queue.splice(0, first < 0 ? this.#queue.length : first)
    for (const { end, rows } of passed) {
      this.durable = end
      this.base += rows
    }
    return passed
  }

  /** Gives up everything; what follows begins at `position`. */
  rewind(position: number): Piece[] {
    this.durable = position
    return this.#queue.splice(0)
  }

  /** Gives up what no commit names. */
  dropNew(): Piece[] {
    return this.#queue.splice(this.#queue.findLastIndex(({ state }) => state !== 'new') + 1)
  }

  /**
   * The stream is closed, and everything before `position` proved durable: gives the pieces that landed; the others are new
   * again, for another stream. Undefined when the position is at no border of theirs.
   */
  restart(position: number): Piece[] | undefined {
    const landed = this.#queue.findLastIndex(({ end }) => end === position) + 1
    if (landed === 0 && position !== this.durable) return undefined
    this.durable = position
    const passed = this.#queue.splice(0, landed)
    for (const piece of this.#queue) {
      piece.state = 'new'
      piece.attempt = 0
    }
    return passed
  }
}
