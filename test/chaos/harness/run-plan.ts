import { setTimeout as delay } from 'node:timers/promises'
import type { Step } from './plan.ts'

/**
 * Does what the plan says at its times. Harms of one lane wait for each other: one that comes too early is late, never dropped;
 * those of different lanes go side by side. Rejects with the first failure of a harm.
 */
export async function runPlan<H>(
  plan: readonly Step<H>[],
  laneOf: (harm: H) => string,
  act: (harm: H) => void | Promise<void>,
): Promise<void> {
  const begunMs = performance.now()
  const failed = new AbortController()
  const lanes = new Map<string, Promise<void>>()
  for (const { atMs, harm } of plan) {
    await delay(Math.max(0, begunMs + atMs - performance.now()), undefined, { signal: failed.signal }).catch(
      () => undefined,
    )
    if (failed.signal.aborted) break
    const lane = laneOf(harm)
    const done = (lanes.get(lane) ?? Promise.resolve()).then(() => act(harm))
    done.catch((error: unknown) => failed.abort(error))
    lanes.set(lane, done)
  }
  await Promise.all(lanes.values())
}
