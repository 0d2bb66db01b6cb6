import type { Followed } from '../follow/index.ts'
import { Batch } from './batch.ts'
import type { Entry } from './positions.ts'
import type { Decision, Place } from './session.ts'

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
export interface Filling {
  readonly batch: Batch
  readonly updates: Map<string, Update>
  readonly decisions: Pending[]
  /** When its first event was read. */
  sinceMs: number
  /** Until then its memory is on its way. */
  sent: Promise<void>
}

/** What has been sent and not committed. */
export interface Open {
  readonly sinceMs: number
  readonly entries: Entry[]
  readonly decisions: Pending[]
  events: number
  bytes: number
  dead: number
}

/** While there is more to read, a transaction goes on until it has this many bytes of sources, or is this old. */
const TRANSACTION_BYTES_MAX = 32 * 1024 * 1024
const TRANSACTION_MS_MAX = 250

export function newFilling(): Filling {
  return { batch: new Batch(), updates: new Map(), decisions: [], sinceMs: 0, sent: Promise.resolve() }
}

export function clear({ batch, updates, decisions }: Filling): void {
  batch.clear()
  updates.clear()
  decisions.length = 0
}

export function isEmpty({ updates, decisions }: Filling): boolean {
  return updates.size === 0 && decisions.length === 0
}

export function newOpen(): Open {
  return { sinceMs: performance.now(), entries: [], decisions: [], events: 0, bytes: 0, dead: 0 }
}

export function isLarge({ bytes, sinceMs }: Open): boolean {
  return bytes >= TRANSACTION_BYTES_MAX || performance.now() - sinceMs >= TRANSACTION_MS_MAX
}
