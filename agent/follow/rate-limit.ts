/** A log that was slow may catch up by this much, in milliseconds of its rate. */
const BURST_MS_MIN = 1000

/** A burst is taken in this many steps at most. */
const STEPS = 8

/**
 * So many bytes a second of one log, all its files together: a token bucket. What is taken beyond it (an event is taken
 * whole) is waited for later.
 */
export class RateLimit {
  readonly #bytesPerMs: number
  readonly #burstBytes: number
  #bytes: number
  #atMs: number

  /** `everyMs`: how often somebody asks, at least; what the time between allows may be taken at once. */
  constructor(bytesPerSecond: number, everyMs: number, nowMs: number) {
    this.#bytesPerMs = bytesPerSecond / 1000
    this.#burstBytes = this.#bytesPerMs * Math.max(BURST_MS_MIN, everyMs)
    this.#bytes = this.#burstBytes
    this.#atMs = nowMs
  }

  /** Bytes that may be taken now; 0: none, or so few that it is better to wait for more. A clock that is set back costs nothing. */
  room(nowMs: number): number {
    this.#bytes = Math.min(this.#burstBytes, this.#bytes + Math.max(0, nowMs - this.#atMs) * this.#bytesPerMs)
    this.#atMs = nowMs
    return this.#bytes < this.#burstBytes / STEPS ? 0 : Math.floor(this.#bytes)
  }

  take(bytes: number): void {
    this.#bytes -= bytes
  }
}
