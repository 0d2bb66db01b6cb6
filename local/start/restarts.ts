/** A process that ended by itself is started again after this time, doubled each time up to the limit. */
const RESTART_AFTER_MS_MIN = 250
const RESTART_AFTER_MS_MAX = 5_000
/** A process that ran for this long was well: its next restart is quick again. */
const WELL_AFTER_MS = 10_000
/** So many failures one after the other are told together, once. */
const TOLD_TOGETHER = 3

/** What is to be done and said about an end that nobody asked for. */
export interface Verdict {
  readonly afterMs: number
  /** `again`: it ends each time it is started; `nothing`: that has been said. */
  readonly say: 'ended' | 'again' | 'nothing'
}

/** Decides when a service is started again, and keeps one that cannot start from filling the screen. */
export class Restarts {
  #afterMs = RESTART_AFTER_MS_MIN
  #failures = 0

  /** @param failed it ended by an exit code: who kills it from outside is told each time */
  ended(ranMs: number, failed: boolean): Verdict {
    if (ranMs >= WELL_AFTER_MS) {
      this.#afterMs = RESTART_AFTER_MS_MIN
      this.#failures = 0
    }
    const afterMs = this.#afterMs
    this.#afterMs = Math.min(2 * afterMs, RESTART_AFTER_MS_MAX)
    if (!failed) return { afterMs, say: 'ended' }
    this.#failures++
    const say = this.#failures < TOLD_TOGETHER ? 'ended' : this.#failures === TOLD_TOGETHER ? 'again' : 'nothing'
    return { afterMs, say }
  }
}
