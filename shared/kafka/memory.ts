/**
 * Memory that is large and short-lived: an answer to a fetch, what a batch was decompressed to. It is freed the moment that nobody
 * needs it: the garbage collector hears of it too late, holds a hundred megabytes of it, and works more for it than all the
 * rest of the fetch. Freed means detached: every view of it has length 0 from then on, so what is used too late reads nothing, never
 * the bytes of another.
 */
export function free(memory: Buffer): void {
  // Smaller ones may be a part of the slab that all small buffers share.
  if (memory.buffer.byteLength > Buffer.poolSize) (memory.buffer as ArrayBuffer).transfer(0)
}

/** Memory with several holders, the first of them its maker: freed when the last has let go. One that forgets leaves it to the collector. */
export class SharedMemory {
  readonly #memory: Buffer
  #holders = 1

  constructor(memory: Buffer) {
    this.#memory = memory
  }

  hold(): void {
    this.#holders++
  }

  release(): void {
    if (--this.#holders === 0) free(this.#memory)
  }
}
