import { type Bucket, decodeMetadata, type ObjectView, stateOf } from '../chunks/index.ts'
import type { Config } from '../config/index.ts'
import { messageOf } from '../errors.ts'

const DAY_MS = 86_400_000
/** Objects that are looked at, at most; a page of the listing has a thousand. */
const OBJECTS_MAX = 20_000
const LISTED_MAX = 1000
/** A backfill comes each minute: what is decided is loaded by then. */
const WAITING_MS_MAX = 3_600_000
/** An agent needs some rounds for a decision that has become due. */
const DECIDING_MS_MAX = 600_000

/** An object of the bucket that is not committed. */
export interface OpenChunk {
  readonly object: string
  /** `waiting`: decided, or another's than an agent's. */
  readonly state: 'undecided' | 'waiting' | 'failed'
  /** Since it was created. */
  readonly age_seconds: number
  /** For longer than it may be. */
  readonly late: boolean
  readonly reason?: string
}

/** `since`: the first day (UTC) that was looked at; `listed`: the first of those not committed; `cut`: where the listing ended early. */
export type ChunksStatus = Awaited<ReturnType<typeof askChunks>>

/**
 * What is not committed in the bucket: the chunks of sources that were first read in the last `days`, the latest first, and the
 * objects of others. Rejects when the bucket cannot be read.
 */
export async function askChunks(bucket: Bucket, config: Config, days: number) {
  const nowMs = Date.now()
  const counts = { committed: 0, undecided: 0, waiting: 0, failed: 0 }
  const listed: OpenChunk[] = []
  const dates = Array.from({ length: days }, (_, ago) => new Date(nowMs - ago * DAY_MS).toISOString().slice(0, 10))
  let seen = 0
  let cut: string | undefined
  for await (const { object, state, reason } of stagesOf(bucket, config, dates)) {
    if (++seen > OBJECTS_MAX) {
      cut = object.name
      break
    }
    counts[state]++
    if (state === 'committed' || listed.length === LISTED_MAX) continue
    const ageMs = nowMs - object.createdMs
    const late = ageMs > lateAfterMs(state, config)
    listed.push({ object: object.name, state, age_seconds: Math.round(ageMs / 1000), late, ...(reason && { reason }) })
  }
  const { committed: _, ...open } = counts
  return { since: dates.at(-1)!, seen: Math.min(seen, OBJECTS_MAX), ...open, listed, ...(cut && { cut }) }
}

type Stage = Pick<OpenChunk, 'reason'> & { readonly state: OpenChunk['state'] | 'committed' }

/** Of agents' chunks a prefix for each route and day, of others' objects what the routes say. */
async function* stagesOf(bucket: Bucket, { routes }: Config, dates: readonly string[]) {
  const days = dates.flatMap((date) => Object.keys(routes).map((name) => `${name}/${date.replaceAll('-', '/')}/`))
  const foreign = new Set(Object.values(routes).flatMap(({ prefix }) => prefix ?? []))
  for (const [isForeign, prefixes] of [[false, days] as const, [true, foreign] as const]) {
    for (const prefix of prefixes) {
      for await (const object of bucket.list(prefix)) {
        const stage = stageOf(bucket.name, object, isForeign)
        if (stage) yield { object, ...stage }
      }
    }
  }
}

/** Undefined: not what this prefix is listed for. */
function stageOf(bucket: string, object: ObjectView, foreign: boolean): Stage | undefined {
  try {
    const chunk = decodeMetadata(object.metadata)
    if (foreign === (chunk !== undefined) || object.name.endsWith('/')) return undefined
    const state = stateOf(bucket, object)
    if (state.state === 'committed' || state.state === 'failed') return state
    return { state: chunk?.ranges === 'undecided' ? 'undecided' : 'waiting' }
  } catch (error) {
    return { state: 'failed', reason: `broken metadata: ${messageOf(error)}` }
  }
}

function lateAfterMs(state: OpenChunk['state'], { agent }: Config): number {
  if (state === 'undecided') return agent.finish_after + agent.handover_after + DECIDING_MS_MAX
  return state === 'waiting' ? WAITING_MS_MAX : -Infinity
}
