import { closeSync, openSync, readSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import {
  damaged,
  decodeHead,
  decodeRecordHeader,
  HEAD_BYTES_MAX,
  isIntactHeader,
  RECORD_HEADER,
  type RecordHeader,
} from './segment.ts'

/** Bytes that are read from a segment at once. */
const WINDOW_BYTES = 4 * 1024 * 1024

export interface StoredRecord extends RecordHeader {
  /** Valid until the next record is asked for. */
  body: Buffer
  /** Where it begins. */
  at: number
  /** Where the record after this one begins. */
  next: number
}

/**
 * The records of a segment from byte `from` (0: the first) up to byte `to`, checked. Throws a UserError when one is
 * damaged.
 */
export function* readRecords(file: string, from: number, to: number): Generator<StoredRecord> {
  const fd = openSync(file, 'r')
  try {
    const window = new Window(fd, file, to)
    let at = from === 0 ? headLength(window, file, to) : from
    while (at < to) {
      const header = window.bytes(at, RECORD_HEADER)
      if (!isIntactHeader(header)) throw damaged(file, at)
      const decoded = decodeRecordHeader(header)
      const body = window.bytes(at + RECORD_HEADER, decoded.length)
      if (crc32(body) !== decoded.crc) throw damaged(file, at)
      const next = at + RECORD_HEADER + decoded.length
      yield { ...decoded, body, at, next }
      at = next
    }
  } finally {
    closeSync(fd)
  }
}

function headLength(window: Window, file: string, to: number): number {
  const start = decodeHead(window.bytes(0, Math.min(HEAD_BYTES_MAX, to)), file)
  if (start === undefined) throw damaged(file, 0)
  return start.length
}

/** A view of a file that is read front to back. */
class Window {
  readonly #fd: number
  readonly #file: string
  readonly #to: number
  #buffer = Buffer.alloc(0)
  #start = 0

  constructor(fd: number, file: string, to: number) {
    this.#fd = fd
    this.#file = file
    this.#to = to
  }

  bytes(at: number, size: number): Buffer {
    if (at + size > this.#to) throw damaged(this.#file, at)
    if (at < this.#start || at + size > this.#start + this.#buffer.length) this.#read(at, size)
    return this.#buffer.subarray(at - this.#start, at - this.#start + size)
  }

  #read(at: number, size: number): void {
    const wanted = Math.min(Math.max(size, WINDOW_BYTES), this.#to - at)
    const buffer = Buffer.allocUnsafe(wanted)
    const got = readSync(this.#fd, buffer, 0, wanted, at)
    if (got < size) throw damaged(this.#file, at)
    this.#buffer = buffer.subarray(0, got)
    this.#start = at
  }
}
