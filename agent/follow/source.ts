import { crc32 } from 'node:zlib'
import { type Cutter, createCutter, Events, type FramingOptions, OVERHEAD_BYTES } from '../../shared/framing/index.ts'
import { type Fingerprint, HEAD_BYTES, TAIL_BYTES } from './identity.ts'
import type { LogFile } from './log-file.ts'
import type { PlainReader, Scratch } from './reader.ts'

/** What a source was found to hold next. */
export type Reading =
  /** Events, in the reused columns and memory of the consumer. */
  | { readonly kind: 'piece'; readonly bytes: Buffer; readonly from: number; readonly events: Events }
  /** No complete event for now. `atEnd`: the end of the file was seen. `waits`: lines that may still be continued. */
  | { readonly kind: 'drained'; readonly atEnd: boolean; readonly waits: boolean }
  /** So much without an end of an event, such as a hole in a file, that it is the turn of the others; there is more. */
  | { readonly kind: 'passed' }
  /** The file does not hold this source any more: it was truncated or replaced. */
  | { readonly kind: 'lost' }

/** Events and memory for one consumer of sources; reused for each reading. */
export interface Workspace {
  readonly scratch: Scratch
  readonly events: Events
}

const READ_BYTES = 256 * 1024
/** Without an event; meanwhile nothing else is done by this process, be it a signal. */
const PASSED_BYTES_MAX = 32 * 1024 * 1024

/**
 * One source on its way: from the file that holds it, through the cutter, up to a position. It checks before each
 * reading that the bytes before the place are still those that it knows.
 */
export class Source {
  readonly id: string
  readonly framing: FramingOptions
  file: LogFile | undefined
  /** Read to its end and cut as final. */
  finished = false
  /** The compressed file that holds it was found to end amid a stream: what can be read of it is not its end. */
  isCut = false
  readonly firstReadMs = Date.now()
  /** Where the file was then. */
  readonly path: string
  /** The position up to which events were taken, and how the file is recognised there. Changed here alone. */
  progress: Fingerprint
  #cutter: Cutter
  #reader: PlainReader | undefined
  #readerKey = ''
  /** The first bytes of the source, as far as this life has seen them. Changed here alone. */
  head: Buffer = Buffer.alloc(0)
  /** CRC of the bytes before `#cutter.next`. */
  #expected: number

  constructor(id: string, path: string, framing: FramingOptions, at: Fingerprint) {
    this.id = id
    this.path = path
    this.framing = framing
    this.progress = at
    this.#cutter = createCutter(framing, at.position)
    this.#expected = at.tail
  }

  get next(): number {
    return this.#cutter.next
  }

