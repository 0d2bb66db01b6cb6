import type { MetadataWriter, Origin } from './metadata.ts'
import type { RowBuffer } from './row-buffer.ts'

/** Turns the bytes of one event into the columns of one row. */
export interface Walker {
  /** Where the last refusal was: `items[2].price`. */
  readonly path: string
  /** Writes the columns of input[start, end) to `out`. Answers 0 or more, or a reason. */
  walk(input: Buffer, start: number, end: number, out: RowBuffer): number
  /** Writes a whole row where that is simple; answers false, and has done nothing, where not. */
  row?(input: Buffer, start: number, end: number, out: RowBuffer, origin: Origin, metadata: MetadataWriter): boolean
}

/** Nested messages, arrays and objects of an event; protobuf's own limit. */
export const NESTING_MAX = 100

/** A longer line of text is refused. */
export const LINE_BYTES_MAX = 64 * 1024

/** Bytes behind an event that are looked at before it is known that they are behind it. */
export const READ_AHEAD = 64

/** The bytes that a walk reads. */
export abstract class ByteReader {
  protected bytes: Buffer = Buffer.alloc(READ_AHEAD)
  protected view = new DataView(this.bytes.buffer)
  private last = { bytes: this.bytes, view: this.view }

  /** Turns to input[start, end): answers where it begins in `bytes`, a copy when less than READ_AHEAD is behind it. */
  protected look(input: Buffer, start: number, end: number): number {
    const near = end + READ_AHEAD > input.length
    if (input !== this.bytes || near) this.turn(input, start, end, near)
    return near ? 0 : start
  }

  private turn(input: Buffer, start: number, end: number, near: boolean): void {
    if (near) {
      if (this.last.bytes.length < end - start + READ_AHEAD)
        this.last = viewed(Buffer.alloc(2 * (end - start) + READ_AHEAD))
      input.copy(this.last.bytes, 0, start, end)
    }
    ;({ bytes: this.bytes, view: this.view } = near ? this.last : viewed(input))
  }
}

function viewed(bytes: Buffer): { bytes: Buffer; view: DataView } {
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) }
}

/** The path of a field, from inside outwards. */
export function pathWithin(outer: string, inner: string): string {
  return inner === '' || inner.startsWith('[') ? outer + inner : `${outer}.${inner}`
}
