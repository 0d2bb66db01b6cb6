import type { Entry } from '../publish/positions.ts'
import { Claims } from './claims.ts'
import { type Change, Files } from './files.ts'
import { type Followed, type FollowerOptions, type Holdings, isFinished, NOTHING_READ } from './followed.ts'
import type { LogFile } from './log-file.ts'
import { rotationName } from './names.ts'
import { Rotations } from './rotations.ts'

/** Rounds of one look, when what it looks at changes meanwhile; the next look goes on. */
const TRIES_MAX = 4

/** Which files are there, and which source each one is. Reads no events: that is for who publishes or uploads them. */
export class Follower {
  readonly #options: FollowerOptions
  readonly files: Files
  readonly #rotations: Rotations
  readonly #claims: Claims
  readonly #holdings: Holdings = { sources: new Map(), lost: new Map(), entries: new Map() }
  /** Names in the folders to which something has happened since the last look. */
  #touched = new Set<string>()
  /** Stems of files that the last look at everything found changed, and that nobody had touched. */
  #untold: readonly string[] = []
  /** The next look is one at everything. */
  #everything = true
  /** The answer of `rotations`, as long as it is true. */
  #ready: Followed[][] | undefined
  #looking: Promise<void> | undefined
  #lookedAtMs = -Infinity

  constructor(options: FollowerOptions) {
    this.#options = options
    this.files = new Files(options)
    this.#rotations = new Rotations(this.files)
    this.#claims = new Claims(options, this.files, this.#holdings, (followed) => this.lose(followed))
  }

  get sources(): ReadonlyMap<string, Followed> {
    return this.#holdings.sources
  }

  get entries(): Iterable<Entry> {
    return this.#holdings.entries.values()
  }

  entry(source: string): Entry | undefined {
    return this.#holdings.entries.get(source)
  }

  /**
   * Takes over what Kafka knows. Sources that are followed already go back to where Kafka knows them. At the first time
   * every file is recognised anew: until then it was only supposed which source it is. So it is when somebody else has
   * given names since: another life, or who adopted this agent.
   */
  adopt(entries: readonly Entry[], first: boolean): void {
    const { sources, lost } = this.#holdings
    this.#ready = undefined
    const isNamedAnew = entries.some((entry) => !this.#isNamedSo(entry))
    this.keepEntries(entries)
    if (first || isNamedAnew) return this.#startOver()
    for (const { source } of [...sources.values(), ...lost.values()]) {
      const entry = this.entry(source.id)
      source.rewind(entry ?? NOTHING_READ)
      source.finished = isFinished(entry)
    }
    // What held nothing new of a lost source may hold what has to be read again.
    for (const file of this.files) if (file.role === 'copy' && lost.has(file.source ?? '')) file.disown()
  }

  /** Of the file that has this name here, too. A file that is open keeps its inode. */
  #isNamedSo({ source, file }: Entry): boolean {
    return this.entry(source)?.file === file || this.sources.get(source)?.file.hint === file
  }

