import { readSync } from 'node:fs'
import { Events, type FramingOptions } from '../../shared/framing/index.ts'
import { messageOf, UserError } from '../../shared/errors.ts'
import type { Entry } from '../publish/positions.ts'
import { firstEvent } from './first-event.ts'
import { baseId, type Fingerprint, HEAD_BYTES, type Likeness, likeness, splitId, TAIL_BYTES } from './identity.ts'
import { keyOf, LogFile } from './log-file.ts'
import { compareAge } from './names.ts'
import { Scratch } from './reader.ts'
import { type Claim, type Known, recognise, type Unclaimed } from './recognise.ts'
import type { LogPattern, Seen } from './scan.ts'
import { Source, type Workspace } from './source.ts'

/** A log to follow: a pattern, and what its bytes are. */
export interface FollowedLog {
  readonly pattern: LogPattern
  readonly route: string
  readonly framing: FramingOptions
  /** The newest file will not grow for ever: it is finished like the others. */
  readonly complete: boolean
}

export interface FollowerOptions {
  readonly agent: string
  readonly logs: readonly FollowedLog[]
  readonly finishAfterMs: number
  /** Called once for each problem, and again when it has changed. */
  readonly report: (message: string) => void
}

/** A source with the file that it is read from. */
export interface Followed {
  readonly source: Source
  readonly file: LogFile
  readonly log: FollowedLog
}

/** Looks after which the file of nobody is forgotten: it was renamed between two of them, or it is gone. */
const MISSED_LOOKS_MAX = 2

/** Which files are there, and which source each one is. Reads no events: that is for who publishes or uploads them. */
export class Follower {
  readonly sources = new Map<string, Followed>()
  /** Every folder of a log was readable at the last look, by route: what was not seen there is gone. */
  readonly completeRoutes = new Set<string>()
  readonly #options: FollowerOptions
  readonly #files = new Map<string, LogFile>()
  readonly #logs = new Map<string, FollowedLog>()
  readonly #workspace: Workspace = { scratch: new Scratch(), events: new Events(1) }
  /** Sources whose file was truncated or replaced; their rest may turn up in a copy. */
  readonly #lost = new Map<string, { source: Source; unread: string }>()
  #entries = new Map<string, Entry>()
  #folders: readonly string[] = []
  #reported = new Map<string, string>()
  #looking: Promise<void> | undefined
  #lookedAtMs = -Infinity

  constructor(options: FollowerOptions) {
    this.#options = options
  }

  /** Folders in which something may change. */
  get folders(): readonly string[] {
    return this.#folders
  }

  get files(): Iterable<LogFile> {
    return this.#files.values()
  }

