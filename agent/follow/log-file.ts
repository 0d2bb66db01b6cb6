import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync, statSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import { type Encoding, encodingOf, MAGIC_BYTES } from '../../shared/framing/index.ts'
import type { FollowedLog } from './followed.ts'
import type { Inode } from './identity.ts'
import { openReader, type PlainReader } from './reader.ts'
import { birthOf, keyOf, type Seen } from './scan.ts'

const LIMITS = '/proc/self/limits'
/** Descriptors that are left to the connections, or half of what the system allows. */
const SPARE_DESCRIPTORS = 256

/** How many files this process has open, and how many it may: with more growing files than descriptors some must wait. */
const openFiles = { count: 0, max: openFilesMax() }

/** Without a limit where Linux does not tell one: Node's own report of it would take 2 MB. */
function openFilesMax(): number {
  const limits = existsSync(LIMITS) ? readFileSync(LIMITS, 'utf8') : ''
  const soft = Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? Infinity)
  return Math.max(soft / 2, soft - SPARE_DESCRIPTORS)
}

/** A file that a look has found, by its inode: names change. */
export class LogFile {
  readonly key: string
  /** What an entry notes of device and inode. */
  readonly hint: number
  seen: Seen
  log: FollowedLog
  readonly foundMs = performance.now()
  /** When it was last seen to change; for a file found unchanged since before, the time of its last write. */
  changedAtMs: number
  /** The beginning of the last look that found it. */
  seenAtMs: number
  /** The last listing that found it. */
  listing = -1
  /** How many looks have not found it any more. */
  missed = 0
  /** Set when its content is new: nobody has looked into it since. */
  fresh = true
  /** The name of its sources-to-be, once its first event is known. */
  base: string | undefined
  /** So many NULs it begins with, while its first event is looked for behind them. */
  hole = 0
  /** Its first bytes when that was found out, at most HEAD_BYTES. */
  head: Buffer = Buffer.alloc(0)
  /** The source that it is read for, or has a copy of. */
  source: string | undefined
  /** The file that it is a copy of, as long as that is there. */
  original: LogFile | undefined
  role: 'unnamed' | 'source' | 'copy' | 'refused' = 'unnamed'
  /** It holds the newest events of its rotation: it will grow. */
  newest = false
  #encoding: Encoding | undefined
  #fd: number | undefined

  constructor(seen: Seen, log: FollowedLog, nowMs: number) {
    this.key = seen.key
    this.hint = crc32(seen.key)
    this.seen = seen
    this.log = log
    this.changedAtMs = Math.min(nowMs, seen.mtimeMs)
    this.seenAtMs = nowMs
  }

  get inode(): Inode {
    return { file: this.hint, ...(this.seen.birthMs > 0 ? { born: this.seen.birthMs } : {}) }
  }

  /**
   * Another file had its inode when that was noted: this one was born later, and written to since, in a folder that was there
   * before (docs/protocols/agent-positions.md, "Births").
   */
  hasInodeOfAnother({ file, born = 0 }: Inode): boolean {
    const { birthMs, mtimeMs, folder } = this.seen
    if (file !== this.hint || born === 0 || birthMs <= born || mtimeMs < birthMs) return false
    const there = statSync(folder, { throwIfNoEntry: false })
    return there !== undefined && birthOf(there) > 0 && birthOf(there) <= born
  }

  /** Takes over what a look found, and notes a change. */
  update(seen: Seen, nowMs: number): void {
    this.missed = 0
    this.seenAtMs = nowMs
    if (seen.size !== this.seen.size || seen.mtimeMs !== this.seen.mtimeMs) this.#changed(nowMs)
    this.seen = seen
  }

  /** A file that no look finds any more can still be written to by who has it open. */
  updateMissing(nowMs: number): void {
    this.missed++
    if (this.#fd === undefined) return
    const { size, mtimeMs } = fstatSync(this.#fd)
    if (size !== this.seen.size || mtimeMs !== this.seen.mtimeMs) this.#changed(nowMs)
    this.seen = { ...this.seen, size, mtimeMs }
  }

  #changed(nowMs: number): void {
    this.changedAtMs = nowMs
    this.fresh = true
    if (this.#encoding !== 'plain') this.#encoding = undefined
  }

  /** Forgets what the content was taken for: it is another one now. */
  disown(): void {
    this.role = 'unnamed'
    this.source = undefined
    this.original = undefined
    this.base = undefined
    this.hole = 0
    this.fresh = true
    this.#encoding = undefined
  }

  /** Compressed or not, by its first bytes, once they are there. Throws ENOENT when another file has its name by now. */
  get encoding(): Encoding {
    if (this.#encoding !== undefined) return this.#encoding
    const magic = this.bytes(0, MAGIC_BYTES)
    const encoding = encodingOf(magic)
    if (magic.length === MAGIC_BYTES) this.#encoding = encoding
    return encoding
  }

  get isOpen(): boolean {
    return this.#fd !== undefined
  }

  /** A reader of its own for each consumer. */
  open(): PlainReader {
    return openReader(this.descriptor(), this.encoding)
  }

  /** Now, not as a look has found it; in stored bytes. */
  get size(): number {
    return fstatSync(this.descriptor()).size
  }

  /** The stored bytes `[from, to)`, or fewer at the end. */
  bytes(from: number, to: number): Buffer {
    const bytes = Buffer.alloc(to - from)
    return bytes.subarray(0, readSync(this.descriptor(), bytes, 0, to - from, from))
  }

  /** Stays open until `close`: so its inode is not given to another file, and it can be read after it was deleted. */
  descriptor(): number {
    if (this.#fd !== undefined) return this.#fd
    if (openFiles.count >= openFiles.max) {
      const message = `${openFiles.count} files are open, more would leave too few descriptors: it waits for one (ulimit -n, LimitNOFILE)`
      throw Object.assign(new Error(message), { code: 'EMFILE', syscall: 'open' })
    }
    const fd = openSync(this.seen.path, 'r')
    if (keyOf(fstatSync(fd)) !== this.key) {
      closeSync(fd)
      throw Object.assign(new Error(`${this.seen.path} is another file by now`), { code: 'ENOENT' })
    }
    this.#fd = fd
    openFiles.count++
    return fd
  }

  close(): void {
    if (this.#fd === undefined) return
    closeSync(this.#fd)
    this.#fd = undefined
    openFiles.count--
  }
}
