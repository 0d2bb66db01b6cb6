/** The time of the embedded cloud: the machine's, moved forward on demand so that tests need not wait for days. */
export interface Clock {
  /** Milliseconds since 1970, as the stand-ins see them. */
  now(): number
  /** Moves the time forward by `ms` (at least 0) and runs every timer that is due by then, in order. */
  advance(ms: number): void
  /** Runs `action` once when `ms` have passed, by the machine or by `advance`. Returns how to call it off. */
  after(ms: number, action: () => void): () => void
  /** Resolves when `ms` have passed, or rejects with the reason when `signal` aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** Calls `listener` after each `advance`, once its timers have run. Returns how to stop that. */
  onAdvance(listener: () => void): () => void
}

export interface ClockOptions {
  /** The time stands still and moves by `advance` alone. Default false. */
  frozen?: boolean
  /** The first `now()`, milliseconds since 1970; default: the machine's. */
  startMs?: number
}

interface Timer {
  readonly dueMs: number
  readonly action: () => void
}

/** The longest wait that Node's setTimeout takes, in milliseconds (2^31 - 1). */
const WAIT_MS_MAX = 2_147_483_647

/** A clock for one embedded cloud. Its timers keep no process alive. */
export function createClock({ frozen = false, startMs = Date.now() }: ClockOptions = {}): Clock {
  const origin = performance.now()
  const timers = new Set<Timer>()
  const listeners = new Set<() => void>()
  let aheadMs = 0
  let wake: NodeJS.Timeout | undefined

  const now = () => Math.floor(startMs + aheadMs + (frozen ? 0 : performance.now() - origin))

  function fireDue(): void {
    const due = [...timers].filter((timer) => timer.dueMs <= now()).sort((a, b) => a.dueMs - b.dueMs)
    for (const timer of due) if (timers.delete(timer)) timer.action()
    arm()
  }

  function arm(): void {
    clearTimeout(wake)
    if (frozen || timers.size === 0) return
    const next = Math.min(...[...timers].map((timer) => timer.dueMs))
    // One millisecond more, because `now` rounds down and a timer must not be looked at too early.
    wake = setTimeout(fireDue, Math.min(Math.max(next - now(), 0) + 1, WAIT_MS_MAX))
    wake.unref()
  }

  function after(ms: number, action: () => void): () => void {
    const timer = { dueMs: now() + ms, action }
    timers.add(timer)
    arm()
    return () => void timers.delete(timer)
  }

  function advance(ms: number): void {
    if (!(ms >= 0) || !Number.isFinite(ms)) throw new RangeError(`the clock moves forward only: advance(${ms})`)
    aheadMs += ms
    fireDue()
    for (const listener of [...listeners]) listener()
  }

  function sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const onAbort = () => {
        cancel()
        reject(signal?.reason)
      }
      const cancel = after(ms, () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      })
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  return {
    now,
    advance,
    after,
    sleep,
    onAdvance(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}