  #startOver(): void {
    const { sources, lost } = this.#holdings
    for (const { source } of sources.values()) source.release()
    sources.clear()
    lost.clear()
    for (const file of this.files) {
      if (file.role !== 'refused') file.disown()
      file.missed = 0 // a deleted one that is open is kept, until a look has said whose it is
    }
  }

  /** An entry that a transaction has made durable. */
  acknowledge(entry: Entry): void {
    this.#holdings.entries.set(entry.source, entry)
  }

  /** There are no others any more. */
  keepEntries(entries: readonly Entry[]): void {
    this.#holdings.entries.clear()
    for (const entry of entries) this.acknowledge(entry)
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
    this.#holdings.sources.delete(source.id)
    this.files.forget(file)
    this.#ready = undefined
  }

  /** The file does not hold the source any more: it is another one's, and the rest of the source is somewhere else. */
  lose({ source, file }: Followed, size = file.seen.size): void {
    source.release()
    source.file = undefined
    this.#holdings.sources.delete(source.id)
    const unread = source.next < size ? `${source.next} to ${size} of ${file.seen.path}` : undefined
    if (!source.finished) this.#holdings.lost.set(source.id, { source, unread })
    this.files.disown(file)
    this.#everything = true
    this.#ready = undefined
  }

  /** The sources of each rotation that may be read now, oldest first. */
  rotations(): readonly (readonly Followed[])[] {
    return (this.#ready ??= this.#rotations.of(this.sources.values()))
  }

  /** Nothing more is expected in this file. */
  isFinishable({ file, log }: Followed, nowMs: number): boolean {
    return (!file.newest || log.complete) && nowMs - file.changedAtMs >= this.#options.agent.finish_after
  }

  /** There may be something to read, or to finish. */
  isDue(followed: Followed, nowMs: number): boolean {
    const { source, file } = followed
    if (source.finished) return source.hasMore
    return file.encoding !== 'plain' || file.seen.size > source.next || this.isFinishable(followed, nowMs)
  }

  close(): void {
    for (const { source } of this.sources.values()) source.release()
    for (const file of this.files) file.close()
  }

  /** Looks at all folders now. One look at a time: who asks meanwhile waits for a look of its own. */
  async look(nowMs = Date.now()): Promise<void> {
    this.#everything = true
    return this.#lookInTurn(nowMs)
  }

  async lookIfOlderThan(maxAgeMs: number): Promise<void> {
    if (performance.now() - this.#lookedAtMs >= maxAgeMs) await this.look()
  }

  /** Something has happened to this name in a folder: the next glance looks at it. Null: nobody knows which name. */
  touch(name: string | null): void {
    if (name === null) this.#everything = true
    else this.#touched.add(name)
  }

  /**
   * Looks at what was touched since the last look. At everything when that was longer ago than `maxAgeMs`, or has found what
   * nobody has told of since: a file behind a link, or a folder that cannot be watched.
   */
  async glance(maxAgeMs: number): Promise<void> {
    const told = stemsOf(this.#touched)
    const isBlind = this.#untold.some((stem) => !told.has(stem))
    if (isBlind || performance.now() - this.#lookedAtMs >= maxAgeMs) return this.look()
    if (this.#everything || told.size > 0) await this.#lookInTurn(Date.now())
  }

  async #lookInTurn(nowMs: number): Promise<void> {
    while (this.#looking) await this.#looking
    this.#looking = this.#look(nowMs).finally(() => (this.#looking = undefined))
    return this.#looking
  }

  async #look(nowMs: number): Promise<void> {
    const told = stemsOf(this.#touched)
    let stems = this.#everything ? undefined : told
    if (!stems) this.#lookedAtMs = performance.now()
    this.#everything = false
    this.#touched.clear()
    let isSettled = false
    for (let tries = 0; tries < TRIES_MAX && !isSettled; tries++) {
      const { changes, moved } = this.files.list(nowMs, stems)
      const lost = changes.filter((change) => this.#isLost(change))
      if (tries === 0) this.files.miss(nowMs)
      if (tries === 0 && !stems)
        this.#untold = changes.map(({ file }) => file.seen.stem).filter((stem) => !told.has(stem))
      // A rotation may have torn the listing, or made a copy behind our back: only what two listings say is believed.
      isSettled = lost.length === 0 && moved.size === 0 && (await this.#claims.settle(nowMs))
      stems = lost.length === 0 && moved.size > 0 ? moved : undefined
    }
    if (!isSettled) this.#everything = true
    this.#rotations.markNewest()
    this.#ready = undefined
    for (const { file } of this.sources.values()) file.fresh = false
    this.#reportLost()
  }

  #reportLost(): void {
    const { lost } = this.#holdings
    for (const [id, { source, unread }] of lost) {
      if (unread) this.#options.report(id, `it changed before it was read: bytes ${unread}`)
      if (source.progress.position === (this.entry(id)?.position ?? 0)) lost.delete(id)
    }
  }

  /** Whether a change says that the file is another one now, so that its copy is wanted. */
  #isLost({ file, seen: before, log }: Change): boolean {
    if (log !== file.log) this.#changeLog(file)
    if (!file.fresh) return false
    const followed = this.#followedBy(file)
    const isAnother = !file.isOpen && file.hasInodeOfAnother({ file: file.hint, born: before.birthMs })
    const shrunk = isAnother || file.seen.size < before.size
    if (followed && file.encoding === 'plain') {
      const intact = !shrunk && (this.files.try(file, () => followed.source.isIntact()) ?? true)
      if (!intact) this.lose(followed, before.size)
      return !intact
    }
    if (shrunk && !followed) this.files.disown(file)
    return shrunk && !followed
  }

  /** The file was moved to another log; or it was deleted, and its inode is that log's by now. */
  #changeLog(file: LogFile): void {
    const followed = this.#followedBy(file)
    if (followed?.log.route === file.log.route)
      this.#holdings.sources.set(followed.source.id, { ...followed, log: file.log })
    else if (followed) this.lose(followed)
    else this.files.disown(file)
  }

  #followedBy(file: LogFile): Followed | undefined {
    return file.role === 'source' && file.source !== undefined ? this.sources.get(file.source) : undefined
  }
}

function stemsOf(names: Iterable<string>): Set<string> {
  return new Set(Array.from(names, (name) => rotationName(name).stem))
}
