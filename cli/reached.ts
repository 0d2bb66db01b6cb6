import { setTimeout as delay } from 'node:timers/promises'

/** Whoever has not answered a first, small question by then cannot be reached. The services' clients would try for a minute or more. */
const REACH_WITHIN_MS = 5000

/** The answer. Rejects when there is none in time, or none at all; the client may go on trying. */
export function reached<T>(who: string, question: Promise<T>): Promise<T> {
  const late = delay(REACH_WITHIN_MS, undefined, { ref: false }).then(() => {
    throw new Error(`no answer of ${who} within ${REACH_WITHIN_MS / 1000} s`)
  })
  return Promise.race([question, late])
}
