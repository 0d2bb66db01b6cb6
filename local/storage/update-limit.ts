import type { Clock } from '../clock/index.ts'

/** One write of new content to the same name, and one metadata update of the same object, a second: https://cloud.google.com/storage/quotas#objects */
const INTERVAL_MS = 1_000
/** Names remembered before old ones are forgotten. */
const NAMES_MAX = 10_000

export interface UpdateLimit {
  /** Whether a change of this kind may be made now; if so, it counts. */
  take(kind: 'write' | 'update', bucket: string, name: string): boolean
}

/** The limit by the stand-in's clock. Not enabled, it lets everything pass. */
export function createUpdateLimit(clock: Clock, enabled: boolean): UpdateLimit {
  const last = new Map<string, number>()

  function forgetOld(now: number): void {
    for (const [key, at] of last) {
      if (now - at < INTERVAL_MS) return // in the order of time, so the rest is younger
      last.delete(key)
    }
  }

  return {
    take(kind, bucket, name) {
      if (!enabled) return true
      const now = clock.now()
      const key = `${kind} ${bucket}/${name}`
      const at = last.get(key)
      if (at !== undefined && now - at < INTERVAL_MS) return false
      last.delete(key)
      last.set(key, now)
      if (last.size > NAMES_MAX) forgetOld(now)
      return true
    },
  }
}
