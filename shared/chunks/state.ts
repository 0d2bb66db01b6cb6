import type { ObjectView } from './bucket.ts'
import { type Ranges, STATE_KEY } from './metadata.ts'

/** BigQuery keeps an uncommitted stream for 24 hours; an hour more for clocks that differ. */
export const STREAM_LIFE_MS = 25 * 3_600_000

/** An object at one generation: `bucket/name#generation`. */
export function objectId(bucket: string, { name, generation }: Pick<ObjectView, 'name' | 'generation'>): string {
  return `${bucket}/${name}#${generation}`
}

/** Where the loading of an object stands: the value of its metadata key `millrace-state`. Times in milliseconds. */
export type ChunkState =
  | { readonly state: 'none' }
  | { readonly state: 'writing'; readonly token: string; readonly until: number }
  | Committing
  | { readonly state: 'committed'; readonly rows: number; readonly deadLetters: number }
  | { readonly state: 'failed'; readonly reason: string }

/** A finalized stream and how many rows it holds. */
export interface FinalizedStream {
  readonly stream: string
  readonly count: number
}

/** Streams that are finalized and hold what was sent. An empty one is not named. */
export interface Committing {
  readonly state: 'committing'
  readonly token: string
  readonly since: number
  readonly rows?: FinalizedStream | undefined
  readonly deadLetters?: FinalizedStream | undefined
  /** For the row in `millrace_sources`: how many events the content holds, and the position behind the last. */
  readonly events: number
  readonly end: number
}

/** The value of STATE_KEY; it names its object (`objectId`), so that a copy of it counts as none. */
export function encodeState(object: string, state: ChunkState): string {
  return JSON.stringify({ v: 1, object, ...state })
}

/** A state that names another object came along with a copy: it counts as none. */
export function stateOf(bucket: string, object: Pick<ObjectView, 'name' | 'generation' | 'metadata'>): ChunkState {
  const text = object.metadata[STATE_KEY]
  if (text === undefined) return { state: 'none' }
  const { v, object: named, ...state } = JSON.parse(text) as ChunkState & { v: number; object: string }
  if (v !== 1) throw new Error(`millrace-state has version ${v}, this version reads 1`)
  return named === objectId(bucket, object) ? state : { state: 'none' }
}

/** What whoever handles an object does next. */
export type Step =
  | { readonly do: 'claim' }
  | { readonly do: 'write' }
  | { readonly do: 'commit'; readonly committing: Committing }
  | { readonly do: 'note-carried-by-kafka' }
  | { readonly do: 'later' | 'leave'; readonly reason: string }

/** The next step for the one who holds `token`, from a fresh reading of the object. */
export function nextStep(state: ChunkState, ranges: Ranges, token: string, nowMs: number): Step {
  switch (state.state) {
    case 'committed':
      return { do: 'leave', reason: 'committed' }
    case 'failed':
      return { do: 'leave', reason: `failed: ${state.reason}` }
    case 'committing':
      return { do: 'commit', committing: state }
    case 'writing':
      if (state.token === token) return { do: 'write' }
      return nowMs < state.until ? { do: 'later', reason: 'somebody else is writing it' } : { do: 'claim' }
    case 'none':
      if (ranges === 'undecided') return { do: 'leave', reason: 'undecided' }
      return ranges.length === 0 ? { do: 'note-carried-by-kafka' } : { do: 'claim' }
  }
}

/** What to do when BigQuery does not know a stream that `committing` names. */
export function whenStreamsAreGone({ since }: Committing, nowMs: number): 'later' | 'ask-the-table' {
  return nowMs - since < STREAM_LIFE_MS ? 'later' : 'ask-the-table'
}
