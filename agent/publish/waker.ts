import { setTimeout as delay } from 'node:timers/promises'

/** Something to wait for: a wake-up call that came before the waiting counts too. */
export class Waker {
  #call = new AbortController()

  wake(): void {
    this.#call.abort()
  }

  /** Resolves at the next call of `wake`, or after `timeoutMs`. */
  async wait(timeoutMs: number): Promise<void> {
    await this.pause(timeoutMs, this.#call.signal)
    this.#call = new AbortController()
  }

  /** Resolves after `ms`, or at the signal. */
  async pause(ms: number, signal: AbortSignal): Promise<void> {
    await delay(ms, undefined, { signal }).catch(() => undefined)
  }
}
