import { type FileHandle, open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { crc32c } from '@node-rs/crc32'
import { messageOf, UserError } from '../../shared/errors.ts'

/** The journal is rewritten when it is larger than this many bytes and than `GROWTH` times its last rewriting. */
const REWRITE_BYTES_MIN = 16 * 1024 * 1024
const GROWTH = 4

export interface JournalOptions<T> {
  file: string
  /** Called for each entry of the file, oldest first. */
  replay: (entry: T) => void
  /** Called before a replay: once at the start, and after each failed write. */
  reset: () => void
  /** Everything that is true now, as the entries of a new journal. */
  snapshot: () => Iterable<T>
}

interface Waiting {
  line: Buffer
  resolve: () => void
  reject: (error: unknown) => void
}

/**
 * An append-only file of checksummed JSON lines. A line without its end is a write that a crash cut short, and was
 * never acknowledged: it is dropped. Any other line that does not check is damage: UserError.
 */
export class Journal<T> {
  readonly #options: JournalOptions<T>
  #handle: FileHandle
  /** Bytes of the file that are good. */
  #length: number
  #rewrittenLength: number
  #waiting: Waiting[] = []
  #writing: Promise<void> | undefined
  /** Settles, never rejects, when the newest line is written or refused; lines keep their order. */
  #newest: Promise<unknown> = Promise.resolve()
  /** Why no line can be taken any more: not even going back worked. */
  #broken: unknown

  private constructor(options: JournalOptions<T>, handle: FileHandle, length: number) {
    this.#options = options
    this.#handle = handle
    this.#length = length
    this.#rewrittenLength = length
  }

  static async open<T>(options: JournalOptions<T>): Promise<Journal<T>> {
    const handle = await open(options.file, 'a+')
    try {
      const length = replayBytes(options, await readFile(options.file))
      await handle.truncate(length)
      const journal = new Journal(options, handle, length)
      if (length > REWRITE_BYTES_MIN) await journal.#rewrite()
      return journal
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /**
   * Appends one line; resolves when it is on the disk. Lines that are appended while the disk is busy share one sync.
   * Rejects, and with it every line that waits, when the disk takes no more: then the file, and by a replay the memory,
   * are again what they were.
   */
  append(entry: T): Promise<void> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiting.push({ line: encodeLine(entry), resolve, reject })
    this.#newest = promise.catch(() => undefined)
    this.#writing ??= this.#writeAll()
    return promise
  }

  /** Resolves when everything appended so far is on the disk, or was refused. */
  async settled(): Promise<void> {
    await this.#newest
  }

  async close(): Promise<void> {
    await this.#writing
    await this.#handle.close()
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      await this.#flush()
      if (this.#length > REWRITE_BYTES_MIN && this.#length > GROWTH * this.#rewrittenLength) await this.#rewrite()
    }
    this.#writing = undefined
  }

  /** One round: everything that waits goes out with one write and one sync. */
  async #flush(): Promise<void> {
    const batch = this.#takeWaiting()
    try {
      const bytes = Buffer.concat(batch.map(({ line }) => line))
      await writeFully(this.#handle, bytes)
      await this.#handle.datasync()
      this.#length += bytes.length
      for (const { resolve } of batch) resolve()
    } catch (error) {
      const refused = [...batch, ...(await this.#restore(error))]
      for (const { reject } of refused) reject(error)
    }
  }

  /**
   * After a failed write nothing may stay in memory that is not on the disk: back to what the file says. What was
   * appended meanwhile rests on the lost lines, so it is refused too; returns it.
   */
  async #restore(cause: unknown): Promise<Waiting[]> {
    try {
      await this.#handle.truncate(this.#length)
      const bytes = await readFile(this.#options.file)
      replayBytes(this.#options, bytes)
    } catch {
      this.#broken = cause
    }
    return this.#takeWaiting() // no await since the replay: nobody has built on what was taken back
  }

  #takeWaiting(): Waiting[] {
    const waiting = this.#waiting
    this.#waiting = []
    return waiting
  }

  /**
   * Replaces the file by a snapshot: written aside, synced, renamed. A crash before the rename leaves the old journal,
   * one after it the new; both say the same. The snapshot holds lines that still wait too: to apply one twice is
   * harmless, because every change states a result, never a difference.
   */
  async #rewrite(): Promise<void> {
    const { file, snapshot } = this.#options
    const bytes = Buffer.concat([...snapshot()].map(encodeLine))
    const next = await open(`${file}.new`, 'w').catch(() => undefined)
    try {
      if (!next) throw new Error('no new file')
      await writeFully(next, bytes)
      await next.sync()
      await rename(`${file}.new`, file)
    } catch {
      // The old journal is good; it is tried again when it has grown as much once more.
      this.#rewrittenLength = this.#length
      return next?.close()
    }
    await this.#handle.close()
    this.#handle = next
    this.#length = bytes.length
    this.#rewrittenLength = bytes.length
    await syncFolder(dirname(file)).catch((error) => (this.#broken = error))
  }
}

function encodeLine(entry: unknown): Buffer {
  const text = JSON.stringify(entry)
  return Buffer.from(`${checksum(text)} ${text}\n`)
}

const checksum = (text: string) => crc32c(text).toString(16).padStart(8, '0')

async function writeFully(handle: FileHandle, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await handle.write(bytes, at)).bytesWritten
}

/** Replays a file's bytes from a clean slate and returns the length of what is good: all but a last line without end. */
function replayBytes<T>({ file, replay, reset }: JournalOptions<T>, bytes: Buffer): number {
  reset()
  let at = 0
  for (let line = 1; ; line++) {
    const end = bytes.indexOf(0x0a, at)
    if (end < 0) return at
    replay(decodeLine<T>(file, line, bytes.toString('utf8', at, end)))
    at = end + 1
  }
}

function decodeLine<T>(file: string, line: number, text: string): T {
  try {
    const body = text.slice(9)
    if (text[8] === ' ' && text.slice(0, 8) === checksum(body)) return JSON.parse(body) as T
  } catch (error) {
    throw damaged(file, line, messageOf(error))
  }
  throw damaged(file, line, 'its checksum does not match')
}

const damaged = (file: string, line: number, why: string) =>
  new UserError(
    `${file}:${line}: the data folder of the local Cloud Storage is damaged: ${why}`,
    'Restore this file from a copy, or delete the folder that holds it to start empty.',
  )

/** Makes names in a folder durable: new, renamed and deleted files. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
