import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writevSync,
} from 'node:fs'
import { join } from 'node:path'
import { corrupt } from './corrupt.ts'
import { encodeHead, encodeRecordHeader, ROWS, scanSegment, type ScannedSegment, WRITER } from './segment.ts'

/** A segment is closed once it has this many bytes. */
const SEGMENT_BYTES = 64 * 1024 * 1024

/** The rows of one stream, in the order of their offsets. */
export interface StreamLog {
  /** Rows so far: the offset that the next append must have. */
  readonly end: number
  /** Time of the last append in milliseconds, or 0. */
  readonly lastMs: number
  /** Appends the rows of one request, all or (with an exception) none. `writer` is the JSON of a WriterState. */
  append(writer: string, rows: number, body: Buffer, timeMs: number): void
  /** Where the segments are, oldest first. */
  segments(): readonly Segment[]
  /** Deletes the closed segments before segment `number`. */
  dropBefore(number: number): void
  /** Deletes everything. */
  remove(): void
  /** Gives the file back to the operating system; the next append opens it again. */
  rest(): void
}

export interface Segment {
  readonly number: number
  readonly file: string
  /** Bytes of whole records, head included. */
  length: number
}

/** A log that only counts. */
export function countLog(): StreamLog {
  let end = 0
  let lastMs = 0
  return {
    get end() {
      return end
    },
    get lastMs() {
      return lastMs
    },
    append(_writer, rows, _body, timeMs) {
      end += rows
      lastMs = timeMs
    },
    segments: () => [],
    dropBefore() {},
    remove() {},
    rest() {},
  }
}

/** A log in files `<stream>.<n>` of `dir`: see docs/protocols/local-bigquery.md. */
export class FileLog implements StreamLog {
  end = 0
  lastMs = 0
  readonly #dir: string
  readonly #table: string
  readonly #stream: string
  #segments: Segment[] = []
  #fd: number | undefined
  /** The writer that the last segment's records have; undefined: it has to be written again. */
  #writer: string | undefined

  private constructor(dir: string, table: string, stream: string) {
    this.#dir = dir
    this.#table = table
    this.#stream = stream
  }

  /** Opens the log with the segments that a start has found, or an empty one. Cuts a torn tail. */
  static open(dir: string, table: string, stream: string, numbers: readonly number[] = []): FileLog {
    const log = new FileLog(dir, table, stream)
    const sorted = [...numbers].sort((a, b) => a - b)
    for (const number of sorted) log.#segments.push({ number, file: log.#file(number), length: 0 })
    log.#recover()
    return log
  }

  #file(number: number): string {
    return join(this.#dir, `${this.#stream}.${String(number).padStart(6, '0')}`)
  }

  #recover(): void {
    for (;;) {
      const last = this.#segments.at(-1)
      if (last === undefined) return
      const scanned = scanSegment(readFileSync(last.file), last.file)
      if (scanned !== undefined) return this.#take(last, scanned)
      // Killed while the head was being written: nothing was acknowledged in this segment.
      rmSync(last.file)
      this.#segments.pop()
    }
  }

  #take(last: Segment, scanned: ScannedSegment): void {
    const { head } = scanned
    if (head.table !== this.#table || head.stream !== this.#stream)
      throw corrupt(last.file, 'it belongs to another stream')
    truncateSync(last.file, scanned.length)
    last.length = scanned.length
    this.end = scanned.endRow
    this.lastMs = scanned.lastMs
  }

  segments(): readonly Segment[] {
    return this.#segments
  }

  append(writer: string, rows: number, body: Buffer, timeMs: number): void {
    const fd = this.#writable(timeMs)
    const segment = this.#segments.at(-1) as Segment
    const parts = [encodeRecordHeader(ROWS, body, rows, this.end, timeMs), body]
    if (this.#writer !== writer) {
      const state = Buffer.from(writer)
      parts.unshift(encodeRecordHeader(WRITER, state, 0, this.end, timeMs), state)
    }
    segment.length += write(fd, parts, segment.length)
    this.#writer = writer
    this.end += rows
    this.lastMs = timeMs
  }

  #writable(timeMs: number): number {
    const last = this.#segments.at(-1)
    if (last !== undefined && last.length < SEGMENT_BYTES) {
      this.#fd ??= openSync(last.file, 'a')
      return this.#fd
    }
    this.rest()
    return this.#roll((last?.number ?? 0) + 1, timeMs)
  }

  #roll(number: number, timeMs: number): number {
    mkdirSync(this.#dir, { recursive: true })
    const segment: Segment = { number, file: this.#file(number), length: 0 }
    // What a former attempt on a full disk may have left has no whole head, and no rows.
    rmSync(segment.file, { force: true })
    const fd = openSync(segment.file, 'ax')
    const head = { table: this.#table, stream: this.#stream, segment: number, startRow: this.end, timeMs }
    segment.length = write(fd, [encodeHead(head)], 0)
    this.#segments.push(segment)
    this.#fd = fd
    return fd
  }

  dropBefore(number: number): void {
    for (const segment of this.#segments) if (segment.number < number) rmSync(segment.file, { force: true })
    this.#segments = this.#segments.filter((segment) => segment.number >= number)
  }

  remove(): void {
    this.rest()
    for (const { file } of this.#segments) rmSync(file, { force: true })
    this.#segments = []
  }

  rest(): void {
    if (this.#fd !== undefined) closeSync(this.#fd)
    this.#fd = undefined
    this.#writer = undefined
  }
}

/** Writes the parts behind one another, or none of them: what a full disk took is cut off again. */
function write(fd: number, parts: readonly Buffer[], at: number): number {
  const size = parts.reduce((sum, part) => sum + part.length, 0)
  try {
    const written = writevSync(fd, parts)
    if (written !== size) throw new Error(`the disk took ${written} of ${size} bytes`)
    return size
  } catch (error) {
    ftruncateSync(fd, at)
    throw error
  }
}

/** The segment numbers of every stream in a table's folder. */
export function findSegments(dir: string): Map<string, number[]> {
  const found = new Map<string, number[]>()
  if (!existsSync(dir)) return found
  for (const name of readdirSync(dir)) {
    const match = /^(.+)\.(\d{6,})$/.exec(name)
    if (!match) continue
    const [, stream = '', number] = match
    found.set(stream, [...(found.get(stream) ?? []), Number(number)])
  }
  return found
}
