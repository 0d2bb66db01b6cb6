import { setTimeout as delay } from 'node:timers/promises'
import { KafkaError, kafkaError } from './errors.ts'

/**
 * Answers that say that nothing was done: the last transaction is still ending, a coordinator or a leader is elsewhere or not
 * there yet. kafkajs would try again for some, but tests for names that it does not use.
 */
const NOTHING_DONE = new Set([
  'CONCURRENT_TRANSACTIONS',
  'GROUP_COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR_FOR_GROUP',
  'GROUP_LOAD_IN_PROGRESS',
  'NOT_LEADER_FOR_PARTITION',
  'LEADER_NOT_AVAILABLE',
])
/** Short, because back-to-back transactions meet CONCURRENT_TRANSACTIONS for a few milliseconds. */
const ASK_AGAIN_AFTER_MS = 5

/** Asks again while the answer says that nothing was done, or is one of `kinds`, for so long. Rejects with KafkaError. */
export async function askAgain<T>(ask: () => Promise<T>, withinMs: number, kinds: readonly KafkaError['kind'][] = []) {
  const begun = performance.now()
  for (;;) {
    try {
      return await ask()
    } catch (thrown) {
      const error = kafkaError(thrown)
      const worthIt = NOTHING_DONE.has(error.code) || kinds.includes(error.kind)
      if (!worthIt || performance.now() - begun > withinMs) throw error
      await delay(ASK_AGAIN_AFTER_MS)
    }
  }
}

/** Rejects when nothing came in time; what comes later is nobody's. */
export async function withTimeout<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const late = () => reject(new KafkaError('unreachable', 'TIMEOUT', `no answer within ${timeoutMs} ms`))
  const timer = setTimeout(late, timeoutMs)
  try {
    return await Promise.race([work, promise])
  } finally {
    clearTimeout(timer)
  }
}

/** Waits; false when the signal came first. */
export async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  await delay(ms, undefined, { signal }).catch(() => undefined)
  return !signal.aborted
}
