/** Why a run is to end: what the user did, or a part that has gone and cannot come back. */
export type StopReason = 'SIGINT' | 'SIGTERM' | 'SIGHUP' | 'nobody reads' | Error

export class Stop {
  readonly #controller = new AbortController()

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  get aborted(): boolean {
    return this.#controller.signal.aborted
  }

  /** The first reason counts. */
  now(reason: StopReason): void {
    if (!this.aborted) this.#controller.abort(reason)
  }

  /** Throws when it was a failure that ended the run. */
  throwFailure(): void {
    if (this.#controller.signal.reason instanceof Error) throw this.#controller.signal.reason
  }
}

/** Ctrl-C, kill, a terminal that is closed, and a reader that has enough (`| head`). */
export function stopOfUser(): Stop {
  const stop = new Stop()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => stop.now(name))
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => stop.now('nobody reads'))
  return stop
}
