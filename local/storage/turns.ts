export interface Turns {
  /**
   * Waits until nobody else has the turn of `key`, after telling whoever has it, and whoever waits, to give up.
   * Returns how to give the turn back.
   */
  enter(key: string, giveUp: () => void): Promise<() => void>
  isTaken(key: string): boolean
}

interface Turn {
  giveUp: () => void
  over: Promise<void>
}

/**
 * One at a time for each key, and the newest wins: a client that asks again has given up its former request, though
 * its connection may still look alive.
 */
export function createTurns(): Turns {
  const latest = new Map<string, Turn>()
  return {
    async enter(key, giveUp) {
      const before = latest.get(key)
      const { promise: over, resolve } = Promise.withResolvers<void>()
      const turn = { giveUp, over }
      latest.set(key, turn)
      before?.giveUp()
      await before?.over
      return () => {
        resolve()
        if (latest.get(key) === turn) latest.delete(key)
      }
    },
    isTaken: (key) => latest.has(key),
  }
}
