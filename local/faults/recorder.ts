import type { Call } from './fault.ts'

/** Calls kept one by one; older ones are only counted. */
const CALLS_MAX = 10_000
/** Different (entry, service, method) that are counted; beyond it they are counted as method `other`. */
const TALLIES_MAX = 2_000

export interface Tally {
  entry: string
  service: Call['service']
  method: string
  count: number
}

export interface Recorder {
  record(call: Call): void
  /** The last calls, oldest first, at most 10,000. */
  calls(): readonly Call[]
  /** How often each entry called each method since the start or the last `clear`. */
  tallies(): readonly Tally[]
  clear(): void
}

/** Remembers who called what, so that a test can say which permissions a function really needs. */
export function createRecorder(): Recorder {
  let ring: Call[] = []
  let oldest = 0
  const tallies = new Map<string, Tally>()

  function keep(call: Call): void {
    if (ring.length < CALLS_MAX) {
      ring.push(call)
      return
    }
    ring[oldest] = call
    oldest = (oldest + 1) % CALLS_MAX
  }

  function count({ entry, service, method }: Call): void {
    const key = `${entry}\n${service}\n${method}`
    const tally = tallies.get(key)
    if (tally) tally.count++
    else if (tallies.size < TALLIES_MAX || method === 'other') tallies.set(key, { entry, service, method, count: 1 })
    else count({ entry: 'unknown', service, method: 'other', resource: '' })
  }

  return {
    record(call) {
      keep({ entry: call.entry, service: call.service, method: call.method, resource: call.resource })
      count(call)
    },
    calls: () => [...ring.slice(oldest), ...ring.slice(0, oldest)],
    tallies: () => [...tallies.values()].map((tally) => ({ ...tally })),
    clear() {
      ring = []
      oldest = 0
      tallies.clear()
    },
  }
}

/**
 * The entry that a user agent names (`millrace-chunk-load/0.1.0 gcloud-node-storage/8.4.0` is `chunk-load`), else
 * `unknown`. Takes what Node gives for a header.
 */
export function entryOf(userAgent: string | readonly string[] | undefined): string {
  const text = typeof userAgent === 'string' ? userAgent : (userAgent?.join(' ') ?? '')
  return /(?:^|\s)millrace-([a-z0-9][a-z0-9-]*)\//.exec(text)?.[1] ?? 'unknown'
}
