import { messageOf, UserError } from '../../shared/errors.ts'
import type { FollowerOptions, FollowedLog } from './followed.ts'
import { LogFile } from './log-file.ts'
import type { PlainReader } from './reader.ts'
import type { Seen } from './scan.ts'

/** A file whose content, or log, has changed. */
export interface Change {
  readonly file: LogFile
  /** What it was before. */
  readonly seen: Seen
  readonly log: FollowedLog
}

/** Looks after which the file of nobody is forgotten: it was renamed between two of them, or it is gone. */
export const MISSED_LOOKS_MAX = 2

/** The files of all logs, as the looks find them. What cannot be read is said once, and does not stop the others. */
export class Files implements Iterable<LogFile> {
  /** Folders in which something may change. */
  folders: readonly string[] = []
  /** Every folder of a log, and every file, was readable at the last look, by route: what was not seen there is gone. */
  completeRoutes: ReadonlySet<string> = new Set()
  readonly #options: FollowerOptions
  readonly #files = new Map<string, LogFile>()
  /** How often the folders have been listed. */
  #listings = 0
  /** Could not be opened: the right, or a free descriptor, may come without any change of the file. */
  readonly #closed = new Set<LogFile>()

  constructor(options: FollowerOptions) {
    this.#options = options
  }

  [Symbol.iterator](): Iterator<LogFile> {
    return this.#files.values()
  }

  /** Has a name, by the last listing. */
  isThere({ listing }: LogFile): boolean {
    return listing === this.#listings
  }

  /**
   * Lists the folders, and asks again for the files with these stems; absent: for all. Answers what has changed, and the stems
   * of names that have come or gone since the last listing, or are those of other files now.
   */
  list(nowMs: number, stems: ReadonlySet<string> | undefined): { changes: Change[]; moved: Set<string> } {
    const changes: Change[] = []
    const moved = new Set<string>()
    const folders = new Set<string>()
    const incomplete = new Set<string>()
    this.#listings++
    for (const log of this.#options.logs) {
      const scan = log.pattern.scan(stems)
      for (const folder of scan.folders) folders.add(folder)
      for (const [path, problem] of scan.problems) this.#options.report(path, problem)
      for (const stem of scan.moved) moved.add(stem)
      if (!scan.complete) incomplete.add(log.route)
      for (const seen of scan.files) {
        const change = this.#see(seen, log, nowMs)
        if (change) changes.push(change)
      }
    }
    if (!stems) this.#openAgain()
    for (const { log } of this.#closed) incomplete.add(log.route)
    this.folders = [...folders]
    this.completeRoutes = new Set(this.#options.logs.map(({ route }) => route)).difference(incomplete)
    return { changes, moved }
  }

  #see(seen: Seen, log: FollowedLog, nowMs: number): Change | undefined {
    const file = this.#files.get(seen.key) ?? this.#add(seen, log, nowMs)
    if (this.isThere(file)) return undefined // by another name
    file.listing = this.#listings
    if (file.seen === seen && file.log === log) return undefined
    const change = { file, seen: file.seen, log: file.log }
    file.update(seen, nowMs)
    file.log = log
    return change
  }

  #openAgain(): void {
    for (const file of this.#closed) {
      if (this.isThere(file) && this.try(file, () => file.descriptor()) === undefined) continue
      this.#closed.delete(file)
      if (!file.isOpen) continue
      file.fresh = true
      this.#options.report(file.key, '')
    }
  }

  #add(seen: Seen, log: FollowedLog, nowMs: number): LogFile {
    const file = new LogFile(seen, log, nowMs)
    this.#files.set(seen.key, file)
    this.try(file, () => file.descriptor())
    return file
  }

  /** Files that the last listing did not find can still be written to by who has them open. */
  miss(nowMs: number): void {
    for (const file of this.#files.values()) {
      file.changedAtMs = Math.min(file.changedAtMs, nowMs) // the clock may have been set back
      if (this.isThere(file)) continue
      this.try(file, () => file.updateMissing(nowMs))
      if (file.missed === 1) this.#disownCopies(file)
      if (file.missed >= MISSED_LOOKS_MAX && file.role !== 'source' && file.hole === 0) this.forget(file)
    }
  }

  /** What a file was taken for is not true any more; nor is it of its copies. */
  disown(file: LogFile): void {
    file.disown()
    this.#disownCopies(file)
  }

  #disownCopies(original: LogFile): void {
    for (const file of this.#files.values()) if (file.original === original) file.disown()
  }

  forget(file: LogFile): void {
    file.close()
    this.#disownCopies(file)
    this.#files.delete(file.key)
  }

  async read<T>(file: LogFile, act: (reader: PlainReader) => Promise<T>): Promise<T | undefined> {
    const reader = this.try(file, () => file.open())
    try {
      return reader && (await act(reader))
    } catch (error) {
      this.#refuse(file, error)
      return undefined
    } finally {
      reader?.close()
    }
  }

  try<T>(file: LogFile, act: () => T): T | undefined {
    try {
      return act()
    } catch (error) {
      this.#refuse(file, error)
      return undefined
    }
  }

  /** A file that cannot be read is reported once, and tried again when it has changed; one that is gone, when it is found again. */
  #refuse(file: LogFile, error: unknown): void {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return void (file.fresh = true)
    if (error instanceof UserError) file.role = 'refused'
    else if ((error as NodeJS.ErrnoException).syscall === 'open') this.#closed.add(file)
    const advice = error instanceof UserError ? ` ${error.fix}` : ''
    this.#options.report(file.key, `${file.seen.path} is not followed: ${messageOf(error)}${advice}`)
  }
}
