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
export function createClock(options: ClockOptions = {}): Clock {
  return new MovableClock(options)
}

class MovableClock implements Clock {
  readonly #frozen: boolean
  readonly #startMs: number
  readonly #origin = performance.now()
  readonly #timers = new Set<Timer>()
  readonly #listeners = new Set<() => void>()
  #aheadMs = 0
  #wake: NodeJS.Timeout | undefined

  constructor({ frozen = false, startMs = Date.now() }: ClockOptions) {
    this.#frozen = frozen
    this.#startMs = startMs
  }

  now(): number {
    const passedMs = this.#frozen ? 0 : performance.now() - this.#origin
    return Math.floor(this.#startMs + this.#aheadMs + passedMs)
  }

  advance(ms: number): void {
    if (!(ms >= 0) || !Number.isFinite(ms)) throw new RangeError(`the clock moves forward only: advance(${ms})`)
    this.#aheadMs += ms
    this.#fireDue()
    for (const listener of this.#listeners) listener()
  }

  after(ms: number, action: () => void): () => void {
    const timer = { dueMs: this.now() + ms, action }
    this.#timers.add(timer)
    this.#arm()
    return () => void this.#timers.delete(timer)
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const onAbort = () => {
        cancel()
        reject(signal?.reason)
      }
      const cancel = this.after(ms, () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      })
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  onAdvance(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  #fireDue(): void {
    const due = [...this.#timers].filter(({ dueMs }) => dueMs <= this.now()).sort((a, b) => a.dueMs - b.dueMs)
    for (const timer of due) if (this.#timers.delete(timer)) timer.action()
    this.#arm()
  }

  #arm(): void {
    clearTimeout(this.#wake)
    if (this.#frozen || this.#timers.size === 0) return
    const next = [...this.#timers].reduce((least, { dueMs }) => Math.min(least, dueMs), Number.POSITIVE_INFINITY)
    // One millisecond more, because `now` rounds down and a timer must not be looked at too early.
    const waitMs = Math.min(Math.max(next - this.now(), 0) + 1, WAIT_MS_MAX)
    this.#wake = setTimeout(() => this.#fireDue(), waitMs)
    this.#wake.unref()
  }
}
