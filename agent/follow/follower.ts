import { Events, type FramingOptions } from '../../shared/framing/index.ts'
import { messageOf, UserError } from '../../shared/errors.ts'
import type { Entry } from '../publish/positions.ts'
import { firstEvent } from './first-event.ts'
import { baseId, type Fingerprint, HEAD_BYTES, type Likely, type Likeness, likeness, splitId } from './identity.ts'
import { isCopyOf, keyOf, LogFile } from './log-file.ts'
import { compareAge } from './names.ts'
import type { RateLimit } from './rate-limit.ts'
import { type PlainReader, Scratch } from './reader.ts'
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
  /** Absent: as fast as Kafka takes it. */
  readonly rate?: RateLimit
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

type KnownAt = Known & Likely
type Like = (key: string, source: string) => Likeness

/** Rounds of one look, when what it looks at changes meanwhile; the next look goes on. */
const TRIES_MAX = 3
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
  readonly #lost = new Map<string, { source: Source; unread: string | undefined }>()
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
   * every file is recognised anew: until then it was only supposed which source it is. So it is when somebody else has
   * given names since: another life, or who adopted this agent.
   */
  adopt(entries: readonly Entry[], first: boolean): void {
    const isNamedAnew = entries.some((entry) => !this.#isNamedSo(entry))
    this.#entries = new Map(entries.map((entry) => [entry.source, entry]))
    if (first || isNamedAnew) return this.#startOver()
    for (const { source } of [...this.sources.values(), ...this.#lost.values()]) {
      const entry = this.#entries.get(source.id)
      source.rewind(entry ?? NOTHING_READ)
      source.finished = isFinished(entry)
    }
    // What held nothing new of a lost source may hold what has to be read again.
    for (const file of this.#files.values())
      if (file.role === 'copy' && this.#lost.has(file.source ?? '')) file.disown()
  }

  /** Of the file that has this name here, too. A file that is open keeps its inode. */
  #isNamedSo({ source, file }: Entry): boolean {
    return this.#entries.get(source)?.file === file || this.sources.get(source)?.file.hint === file
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
  lose({ source, file }: Followed, size = file.seen.size): void {
    source.release()
    source.file = undefined
    this.sources.delete(source.id)
    const unread = source.next < size ? `${source.next} to ${size} of ${file.seen.path}` : undefined
    if (!source.finished) this.#lost.set(source.id, { source, unread })
    this.#disown(file)
  }

  close(): void {
    for (const { source } of this.sources.values()) source.release()
    for (const file of this.#files.values()) file.close()
  }

  async #look(nowMs: number): Promise<void> {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const lost = this.#scan(nowMs, tries === 0)
      if (!lost && (await this.#recognise(nowMs))) break
    }
    this.#markNewest()
    for (const { file } of this.sources.values()) file.fresh = false
    this.#lookedAtMs = performance.now()
    for (const [id, { source, unread }] of this.#lost) {
      if (unread) this.#report(id, `it changed before it was read: bytes ${unread}`)
      if (source.progress.position === (this.#entries.get(id)?.position ?? 0)) this.#lost.delete(id)
    }
  }

  /** Returns whether a file was lost: then its copy may have appeared behind our back, and is wanted now. */
  #scan(nowMs: number, first: boolean): boolean {
    const seen = new Set<string>()
    const folders = new Set<string>()
    const complete = new Map<string, boolean>()
    let lost = false
    for (const log of this.#options.logs) {
      const scan = log.pattern.scan()
      for (const folder of scan.folders) folders.add(folder)
      for (const problem of scan.problems) this.#report(problem, problem)
      complete.set(log.route, (complete.get(log.route) ?? true) && scan.complete)
      for (const found of preferLive(scan.files)) {
        const key = keyOf(found)
        if (seen.has(key)) continue
        seen.add(key)
        lost = this.#see(key, found, log, nowMs) || lost
      }
    }
    if (first) for (const file of this.#files.values()) if (!seen.has(file.key)) this.#miss(file, nowMs)
    this.#folders = [...folders]
    this.completeRoutes.clear()
    for (const [route, all] of complete) if (all) this.completeRoutes.add(route)
    return lost
  }

  #see(key: string, found: Seen, log: FollowedLog, nowMs: number): boolean {
    const file = this.#files.get(key)
    if (!file) {
      const added = new LogFile(found, nowMs)
      this.#files.set(key, added)
      this.#logs.set(key, log)
      this.#tryTo(added, () => added.descriptor())
      return false
    }
    const before = file.seen
    file.update(found, nowMs)
    if (this.#logs.get(key) !== log) return this.#giveTo(log, file)
    if (!file.fresh) return false
    const followed = this.#followedBy(file)
    const shrunk = found.size < before.size
    if (followed && file.encoding === 'plain') {
      const intact = !shrunk && (this.#tryTo(file, () => followed.source.isIntact()) ?? true)
      if (!intact) this.lose(followed, before.size)
      return !intact
    }
    if (shrunk && !followed) this.#disown(file)
    return shrunk && !followed
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

  /** Returns false when a source was lost meanwhile: look again. */
  async #recognise(nowMs: number): Promise<boolean> {
    const unclaimed: LogFile[] = []
    for (const file of [...this.#files.values()].sort(compareFiles)) {
      if (file.role === 'copy' && file.fresh) file.disown()
      if (file.role !== 'unnamed') continue
      const original = this.#tryTo(file, () => this.#originalOf(file))
      if (original) Object.assign(file, { role: 'copy', original })
      else if (await this.#name(file, nowMs)) unclaimed.push(file)
    }
    if (unclaimed.length === 0) return true
    const known = this.#known(new Set(unclaimed.map(({ base }) => base)))
    const likenesses = await this.#compare(unclaimed, known)
    const like = (key: string, source: string) => likenesses.get(`${key} ${source}`) ?? 'other'
    const named = unclaimed.filter(({ base }) => base !== undefined)
    const claims = recognise(named.map(describe), known, like)
    return named.map((file) => this.#claim(file, claims.get(file.key)!, known, like)).every(Boolean)
  }

  /** The file that this one is a mere copy of: compressed beside it, or made by copytruncate before it truncates. */
  #originalOf(file: LogFile): LogFile | undefined {
    const { folder, stem, plain, mark } = file.seen
    const compressed = file.encoding !== 'plain'
    if (!compressed && mark === '') return undefined
    const there = [...this.#files.values()].filter((other) => other !== file && other.missed === 0)
    if (compressed) return there.find(({ seen }) => seen.path === `${folder}/${plain}`)
    const log = this.#logs.get(file.key)
    const live = there.filter(({ key, seen }) => seen.stem === stem && seen.mark === '' && this.#logs.get(key) === log)
    const beside = live.filter(({ seen }) => seen.folder === folder)
    return (beside.length > 0 ? beside : live).find((original) => isCopyOf(file, original))
  }

  /** Finds out what the sources of this file's first event are called. Returns false when there is none yet. */
  async #name(file: LogFile, nowMs: number): Promise<boolean> {
    if (file.base !== undefined) return true
    const log = this.#logs.get(file.key)!
    const final = nowMs - file.changedAtMs >= this.#options.finishAfterMs && (!file.newest || log.complete)
    if (!file.fresh && !final) return false
    file.fresh = false
    if (file.seen.size === 0) return false
    const first = await this.#read(file, (reader) => firstEvent(reader, log.framing, final, this.#workspace.scratch))
    if (!first) return false
    file.base = baseId(this.#options.agent, log.route, first.event)
    file.head = first.head
    return true
  }

  #known(bases: ReadonlySet<string | undefined>): KnownAt[] {
    const known = new Map<string, KnownAt>()
    const add = (
      source: string,
      at: Fingerprint,
      start: Buffer,
      more: { hint: number; held: boolean; ended: boolean },
    ) => known.set(source, { source, position: at.position, head: at.head, tail: at.tail, start, ...more })
    for (const entry of this.#entries.values())
      add(entry.source, entry, NO_BYTES, { hint: entry.file, held: false, ended: entry.retired })
    for (const { source } of this.#lost.values())
      add(source.id, source.progress, source.head, { hint: NO_HINT, held: false, ended: false })
    for (const { source, file } of this.sources.values()) {
      const held = file.missed < MISSED_LOOKS_MAX
      add(source.id, source.progress, source.head, { hint: file.hint, held, ended: false })
    }
    return [...known.values()].filter(({ source }) => bases.has(splitId(source).base))
  }

  /** Of a file that cannot be compared nothing is said: it loses its name, and is tried again. */
  async #compare(files: readonly LogFile[], known: readonly KnownAt[]): Promise<Map<string, Likeness>> {
    const likenesses = new Map<string, Likeness>()
    for (const file of files) {
      for (const at of known) {
        if (splitId(at.source).base !== file.base) continue
        const like = await this.#read(file, (reader) =>
          likeness((from, to) => reader.read(from, to, this.#workspace.scratch), at),
        )
        if (like) likenesses.set(`${file.key} ${at.source}`, like)
        else file.base = undefined
      }
    }
    return likenesses
  }

  /** Returns false when that cannot be said yet: look again. */
  #claim(file: LogFile, { kind, source: id }: Claim, known: readonly KnownAt[], like: Like): boolean {
    if (kind === 'new') {
      const namesakes = known.filter(({ source, held }) => held && splitId(source).base === file.base)
      for (const { source } of namesakes) {
        const relation = this.#relation(file, source, like(file.key, source))
        if (relation !== 'apart') return relation === 'copy'
      }
    }
    const followed = this.sources.get(id)
    file.source = id
    if (followed && !followed.source.finished) {
      // It is still read by the descriptor of a file that has no name any more.
      Object.assign(file, { role: 'copy', original: followed.file })
      return true
    }
    if (kind === 'copy') {
      file.role = 'copy'
      return true
    }
    const entry = this.#entries.get(id)
    const source =
      followed?.source ??
      this.#lost.get(id)?.source ??
      new Source(id, file.seen.path, this.#logs.get(file.key)!.framing, entry ?? NOTHING_READ)
    if (file.head.length < Math.min(HEAD_BYTES, source.progress.position)) {
      file.disown() // it was named while it was still being copied
      return false
    }
    source.attach(file)
    if (followed) this.#forgetFile(followed.file)
    source.finished = isFinished(entry)
    file.role = 'source'
    this.#lost.delete(id)
    this.sources.set(id, { source, file, log: this.#logs.get(file.key)! })
    return true
  }

  /**
   * How a file relates to the source of the same first event that another file holds. That one may have been truncated
   * since the two were compared, and this file be its copy: only beside an intact holder it is another source.
   */
  #relation(file: LogFile, id: string, like: Likeness): 'apart' | 'copy' | 'unclear' {
    const holder = this.sources.get(id)
    const intact = holder && this.#tryTo(holder.file, () => holder.source.isIntact())
    if (holder && intact === false) this.lose(holder)
    if (!holder || !intact || (holder.file.missed > 0 && like !== 'other')) return 'unclear'
    const plain = file.encoding === 'plain' && holder.file.encoding === 'plain'
    if (plain || like === 'other' || holder.source.progress.position === 0) return 'apart'
    Object.assign(file, { role: 'copy', original: holder.file })
    return 'copy'
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
    for (const file of this.#files.values()) {
      if (file.role !== 'refused') file.disown()
      file.missed = 0 // a deleted one that is open is kept, until a look has said whose it is
    }
  }

  async #read<T>(file: LogFile, act: (reader: PlainReader) => Promise<T>): Promise<T | undefined> {
    const reader = this.#tryTo(file, () => file.open())
    try {
      return reader && (await act(reader))
    } catch (error) {
      this.#refuse(file, error)
      return undefined
    } finally {
      reader?.close()
    }
  }

  #tryTo<T>(file: LogFile, act: () => T): T | undefined {
    try {
      return act()
    } catch (error) {
      this.#refuse(file, error)
      return undefined
    }
  }

  /** A file that cannot be read is named once, and tried again when it has changed; one that is gone is not named. */
  #refuse(file: LogFile, error: unknown): void {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    if (error instanceof UserError) file.role = 'refused'
    const advice = error instanceof UserError ? ` ${error.fix}` : ''
    this.#report(file.key, `${file.seen.path} is not followed: ${messageOf(error)}${advice}`)
  }

  #report(about: string, message: string): void {
    if (this.#reported.get(about) === message) return
    this.#reported.set(about, message)
    this.#options.report(message)
  }
}

/** The inode of a source that lost its file says nothing any more. */
const NO_HINT = -1
const NO_BYTES = Buffer.alloc(0)
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
