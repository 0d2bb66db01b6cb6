import { setTimeout as delay } from 'node:timers/promises'

/** Something to wait for: a wake-up call that came before the waiting counts too. */
export class Waker {
  #woken = false
  #wake: (() => void) | undefined

  wake(): void {
    this.#woken = true
    this.#wake?.()
  }

  /** Resolves at the next call of `wake`, or after `timeoutMs`. */
  async wait(timeoutMs: number): Promise<void> {
    if (!this.#woken && timeoutMs > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, timeoutMs)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    this.#wake = undefined
    this.#woken = false
  }

  /** Resolves after `ms`, or at the signal. */
  async pause(ms: number, signal: AbortSignal): Promise<void> {
    await delay(ms, undefined, { signal }).catch(() => undefined)
  }
}
