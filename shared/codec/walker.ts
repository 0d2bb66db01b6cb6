import type { MetadataWriter, Origin } from './metadata.ts'
import type { Plan, Slot } from './plan.ts'
import { MISSING } from './reasons.ts'
import { RowBuffer } from './row-buffer.ts'
import type { UnknownFields } from './unknown.ts'

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

/** What walks over events share: the bytes they read, what they write to, and where they refused. */
export abstract class ByteWalker {
  path = ''
  protected readonly plan: Plan
  protected readonly unknown: UnknownFields
  protected out = new RowBuffer(64)
  protected bytes: Buffer = Buffer.alloc(READ_AHEAD)
  protected view = new DataView(this.bytes.buffer)
  /** Names of the records that are being read, from the outermost on. */
  protected readonly above: string[] = []

  constructor(plan: Plan, unknown: UnknownFields) {
    this.plan = plan
    this.unknown = unknown
  }

  /** Turns to input[start, end): answers where it begins in `bytes`, a copy when less than READ_AHEAD is behind it. */
  protected look(input: Buffer, start: number, end: number, out: RowBuffer): number {
    if (out !== this.out) this.out = out
    if (this.path !== '') this.path = ''
    const near = end + READ_AHEAD > input.length
    if (input !== this.bytes || near) {
      this.bytes = near ? Buffer.concat([input.subarray(start, end)], end - start + READ_AHEAD) : input
      this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length)
    }
    return near ? 0 : start
  }

  /** What stands before the names of unknown fields. */
  protected prefix(): string {
    return this.above.map((name) => `${name}.`).join('')
  }

  /** Writes a tag and leaves room for a length. Answers the mark for patchLength. */
  protected openRun(slot: Slot): number {
    const { out } = this
    out.tag(slot.tag)
    const mark = out.length
    out.length += slot.width
    return mark
  }

  /** The end of a message at p: writes what stands for its absent fields. Answers p, or that a required one is missing. */
  protected close(plan: Plan, p: number): number {
    const missing = plan.close(this.out)
    return missing ? this.fail(MISSING, missing.name) : p
  }

  /** Answers a reason, and puts a name before the path: it grows from inside outwards. */
  protected fail(reason: number, name: string): number {
    const { path } = this
    this.path = path === '' || path.startsWith('[') ? name + path : `${name}.${path}`
    return reason
  }
}
