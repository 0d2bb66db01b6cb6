/** Runs tasks one at a time, in the order in which they ask. */
export class Lock {
  #last: Promise<unknown> = Promise.resolve()

  run<T>(task: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(task)
    this.#last = mine.catch(() => undefined)
    return mine
  }
}
