import { type FileHandle, open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { crc32c } from '@node-rs/crc32'
import { messageOf, UserError } from '../../shared/errors.ts'

/** The journal is rewritten when it is larger than this many bytes and than `GROWTH` times its last rewriting. */
const REWRITE_BYTES_MIN = 16 * 1024 * 1024
const GROWTH = 4

export interface Journal<T> {
  /**
   * Appends one line; resolves when it is on the disk. Lines that are appended while the disk is busy share one sync.
   * Rejects, and with it every line after it, when the disk takes no more; the file is cut back to what it held.
   */
  append(entry: T): Promise<void>
  /** Resolves when everything appended so far is on the disk, or was refused. */
  settled(): Promise<void>
  close(): Promise<void>
}

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
export async function openJournal<T>(options: JournalOptions<T>): Promise<Journal<T>> {
  const { file } = options
  let handle = await open(file, 'a+')
  let length = await replayFile(options, handle)
  let rewrittenLength = length
  let waiting: Waiting[] = []
  let writing: Promise<void> | undefined
  /** Why no line can be taken any more: not even going back worked. */
  let broken: unknown

  /** One round: everything that waits goes out with one write and one sync. */
  async function flush(): Promise<void> {
    const batch = waiting
    waiting = []
    try {
      const bytes = Buffer.concat(batch.map(({ line }) => line))
      await writeFully(handle, bytes)
      await handle.datasync()
      length += bytes.length
      for (const { resolve } of batch) resolve()
    } catch (error) {
      const refused = [...batch, ...(await restore(error))]
      for (const { reject } of refused) reject(error)
    }
  }

  /**
   * After a failed write nothing may stay in memory that is not on the disk: back to what the file says. What was
   * appended meanwhile rests on the lost lines, so it is refused too; returns it.
   */
  async function restore(cause: unknown): Promise<Waiting[]> {
    try {
      await handle.truncate(length)
      length = await replayFile(options, handle)
    } catch {
      broken = cause
    }
    const refused = waiting
    waiting = []
    return refused
  }

  async function writeLoop(): Promise<void> {
    while (waiting.length > 0) {
      await flush()
      if (length > REWRITE_BYTES_MIN && length > GROWTH * rewrittenLength) await rewrite()
    }
    writing = undefined
  }

  /**
   * Replaces the file by a snapshot: written aside, synced, renamed. A crash before the rename leaves the old journal,
   * one after it the new; both say the same. The snapshot holds lines that still wait too: to apply one twice is harmless,
   * because every change states a result, never a difference.
   */
  async function rewrite(): Promise<void> {
    const temporary = `${file}.new`
    try {
      const next = await open(temporary, 'w')
      try {
        const lines = [...options.snapshot()].map(encodeLine)
        await writeFully(next, Buffer.concat(lines))
        await next.sync()
      } finally {
        await next.close()
      }
      await rename(temporary, file)
      await syncFolder(dirname(file))
    } catch {
      rewrittenLength = length // the old journal is good; try again when it has grown as much once more
      return
    }
    await handle.close()
    handle = await open(file, 'a+')
    length = (await handle.stat()).size
    rewrittenLength = length
  }

  return {
    append(entry) {
      return new Promise<void>((resolve, reject) => {
        if (broken !== undefined) return reject(broken)
        waiting.push({ line: encodeLine(entry), resolve, reject })
        writing ??= writeLoop()
      })
    },
    async settled() {
      while (writing) await writing
    },
    async close() {
      while (writing) await writing
      await handle.close()
    },
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

/** Replays the file from a clean slate, cuts off a last line without end, and returns the length of what is good. */
async function replayFile<T>({ file, replay, reset }: JournalOptions<T>, handle: FileHandle): Promise<number> {
  const bytes = await readFile(file)
  reset() // and no await until the last line is back, so that nobody sees half of it
  let at = 0
  for (let line = 1; ; line++) {
    const end = bytes.indexOf(0x0a, at)
    if (end < 0) break
    replay(decodeLine<T>(file, line, bytes.toString('utf8', at, end)))
    at = end + 1
  }
  if (at < bytes.length) await handle.truncate(at)
  return at
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
