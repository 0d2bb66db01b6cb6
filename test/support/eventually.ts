import { setTimeout as delay } from 'node:timers/promises'

/** How often a condition is looked at, in milliseconds. */
const LOOK_EVERY_MS = 20
/** It costs only a test that fails: a machine with other things to do may stop every process for seconds. */
const PATIENCE_MS = 60_000

/**
 * Waits until `condition` neither throws nor returns false or undefined, and gives back what it returned.
 * After `timeoutMs`, and one look that began behind it, it throws the last failure.
 */
export async function eventually<T>(
  condition: () => T | Promise<T>,
  { timeoutMs = PATIENCE_MS, what = 'condition' }: { timeoutMs?: number; what?: string } = {},
): Promise<Exclude<T, false | undefined>> {
  const deadline = performance.now() + timeoutMs
  let last: unknown
  for (let isLast = false; !isLast; ) {
    isLast = performance.now() >= deadline
    try {
      const value = await condition()
      if (value !== false && value !== undefined) return value as Exclude<T, false | undefined>
      last = new Error(`${what} did not hold`)
    } catch (error) {
      last = error
    }
    if (!isLast) await delay(LOOK_EVERY_MS)
  }
  throw new Error(`${what}: not within ${timeoutMs} ms`, { cause: last })
}
