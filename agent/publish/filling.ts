import type { Followed } from '../follow/index.ts'
import { Batch } from './batch.ts'
import type { Entry } from './positions.ts'
import type { Decision, Place } from './session.ts'

/** A decision that waits for its transaction; `settle` is told whether that has made it. */
export interface Pending extends Decision {
  settle(isDone: boolean): void
}

/** A source that was read, and what is to become of its entry. */
export interface Update {
  readonly followed: Followed
  readonly place: Place
  finished: boolean
}

/** What is read and not sent. */
export class Filling {
  readonly batch = new Batch()
  readonly updates = new Map<string, Update>()
  readonly decisions: Pending[] = []
  /** When its first event was read. */
  sinceMs = 0
  /** Until then its memory is on its way. */
  sent = Promise.resolve()

  get isEmpty(): boolean {
    return this.updates.size === 0 && this.decisions.length === 0
  }

  clear(): void {
    this.batch.clear()
    this.updates.clear()
    this.decisions.length = 0
  }
}

/** While there is more to read, a transaction goes on until it has this many bytes of sources, or is this old. */
const TRANSACTION_BYTES_MAX = 32 * 1024 * 1024
const TRANSACTION_MS_MAX = 250

/** What has been sent and not committed. */
export class Transaction {
  readonly entries: Entry[] = []
  readonly decisions: Pending[] = []
  readonly counts = { events: 0, bytes: 0, dead: 0 }
  readonly #sinceMs = performance.now()

  get isLarge(): boolean {
    return this.counts.bytes >= TRANSACTION_BYTES_MAX || performance.now() - this.#sinceMs >= TRANSACTION_MS_MAX
  }
}