  /**
   * Takes over what Kafka knows. Sources that are followed already go back to where Kafka knows them. At the first time
   * every file is recognised anew: until then it was only supposed which source it is.
   */
  adopt(entries: readonly Entry[], first: boolean): void {
    this.#entries = new Map(entries.map((entry) => [entry.source, entry]))
    if (first) return this.#startOver()
    for (const { source } of [...this.sources.values(), ...this.#lost.values()]) {
      const entry = this.#entries.get(source.id)
      source.rewind(entry ?? NOTHING_READ)
      source.finished = isFinished(entry)
    }
  }

  /** An entry that a transaction has made durable. */
  acknowledge(entry: Entry): void {
    this.#entries.set(entry.source, entry)
  }

  /** Some entries are no more. */
  keepEntries(entries: readonly Entry[]): void {
    this.#entries = new Map(entries.map((entry) => [entry.source, entry]))
  }

  /** Takes over a position that was set by a decision, not by reading. */
  moveTo(entry: Entry): void {
    this.acknowledge(entry)
    const source = this.sources.get(entry.source)?.source
    if (!source || source.progress.position === entry.position) return
    source.rewind(entry)
    source.finished = isFinished(entry)
  }

  /** Forgets a source whose file is gone. */
  drop({ source, file }: Followed): void {
    source.release()
    this.sources.delete(source.id)
    this.#forgetFile(file)
  }

  entry(source: string): Entry | undefined {
    return this.#entries.get(source)
  }

  get entries(): Iterable<Entry> {
    return this.#entries.values()
  }

  /** Looks at all folders now. One look at a time: who asks meanwhile waits for a look of its own. */
  async look(nowMs = Date.now()): Promise<void> {
    while (this.#looking) await this.#looking
    this.#looking = this.#look(nowMs).finally(() => (this.#looking = undefined))
    return this.#looking
  }

  async lookIfOlderThan(maxAgeMs: number): Promise<void> {
    if (performance.now() - this.#lookedAtMs >= maxAgeMs) await this.look()
  }

  /** The sources of each rotation, oldest first, with a file to read from. */
  rotations(): Followed[][] {
    const byStem = Map.groupBy(this.sources.values(), ({ file }) => rotationOf(file.seen))
    return Array.from(byStem.values(), (group) => group.sort((a, b) => compareFiles(a.file, b.file)))
  }

  /** Nothing more is expected in this file. */
  isFinishable({ file, log }: Followed, nowMs: number): boolean {
    return (!file.newest || log.complete) && nowMs - file.changedAtMs >= this.#options.finishAfterMs
  }

  /** The file does not hold the source any more: it is another one's, and the rest of the source is somewhere else. */
  lose({ source, file }: Followed): void {
    source.release()
    source.file = undefined
    this.sources.delete(source.id)
    this.#lost.set(source.id, { source, unread: `${file.seen.path} changed before it was read behind ${source.next}` })
    this.#disown(file)
  }

  close(): void {
    for (const { source } of this.sources.values()) source.release()
    for (const file of this.#files.values()) file.close()
  }

  async #look(nowMs: number): Promise<void> {
    if (this.#scan(nowMs)) this.#scan(nowMs)
    await this.#recognise(nowMs)
    this.#markNewest()
    for (const { file } of this.sources.values()) file.fresh = false
    this.#lookedAtMs = performance.now()
    for (const [id, { source, unread }] of this.#lost) {
      this.#report(id, unread)
      if (source.progress.position === this.#entries.get(id)?.position) this.#lost.delete(id)
    }
  }

  /** Returns whether a file became shorter: then its copy may have appeared behind our back, and is wanted now. */
  #scan(nowMs: number): boolean {
    const seen = new Set<string>()
    const folders = new Set<string>()
    const complete = new Map<string, boolean>()
    let shrunk = false
    for (const log of this.#options.logs) {
      const scan = log.pattern.scan()
      for (const folder of scan.folders) folders.add(folder)
      for (const problem of scan.problems) this.#report(problem, problem)
      complete.set(log.route, (complete.get(log.route) ?? true) && scan.complete)
      for (const found of preferLive(scan.files)) {
        const key = keyOf(found)
        if (seen.has(key)) continue
        seen.add(key)
        shrunk = this.#see(key, found, log, nowMs) || shrunk
      }
    }
    for (const file of this.#files.values()) if (!seen.has(file.key)) this.#miss(file, nowMs)
    this.#folders = [...folders]
    this.completeRoutes.clear()
    for (const [route, all] of complete) if (all) this.completeRoutes.add(route)
    return shrunk
  }

  #see(key: string, found: Seen, log: FollowedLog, nowMs: number): boolean {
    const file = this.#files.get(key)
    if (!file) {
      const added = new LogFile(found, nowMs)
      this.#files.set(key, added)
      this.#logs.set(key, log)
      void this.#tryTo(added, () => added.descriptor())
      return false
    }
    const before = file.seen
    file.update(found, nowMs)
    if (this.#logs.get(key) !== log) return this.#giveTo(log, file)
    if (!file.fresh) return false
    const followed = this.#followedBy(file)
    const shrunk = found.size < before.size
    if (!followed) {
      if (shrunk) this.#disown(file)
    } else if (file.encoding === 'plain' && (shrunk || !hasHead(file, followed.source.head))) this.lose(followed)
    return shrunk
  }

  /** The file was deleted, and its inode is another log's by now; or it was moved there. */
  #giveTo(log: FollowedLog, file: LogFile): false {
    const followed = this.#followedBy(file)
    if (followed) this.lose(followed)
    else this.#disown(file)
    this.#logs.set(file.key, log)
    return false
  }

  #followedBy(file: LogFile): Followed | undefined {
    return file.role === 'source' && file.source !== undefined ? this.sources.get(file.source) : undefined
  }

  #miss(file: LogFile, nowMs: number): void {
    file.updateMissing(nowMs)
    if (file.missed === 1) this.#disownCopies(file)
    if (file.missed >= MISSED_LOOKS_MAX && !this.#followedBy(file)) this.#forgetFile(file)
  }

  #disown(file: LogFile): void {
    file.disown()
    this.#disownCopies(file)
  }

  #disownCopies(original: LogFile): void {
    for (const file of this.#files.values()) if (file.original === original) file.disown()
  }

  #forgetFile(file: LogFile): void {
    file.close()
    this.#disownCopies(file)
    this.#files.delete(file.key)
    this.#logs.delete(file.key)
  }

  async #recognise(nowMs: number): Promise<void> {
    const unclaimed: LogFile[] = []
    for (const file of [...this.#files.values()].sort(compareFiles)) {
      if (file.role === 'copy' && file.fresh) file.disown()
      if (file.role !== 'unnamed') continue
      await this.#name(file, nowMs)
      if (file.base === undefined) continue
      const original = await this.#originalOf(file)
      if (!original) unclaimed.push(file)
      else Object.assign(file, { role: 'copy', original })
    }
    if (unclaimed.length === 0) return
    const known = this.#known(new Set(unclaimed.map(({ base }) => base)))
    const likenesses = await this.#compare(unclaimed, known)
    const claims = recognise(unclaimed.map(describe), known, (key, id) => likenesses.get(`${key} ${id}`) ?? 'other')
    for (const file of unclaimed) await this.#claim(file, claims.get(file.key)!)
  }

  /** The file that this one is a mere copy of: compressed beside it, or made by copytruncate before it truncates. */
  async #originalOf(file: LogFile): Promise<LogFile | undefined> {
    const { folder, stem, plain, mark, size, birthMs } = file.seen
    const there = [...this.#files.values()].filter((f) => f !== file && f.missed === 0 && f.seen.folder === folder)
    if (file.encoding !== 'plain') return there.find(({ seen }) => seen.path === `${folder}/${plain}`)
    const live = there.find(({ seen }) => seen.stem === stem && seen.mark === '')
    if (!mark || !live || live.encoding !== 'plain' || live.seen.birthMs >= birthMs || live.seen.size < size)
      return undefined
    return sameBytes(file, live, size) ? live : undefined
  }

  /** Finds out what the sources of this file's first event are called, if there is one. */
  async #name(file: LogFile, nowMs: number): Promise<void> {
    const log = this.#logs.get(file.key)!
    const final = nowMs - file.changedAtMs >= this.#options.finishAfterMs && (!file.newest || log.complete)
    if (file.base !== undefined || (!file.fresh && !final)) return
    file.fresh = false
    if (file.seen.size === 0) return
    await this.#tryTo(file, async () => {
      const reader = file.open()
      try {
        const first = await firstEvent(reader, log.framing, final, this.#workspace.scratch)
        if (first) file.base = baseId(this.#options.agent, log.route, first)
      } finally {
        reader.close()
      }
    })
  }