  /**
   * Reads the next events before `limit` (a position; Infinity: up to the end of the file), about `room` bytes, or one event.
   * `final`: what is at the end now is the end.
   */
  async read(workspace: Workspace, limit: number, room: number, final: boolean): Promise<Reading> {
    const { events } = workspace
    let want = Math.max(1, Math.min(READ_BYTES, room))
    for (let passed = 0; passed < PASSED_BYTES_MAX; ) {
      const next = this.#cutter.next
      // Somebody else may have carried more than this life has seen of a short head: that is read, too.
      const from = Math.max(0, Math.min(next - TAIL_BYTES, this.head.length < HEAD_BYTES ? this.head.length : next))
      const to = Math.min(limit, next + want)
      if (to <= next) return { kind: 'drained', atEnd: false, waits: false }
      const bytes = await this.#open().read(from, to, workspace.scratch)
      const end = from + bytes.length
      if (!this.#isExpected(bytes, from)) return { kind: 'lost' }
      const atEnd = limit === Infinity && end < to && !this.isCut
      events.clear()
      const paused = (end < to || to === limit) && this.#isPaused(end)
      const used = this.#cutter.cut(bytes, next - from, bytes.length, final && atEnd, events, paused)
      if (events.count > 1 && want > room) this.#cutter = this.#only(events)
      this.#expected = crcBefore(bytes, from, this.#cutter.next)
      this.#keepHead(bytes, from)
      if (events.count > 0) return { kind: 'piece', bytes, from, events }
      if (end < to || to === limit) {
        const waits = this.framing.pauseMs !== undefined && bytes.includes('\n', this.#cutter.next - from)
        return { kind: 'drained', atEnd, waits }
      }
      if (used === 0) want = Math.max(want, Math.min(want * 8, this.framing.maxEventBytes + OVERHEAD_BYTES))
      passed += used
    }
    return { kind: 'passed' }
  }

  /** The first event needs more than there is room for: it is given out alone, and cutting goes on behind it. */
  #only(events: Events): Cutter {
    events.count = 1
    return createCutter(this.framing, events.position[0]! + events.size[0]!)
  }

  /** Takes the first `count` events of a piece; the others will be read again. */
  accept({ bytes, from, events }: Reading & { kind: 'piece' }, count: number): void {
    if (count > 0) {
      const position = events.position[count - 1]! + events.size[count - 1]!
      this.progress = this.#fingerprint(position, crcBefore(bytes, from, position))
    }
    if (count < events.count) this.rewind(this.progress)
  }

  /** Goes back to a position whose fingerprint is known: the last one that Kafka knows, after an error. */
  rewind(to: Fingerprint): void {
    this.progress = to
    this.#cutter = createCutter(this.framing, to.position)
    this.#expected = to.tail
  }

  /** Something was written behind the place; of a compressed file that is not asked. */
  get hasMore(): boolean {
    return (this.file?.seen.size ?? 0) > this.next && this.file?.encoding === 'plain'
  }

  /** Does the file still hold what was read of it, as far as head and tail tell? A compressed one does not change. */
  isIntact(): boolean {
    if (!this.file || this.file.encoding !== 'plain') return this.file !== undefined
    const tail = this.file.bytes(Math.max(0, this.next - TAIL_BYTES), this.next)
    return crc32(tail) === this.#expected && this.file.bytes(0, this.head.length).equals(this.head)
  }

  /** The file, if any, is read by somebody else from now on, or by nobody. */
  release(): void {
    this.#reader?.close()
    this.#reader = undefined
    this.#readerKey = ''
    this.isCut = false
  }

  #open(): PlainReader {
    if (!this.file) throw new Error(`${this.id} has no file`)
    const key = `${this.file.key}/${this.file.encoding}/${this.file.encoding === 'plain' ? '' : this.file.seen.size}`
    if (this.#readerKey !== key) {
      this.release()
      this.#reader = this.file.open()
      this.#readerKey = key
    }
    return this.#reader!
  }

  /** The file ends here, and has not grown for so long that its last lines are no longer expected to be continued. */
  #isPaused(end: number): boolean {
    const { file } = this
    const { pauseMs = Infinity } = this.framing
    if (!file || Date.now() - file.changedAtMs < pauseMs) return false
    return file.encoding !== 'plain' || file.size <= end
  }

  /** Do the bytes before the place, or at the head, still read as they did? */
  #isExpected(bytes: Buffer, from: number): boolean {
    const { next } = this.#cutter
    if (from + bytes.length < next || crcBefore(bytes, from, next) !== this.#expected) return false
    if (from > 0) return true
    const common = Math.min(bytes.length, this.head.length)
    return bytes.subarray(0, common).equals(this.head.subarray(0, common))
  }

  /** Remembers the first bytes of the source as they come by. */
  #keepHead(bytes: Buffer, from: number): void {
    const have = this.head.length
    if (have >= HEAD_BYTES || from > have || from + bytes.length <= have) return
    this.head = Buffer.concat([this.head, bytes.subarray(have - from, HEAD_BYTES - from)])
  }

  /** A head that was not read in this life is known by its CRC only, and by then it is as long as it will be. */
  #fingerprint(position: number, tail: number): Fingerprint {
    const headBytes = Math.min(position, HEAD_BYTES)
    const head = this.head.length >= headBytes ? crc32(this.head.subarray(0, headBytes)) : this.progress.head
    return { position, head, tail }
  }

  /** Gives the source the file that holds it. */
  attach(file: LogFile): void {
    this.release()
    this.file = file
    this.head = file.head
  }
}

/** CRC-32 of the last TAIL_BYTES before a position; `bytes` begin at `from`, far enough before it or at 0. */
function crcBefore(bytes: Buffer, from: number, position: number): number {
  const end = position - from
  return crc32(bytes.subarray(Math.max(0, end - TAIL_BYTES), end))
}
