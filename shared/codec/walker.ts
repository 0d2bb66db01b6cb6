import type { RowBuffer } from './row-buffer.ts'

/** Turns the bytes of one event into the columns of one row. */
export interface Walker {
  /** Where the last refusal was: `items[2].price`. */
  readonly path: string
  /** Writes the columns of input[start, end) to `out`. Answers 0 or more, or a reason. */
  walk(input: Buffer, start: number, end: number, out: RowBuffer): number
}

/** Nested messages, arrays and objects of an event; protobuf's own limit. */
export const NESTING_MAX = 100

/** A longer line of text is refused. */
export const LINE_BYTES_MAX = 64 * 1024

/** The path of a field, from inside outwards. */
export function pathWithin(outer: string, inner: string): string {
  return inner === '' || inner.startsWith('[') ? outer + inner : `${outer}.${inner}`
}
