import { RowBuffer } from '../../shared/codec/index.ts'

/** Room for the row that makes a piece full. */
const ROW_ROOM_BYTES = 64 * 1024

/** Buffers for rows, used again and again. */
export interface RowPool {
  /** Buffers that were taken and not given back. */
  readonly inUse: number
  take(): RowBuffer
  give(rows: RowBuffer): void
}

/** An outlier's buffer, more than twice as large as usual, is not kept. */
export function createRowPool(flushBytes: number): RowPool {
  const free: RowBuffer[] = []
  const capacity = flushBytes + ROW_ROOM_BYTES
  let inUse = 0
  return {
    get inUse() {
      return inUse
    },
    take() {
      inUse++
      return free.pop() ?? new RowBuffer(capacity)
    },
    give(rows) {
      inUse--
      rows.clear()
      if (rows.bytes.length <= 2 * capacity) free.push(rows)
    },
  }
}