  #known(bases: ReadonlySet<string | undefined>): (Known & { at: Fingerprint })[] {
    const known = new Map<string, Known & { at: Fingerprint }>()
    for (const entry of this.#entries.values()) {
      known.set(entry.source, { source: entry.source, hint: entry.file, held: false, at: entry })
    }
    for (const { source } of this.#lost.values()) {
      known.set(source.id, { source: source.id, hint: NO_HINT, held: false, at: source.progress })
    }
    for (const { source, file } of this.sources.values()) {
      known.set(source.id, { source: source.id, hint: file.hint, held: file.missed === 0, at: source.progress })
    }
    return [...known.values()].filter(({ source }) => bases.has(splitId(source).base))
  }

  async #compare(files: readonly LogFile[], known: readonly (Known & { at: Fingerprint })[]) {
    const likenesses = new Map<string, Likeness>()
    for (const file of files) {
      for (const { source, at } of known) {
        if (splitId(source).base !== file.base) continue
        await this.#tryTo(file, async () => {
          const reader = file.open()
          const like = await likeness((from, to) => reader.read(from, to, this.#workspace.scratch), at)
          likenesses.set(`${file.key} ${source}`, like)
          reader.close()
        })
      }
    }
    return likenesses
  }

  async #claim(file: LogFile, { kind, source: id }: Claim): Promise<void> {
    const followed = this.sources.get(id)
    file.source = id
    if (followed && !followed.source.finished) {
      // It is still read by the descriptor of a file that has no name any more.
      Object.assign(file, { role: 'copy', original: followed.file })
      return
    }
    if (kind === 'copy') {
      file.role = 'copy'
      return
    }
    const log = this.#logs.get(file.key)!
    const entry = this.#entries.get(id)
    const source =
      followed?.source ??
      this.#lost.get(id)?.source ??
      new Source(id, file.seen.path, log.framing, entry ?? NOTHING_READ)
    await this.#tryTo(file, async () => {
      const reader = file.open()
      source.attach(file, await reader.read(0, HEAD_BYTES, this.#workspace.scratch))
      reader.close()
      if (followed) this.#forgetFile(followed.file)
      source.finished = isFinished(entry)
      file.role = 'source'
      this.#lost.delete(id)
      this.sources.set(id, { source, file, log })
    })
  }

  #markNewest(): void {
    const claimed = [...this.#files.values()].filter(({ role }) => role !== 'copy')
    for (const group of Map.groupBy(claimed, ({ seen }) => rotationOf(seen)).values()) {
      const newest = group
        .filter(({ missed }) => missed === 0)
        .sort(compareFiles)
        .at(-1)
      for (const file of group) file.newest = file === newest
    }
  }

  #startOver(): void {
    for (const { source } of this.sources.values()) source.release()
    this.sources.clear()
    this.#lost.clear()
    for (const file of this.#files.values()) if (file.role !== 'refused') file.disown()
  }

  /** A file that cannot be read is named once, and tried again when it has changed. */
  async #tryTo(file: LogFile, act: () => unknown): Promise<void> {
    try {
      await act()
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'ENOENT') return
      if (error instanceof UserError) file.role = 'refused'
      const advice = error instanceof UserError ? ` ${error.fix}` : ''
      this.#report(file.key, `${file.seen.path} is not followed: ${messageOf(error)}${advice}`)
    }
  }

  #report(about: string, message: string): void {
    if (this.#reported.get(about) === message) return
    this.#reported.set(about, message)
    this.#options.report(message)
  }
}

