import { type Events } from './events.ts'

/** How the bytes of a source become events. */
export interface FramingOptions {
  /** `lines`: ended by LF or CRLF. `delimited`: each led by its length as a varint (protobuf's writeDelimitedTo). */
  readonly kind: 'lines' | 'delimited'
  /** Of `lines`: a regular expression; a line that does not match it continues the event before. */
  readonly start?: string
  /** With `start`: how long a file that does not grow is waited for until its last event is taken for whole. */
  readonly pauseMs?: number
  /** A longer value is a dead event: its bytes are counted and passed, never kept. */
  readonly maxEventBytes: number
}

/**
 * Cuts the bytes of one source into events whose extents tile it: no gap, no overlap (docs/protocols/framing.md).
 * Bytes are handed over in order; what `cut` did not consume is handed over again, with more behind it.
 */
export type Cutter = Readonly<Pick<ExtentCutter, 'position' | 'lastEventEnd' | 'next' | 'cut'>>

/** So much of what follows an event of several lines tells whether it ends there, in bytes: blank ones, and of a line. */
export const PROBE_BYTES = 1024
/** What a buffer may hold besides a value before something is decided: CR and LF, a BOM, a length, almost a hole, a probe. */
export const OVERHEAD_BYTES = 2 * PROBE_BYTES + 16

/** The part that all cutters share: positions, and to whom the bytes belong that are no event. */
export abstract class ExtentCutter {
  /** Where the next extent begins: the end of the last event. This is the position to keep. */
  position: number
  /** Where the last event ended, without the blank bytes behind it that may be part of its extent. */
  lastEventEnd: number
  /** The next byte that `cut` wants: `position`, and the blank or skipped bytes already seen behind it. */
  next: number
  protected readonly maxEventBytes: number
  /** How many events `into` held when this call of `cut` began: those before may have been published already. */
  #before = 0
  /** position of a byte in the source, less its index in the buffer */
  #shift = 0

  constructor(options: FramingOptions, position: number) {
    this.maxEventBytes = options.maxEventBytes
    this.position = position
    this.lastEventEnd = position
    this.next = position
  }

  /**
   * Adds to `into` the events that are complete in `buffer[start, end)`, as many as it has room for, and returns how
   * many bytes it consumed. `final`: nothing follows, so an unterminated last line is an event. `pause`: nothing follows
   * for now, so the whole lines that are there are no longer waited for to be continued. A buffer that holds
   * `maxEventBytes + OVERHEAD_BYTES` always makes progress. Throws UserError for text in UTF-16.
   */
  cut(buffer: Buffer, start: number, end: number, final: boolean, into: Events, pause = false): number {
    this.#before = into.count
    this.#shift = this.next - start
    const view = end === buffer.length ? buffer : buffer.subarray(0, end)
    const at = this.scan(view, start, end, final, into, pause)
    this.next = at + this.#shift
    return at - start
  }

  /** Cuts what it can, and returns the index of the first byte that it did not consume. */
  protected abstract scan(...given: Required<Parameters<ExtentCutter['cut']>>): number

  protected positionOf(index: number): number {
    return index + this.#shift
  }

  /** Ends the extent of an event before `nextIndex`. */
  protected emit(valueStart: number, valueEnd: number, nextIndex: number, dead: number, into: Events): void {
    const end = this.positionOf(nextIndex)
    into.add(valueStart, valueEnd, this.position, end - this.position, dead)
    this.position = end
    this.lastEventEnd = end
  }

  /** Bytes up to `nextIndex` are no event: they go to the event before, if it is still here, or else to the next. */
  protected absorb(nextIndex: number, into: Events): void {
    if (into.count === this.#before) return
    const end = this.positionOf(nextIndex)
    into.size[into.count - 1]! += end - this.position
    this.position = end
  }
}

/** The index behind the zero bytes at `start`, if any. */
export function afterNuls(buffer: Buffer, start: number, end: number): number {
  let at = start
  while (at < end && buffer[at] === 0) at++
  return at
}
