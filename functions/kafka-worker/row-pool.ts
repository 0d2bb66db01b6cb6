import { RowBuffer } from '../../shared/codec/index.ts'

/** Room for the row that makes a piece full. */
const ROW_ROOM_BYTES = 64 * 1024

/** Buffers for rows, used again and again. */
export class RowPool {
  /** Buffers that were taken and not given back. */
  inUse = 0
  readonly #capacity: number
  readonly #free: RowBuffer[] = []

  constructor(flushBytes: number) {
    this.#capacity = flushBytes + ROW_ROOM_BYTES
  }

  take(): RowBuffer {
    this.inUse++
    return this.#free.pop() ?? new RowBuffer(this.#capacity)
  }

  /** An outlier's buffer, more than twice as large as usual, is not kept. */
  give(rows: RowBuffer): void {
    this.inUse--
    rows.clear()
    if (rows.bytes.length <= 2 * this.#capacity) this.#free.push(rows)
  }
}
