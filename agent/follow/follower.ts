import { dirname } from 'node:path'
import { Events, MAGIC_BYTES } from '../../shared/framing/index.ts'
import { messageOf, UserError } from '../../shared/errors.ts'
import type { Entry } from '../publish/positions.ts'
import type { Followed, FollowedLog, FollowerOptions } from './followed.ts'
import { firstEvent } from './first-event.ts'
import { baseId, type Fingerprint, HEAD_BYTES, type Likely, type Likeness, likeness, splitId } from './identity.ts'
import { isHeldCopy, isNamedCompressed, originalOf } from './copies.ts'
import { keyOf, LogFile } from './log-file.ts'
import { compareAge } from './names.ts'
import { type PlainReader, Scratch } from './reader.ts'
import { type Claim, type Known, recognise, type Unclaimed } from './recognise.ts'
import type { Seen } from './scan.ts'
import { Source, type Workspace } from './source.ts'

export type { Followed, FollowedLog, FollowerOptions } from './followed.ts'

type KnownAt = Known & Likely
type Like = (key: string, source: string) => Likeness | undefined

/** Rounds of one look, when what it looks at changes meanwhile; the next look goes on. */
const TRIES_MAX = 4
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
  /** The path of each file, as the last scan found it. */
  #listing: ReadonlyMap<string, string> = new Map()
  /** Names of rotations that have a live file. */
  #live: ReadonlySet<string> = new Set()
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
    const byStem = Map.groupBy(this.sources.values(), ({ file }) => this.#rotationOf(file))
    const ageOf = ({ file }: Followed) => this.#ageOf(file)
    return Array.from(byStem.values(), (group) => group.sort((a, b) => compareAge(ageOf(a), ageOf(b))))
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
    let first = true
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const settled = this.#scan(nowMs, first)
      first = false
      if (settled && (await this.#recognise(nowMs))) break
    }
    this.#markNewest()
    for (const { file } of this.sources.values()) file.fresh = false
    this.#lookedAtMs = performance.now()
    for (const [id, { source, unread }] of this.#lost) {
      if (unread) this.#report(id, `it changed before it was read: bytes ${unread}`)
      if (source.progress.position === (this.#entries.get(id)?.position ?? 0)) this.#lost.delete(id)
    }
  }

  /**
   * Returns false when files were found elsewhere than the last time, or a source was lost: a rotation may have torn the
   * listing, or made a copy behind our back. Only what two listings say is believed.
   */
  #scan(nowMs: number, first: boolean): boolean {
    const seen = new Map<string, string>()
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
        seen.set(key, found.path)
        lost = this.#see(key, found, log, nowMs) || lost
      }
    }
    if (first) for (const file of this.#files.values()) if (!seen.has(file.key)) this.#miss(file, nowMs)
    this.#folders = [...folders]
    this.completeRoutes.clear()
    for (const [route, all] of complete) if (all) this.completeRoutes.add(route)
    const isSame = seen.size === this.#listing.size && [...seen].every(([key, path]) => this.#listing.get(key) === path)
    this.#listing = seen
    return isSame && !lost
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
    if (this.#logs.get(key) !== log) this.#giveTo(log, file)
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

  /** The file was moved to another log; or it was deleted, and its inode is that log's by now. */
  #giveTo(log: FollowedLog, file: LogFile): void {
    const followed = this.#followedBy(file)
    this.#logs.set(file.key, log)
    if (followed?.log.route === log.route) this.sources.set(followed.source.id, { ...followed, log })
    else if (followed) this.lose(followed)
    else this.#disown(file)
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
      const original = this.#tryTo(file, () => originalOf(file, this.#namesakes(file)))
      if (original) Object.assign(file, { role: 'copy', original })
      else if (await this.#name(file, nowMs)) unclaimed.push(file)
    }
    if (unclaimed.length === 0) return true
    const known = this.#known(new Set(unclaimed.map(({ base }) => base)))
    const likenesses = await this.#compare(unclaimed, known)
    const like = (key: string, source: string) => likenesses.get(`${key} ${source}`)
    const named = unclaimed.filter(({ base }) => base !== undefined)
    if (known.some(({ source, held }) => held && !this.sources.has(source))) return false
    const claims = recognise(named.map(describe), known, (key, source) => like(key, source) ?? 'other')
    // A compressed file may turn out to be the copy of one that is claimed in this look.
    named.sort((a, b) => Number(a.encoding !== 'plain') - Number(b.encoding !== 'plain'))
    return named.map((file) => this.#claim(file, claims.get(file.key)!, like)).every(Boolean)
  }

  /** The other files of the same route that are there. */
  #namesakes(file: LogFile): LogFile[] {
    const routeOf = ({ key }: LogFile) => this.#logs.get(key)?.route
    const isOther = (other: LogFile) =>
      other !== file && this.#listing.has(other.key) && routeOf(other) === routeOf(file)
    return [...this.#files.values()].filter(isOther)
  }

  /** Finds out what the sources of this file's first event are called. Returns false when there is none yet. */
  async #name(file: LogFile, nowMs: number): Promise<boolean> {
    if (file.base !== undefined) return true
    const log = this.#logs.get(file.key)!
    const final = nowMs - file.changedAtMs >= this.#options.finishAfterMs && (!file.newest || log.complete)
    if (!file.fresh && !final) return false
    file.fresh = false
    if (file.seen.size < (isNamedCompressed(file) ? MAGIC_BYTES : 1)) return false
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
  #claim(file: LogFile, { kind, source: id }: Claim, like: Like): boolean {
    if (kind === 'new') {
      const namesakes = [...this.sources.values()].filter(({ source }) => splitId(source.id).base === file.base)
      for (const holder of namesakes) {
        const relation = this.#relation(file, holder, like(file.key, holder.source.id))
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
  #relation(file: LogFile, holder: Followed, like: Likeness | undefined): 'apart' | 'copy' | 'unclear' {
    const { source, file: held } = holder
    const intact = this.#tryTo(held, () => source.isIntact())
    if (intact === false) this.lose(holder)
    if (!intact) return 'unclear'
    const isThere = this.#listing.has(held.key)
    if (like === 'other' || (isThere && source.progress.position === 0)) return 'apart'
    if (!isHeldCopy(file, source.head, held, isThere)) return 'apart'
    Object.assign(file, { role: 'copy', original: held })
    return 'copy'
  }

  #markNewest(): void {
    const claimed = [...this.#files.values()].filter(({ role }) => role !== 'copy')
    this.#live = new Set(
      claimed.filter(({ seen }) => seen.mark === '').map(({ seen }) => `${seen.folder}/${seen.stem}`),
    )
    for (const group of Map.groupBy(claimed, (file) => this.#rotationOf(file)).values()) {
      const newest = group
        .filter(({ key }) => this.#listing.has(key))
        .sort(compareFiles)
        .at(-1)
      for (const file of group) file.newest = file === newest
    }
  }

  /** The live file that it was rotated from, in its folder or in the one above (olddir). */
  #rotationOf({ seen: { folder, stem, mark } }: LogFile): string {
    const [beside, above] = [`${folder}/${stem}`, `${dirname(folder)}/${stem}`]
    return mark !== '' && !this.#live.has(beside) && this.#live.has(above) ? above : beside
  }

  /** A file that has no name any more is as old as its copy. */
  #ageOf(file: LogFile): Seen {
    const copies = this.#listing.has(file.key) ? [] : [...this.#files.values()]
    return (copies.find(({ original, key }) => original === file && this.#listing.has(key)) ?? file).seen
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
