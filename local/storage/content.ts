import { createHash, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { crc32c } from '@node-rs/crc32'
import { syncFolder } from './journal.ts'

/** Bytes gathered before they go to the disk in one write. */
const WRITE_BYTES = 1024 * 1024

/** Bytes read from the disk at once. */
const READ_BYTES = 256 * 1024

/** What the bytes of a content file come to. */
export interface Digest {
  size: number
  /** Base64 of the big-endian CRC32C, as Cloud Storage writes it. */
  crc32c: string
  /** Base64. */
  md5: string
}

/** The files with the bytes of objects and uploads, named by random ids; which one belongs to whom is in the journal. */
export class ContentFolder {
  readonly folder: string

  constructor(folder: string) {
    this.folder = folder
  }

  path(id: string): string {
    return join(this.folder, id)
  }

  /** A new, empty content file whose name survives a crash. */
  async create(id: string): Promise<ContentWriter> {
    const writer = new ContentWriter(await open(this.path(id), 'wx'))
    await syncFolder(this.folder)
    return writer
  }

  /** Goes on with a content file at `size` bytes: what it has beyond is cut off, what it has is hashed again. */
  async resume(id: string, size: number): Promise<ContentWriter> {
    const writer = new ContentWriter(await open(this.path(id), 'r+'))
    if (size > 0) {
      for await (const part of createReadStream(this.path(id), { end: size - 1, highWaterMark: WRITE_BYTES })) {
        writer.account(part as Buffer)
      }
    }
    await writer.truncate()
    return writer
  }

  /** Bytes `[start, end)`. Opened before it returns, so that a deletion meanwhile does not matter. */
  async read(id: string, start: number, end: number): Promise<Readable> {
    if (end <= start) return Readable.from([])
    const handle = await open(this.path(id))
    return handle.createReadStream({ start, end: end - 1, highWaterMark: READ_BYTES })
  }

  async sizeOf(id: string): Promise<number> {
    return (await stat(this.path(id))).size
  }

  async remove(id: string): Promise<void> {
    await rm(this.path(id), { force: true })
  }

  /** Removes the files that nobody uses: left behind by a crash between a content file and its journal line. */
  async sweep(isUsed: (id: string) => boolean): Promise<void> {
    for (const id of await readdir(this.folder)) if (!isUsed(id)) await this.remove(id)
  }
}

/** Appends to one content file and keeps count and checksums. One caller at a time. */
export class ContentWriter {
  readonly #handle: FileHandle
  readonly #md5: Hash = createHash('md5')
  #crc = 0
  /** Bytes accounted for; those in `#gathered` are not yet in the file. */
  #size = 0
  #gathered: Buffer[] = []
  #gatheredBytes = 0

  constructor(handle: FileHandle) {
    this.#handle = handle
  }

  get size(): number {
    return this.#size
  }

  account(part: Buffer): void {
    this.#size += part.length
    this.#crc = crc32c(part, this.#crc)
    this.#md5.update(part)
  }

  async write(part: Buffer): Promise<void> {
    this.account(part)
    this.#gathered.push(part)
    this.#gatheredBytes += part.length
    if (this.#gatheredBytes >= WRITE_BYTES) await this.#flush()
  }

  async #flush(): Promise<void> {
    if (this.#gatheredBytes === 0) return
    const bytes = Buffer.concat(this.#gathered)
    const start = this.#size - bytes.length
    this.#gathered = []
    this.#gatheredBytes = 0
    for (let at = 0; at < bytes.length; ) {
      at += (await this.#handle.write(bytes, at, bytes.length - at, start + at)).bytesWritten
    }
  }

  /** Everything written so far is on the disk. */
  async sync(): Promise<void> {
    await this.#flush()
    await this.#handle.datasync()
  }

  async truncate(): Promise<void> {
    await this.#handle.truncate(this.#size)
  }

  digest(): Digest {
    const crc = Buffer.alloc(4)
    crc.writeUInt32BE(this.#crc >>> 0)
    return { size: this.#size, crc32c: crc.toString('base64'), md5: this.#md5.copy().digest('base64') }
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }
}
