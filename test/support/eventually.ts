import { setTimeout as delay } from 'node:timers/promises'

/** How often a condition is looked at, in milliseconds. */
const LOOK_EVERY_MS = 20

/**
 * Waits until `condition` neither throws nor returns false or undefined, and gives back what it returned.
 * After `timeoutMs` it throws the last failure.
 */
export async function eventually<T>(
  condition: () => T | Promise<T>,
  { timeoutMs = 10_000, what = 'condition' }: { timeoutMs?: number; what?: string } = {},
): Promise<Exclude<T, false | undefined>> {
  const deadline = Date.now() + timeoutMs
  let last: unknown
  do {
    try {
      const value = await condition()
      if (value !== false && value !== undefined) return value as Exclude<T, false | undefined>
      last = new Error(`${what} did not hold`)
    } catch (error) {
      last = error
    }
    await delay(LOOK_EVERY_MS)
  } while (Date.now() < deadline)
  throw new Error(`${what}: not within ${timeoutMs} ms`, { cause: last })
}
