interface Turn {
  giveUp: () => void
  over: Promise<void>
}

/**
 * One at a time for each key, and the newest wins: a client that asks again has given up its former request, though
 * its connection may still look alive.
 */
export class Turns {
  readonly #latest = new Map<string, Turn>()

  /**
   * Waits until nobody else has the turn of `key`, after telling whoever has it, and whoever waits, to give up.
   * Returns how to give the turn back.
   */
  async enter(key: string, giveUp: () => void): Promise<() => void> {
    const before = this.#latest.get(key)
    const { promise: over, resolve } = Promise.withResolvers<void>()
    const turn = { giveUp, over }
    this.#latest.set(key, turn)
    before?.giveUp()
    await before?.over
    return () => {
      resolve()
      if (this.#latest.get(key) === turn) this.#latest.delete(key)
    }
  }

  isTaken(key: string): boolean {
    return this.#latest.has(key)
  }
}
