import { createReadStream, read, readSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { type Encoding, openDecompressed } from '../../shared/framing/index.ts'

/** Memory that one consumer reads plain files into; what a read returned is valid until the next one. */
export class Scratch {
  #memory = Buffer.alloc(0)

  take(bytes: number): Buffer {
    if (this.#memory.length < bytes) this.#memory = Buffer.allocUnsafeSlow(Math.max(bytes, 64 * 1024))
    return this.#memory
  }
}

/** The plain bytes of one file, whatever it is compressed with. */
export interface PlainReader {
  /** The bytes `[from, to)`, fewer only at the end of the file. Rejects when a compressed file is cut off or corrupt. */
  read(from: number, to: number, scratch: Scratch): Promise<Buffer>
  close(): void
}

/** Reads by descriptor, so that renamed and deleted files can be read on. The descriptor stays the caller's. */
export function openReader(fd: number, encoding: Encoding): PlainReader {
  if (encoding !== 'plain') return new CompressedReader(() => openDecompressed(streamOf(fd), encoding))
  return { read: async (from, to, scratch) => readPlain(fd, from, scratch.take(to - from), to - from), close() {} }
}

function readPlain(fd: number, from: number, memory: Buffer, bytes: number): Buffer {
  let length = 0
  while (length < bytes) {
    const got = readSync(fd, memory, length, bytes - length, from + length)
    if (got === 0) break
    length += got
  }
  return memory.subarray(0, length)
}

/** Holds the decompressed bytes from the last `from` on; to read before them it decompresses from the beginning. */
class CompressedReader implements PlainReader {
  readonly #open: () => Readable
  #stream: Readable | undefined
  #chunks: AsyncIterator<Buffer> | undefined
  #window: Buffer = Buffer.alloc(0)
  #start = 0
  #ended = false

  constructor(open: () => Readable) {
    this.#open = open
  }

  async read(from: number, to: number): Promise<Buffer> {
    if (from < this.#start || !this.#chunks) this.#restart()
    while (!this.#ended && this.#start + this.#window.length < to) {
      const { value, done } = await this.#chunks!.next()
      if (done) this.#ended = true
      else this.#append(value, from)
    }
    return this.#window.subarray(from - this.#start, to - this.#start)
  }

  close(): void {
    this.#stream?.destroy()
    this.#stream = undefined
    this.#chunks = undefined
    this.#window = Buffer.alloc(0)
  }

  #restart(): void {
    this.close()
    this.#start = 0
    this.#ended = false
    this.#stream = this.#open()
    this.#chunks = this.#stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  }

  /** What lies before `from` is not needed any more. */
  #append(chunk: Buffer, from: number): void {
    const joined = this.#window.length > 0 ? Buffer.concat([this.#window, chunk]) : chunk
    const passed = Math.min(Math.max(0, from - this.#start), joined.length)
    this.#window = joined.subarray(passed)
    this.#start += passed
  }
}

/** A file from its beginning, by its descriptor, which stays open when the stream is destroyed. */
function streamOf(fd: number): Readable {
  return createReadStream('', { fd, start: 0, fs: { read, close: (_fd: number, done: () => void) => done() } })
}