/** The inode of a source that lost its file says nothing any more. */
const NO_HINT = -1
const NOTHING_READ: Fingerprint = { position: 0, head: 0, tail: 0 }

function rotationOf({ folder, stem }: Seen): string {
  return `${folder}/${stem}`
}

function compareFiles(a: LogFile, b: LogFile): number {
  return compareAge(a.seen, b.seen)
}

/** Of several names for one file, the live one says what it is. */
function preferLive(files: readonly Seen[]): Seen[] {
  return [...files].sort((a, b) => Number(a.mark !== '') - Number(b.mark !== ''))
}

function describe(file: LogFile): Unclaimed {
  return { key: file.key, base: file.base!, hint: file.hint, compressed: file.encoding !== 'plain' }
}

function isFinished(entry: Entry | undefined): boolean {
  return entry?.size !== undefined && entry.size === entry.position
}

/** Do two plain files begin alike, and have the same bytes before `size`? */
function sameBytes(a: LogFile, b: LogFile, size: number): boolean {
  const ranges = [
    [0, Math.min(size, HEAD_BYTES)],
    [Math.max(0, size - TAIL_BYTES), size],
  ] as const
  return ranges.every(([from, to]) => bytesOf(a, from, to).equals(bytesOf(b, from, to)))
}

function bytesOf(file: LogFile, from: number, to: number): Buffer {
  const bytes = Buffer.alloc(to - from)
  return bytes.subarray(0, readSync(file.descriptor(), bytes, 0, to - from, from))
}

/** Does the file still begin as it did? Truncated and written again it would not, whoever has read how much of it. */
function hasHead(file: LogFile, head: Buffer): boolean {
  return bytesOf(file, 0, head.length).equals(head)
}
