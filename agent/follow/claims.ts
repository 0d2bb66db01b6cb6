import { MAGIC_BYTES } from '../../shared/framing/index.ts'
import {
  isBeginningOf,
  isHeldCopy,
  isNamedCompressed,
  isRotated,
  isSibling,
  isSuccessor,
  originalOf,
} from './copies.ts'
import { type Files, MISSED_LOOKS_MAX } from './files.ts'
import { firstEvent } from './first-event.ts'
import { type Followed, type FollowerOptions, type Holdings, isFinished, NOTHING_READ } from './followed.ts'
import { baseId, HEAD_BYTES, type Likely, type Likeness, likeness, splitId } from './identity.ts'
import type { LogFile } from './log-file.ts'
import { Scratch } from './reader.ts'
import { type Claim, HEIRS, type Known, recognise } from './recognise.ts'
import { compareFiles } from './rotations.ts'
import { Source } from './source.ts'

type KnownAt = Known & Likely
type Like = (key: string, source: string) => Likeness | undefined

/** Finds out which source each file is that nobody knows yet (docs/protocols/agent-positions.md, "Which file is which source"). */
export class Claims {
  readonly #options: FollowerOptions
  readonly #files: Files
  readonly #holdings: Holdings
  readonly #lose: (followed: Followed) => void
  readonly #scratch = new Scratch()

  constructor(options: FollowerOptions, files: Files, holdings: Holdings, lose: (followed: Followed) => void) {
    this.#options = options
    this.#files = files
    this.#holdings = holdings
    this.#lose = lose
  }

  /** Returns false when that cannot be said yet, because a file was lost or is not there any more: look again. */
  async settle(nowMs: number): Promise<boolean> {
    const unclaimed: LogFile[] = []
    for (const file of this.#files) if (file.role === 'copy' && file.fresh) file.disown()
    const isThere = (file: LogFile) => this.#files.isThere(file)
    const rotations = Map.groupBy([...this.#files].filter(isThere), rotationOf)
    const findOriginal = (file: LogFile) => {
      const others = rotations.get(rotationOf(file))?.filter((other) => other !== file) ?? []
      return this.#files.try(file, () => originalOf(file, others))
    }
    const copies: LogFile[] = []
    for (const file of this.#unnamed().sort(compareFiles)) {
      const original = findOriginal(file)
      if (original) copies.push(Object.assign(file, { role: 'copy', original }))
      else if (await this.#name(file, nowMs)) unclaimed.push(file)
    }
    // A log that was truncated meanwhile has its name of what came after: its copy, with what was before, is to be read first.
    const torn = copies.filter((file) => findOriginal(file) !== file.original)
    for (const file of torn) file.disown()
    if (torn.length > 0) return false
    if (this.#unnamed().some((file) => file.fresh && file.base === undefined && isThere(file))) return false
    const alike = Map.groupBy(unclaimed, ({ base }) => base)
    const known = Map.groupBy(this.#known(new Set(alike.keys())), ({ source }) => splitId(source).base)
    let isSettled = true
    for (const [base = '', files] of alike)
      isSettled = (await this.#settleAlike(files, known.get(base) ?? [])) && isSettled
    return isSettled
  }

  /** The same for all files with one first event, and all that is known of its sources. */
  async #settleAlike(files: readonly LogFile[], known: readonly KnownAt[]): Promise<boolean> {
    const likenesses = await this.#compare(files, known)
    const like = (key: string, source: string) => likenesses.get(`${key} ${source}`)
    const named = files.filter(({ base }) => base !== undefined)
    if (known.some(({ source, held }) => held && !this.#holdings.sources.has(source))) return false
    const claims = recognise(named, known, (key, source) => like(key, source) ?? 'other')
    const sources = new Set([...known, ...claims.values()].map(({ source }) => source))
    // What seems new may turn out to be the copy of what is claimed in this look: a compressed one, or one that was deleted since.
    const turn = (file: LogFile) => (claims.get(file.key)!.kind === 'new' ? 1 + Number(file.encoding !== 'plain') : 0)
    named.sort((a, b) => turn(a) - turn(b))
    return named.map((file) => this.#claim(file, claims.get(file.key)!, sources, like)).every(Boolean)
  }

  #unnamed(): LogFile[] {
    return [...this.#files].filter(({ role }) => role === 'unnamed')
  }

  /** Finds out what the sources of this file's first event are called. Returns false when there is none yet. */
  async #name(file: LogFile, nowMs: number): Promise<boolean> {
    if (file.base !== undefined) return true
    const { framing, complete } = file.log
    const final = nowMs - file.changedAtMs >= this.#options.agent.finish_after && (!file.newest || complete)
    if (!file.fresh && !final && file.hole === 0) return false
    file.fresh = false
    if (file.seen.size < (isNamedCompressed(file) ? MAGIC_BYTES : 1)) return false
    const first = await this.#files.read(file, (reader) => firstEvent(reader, framing, final, this.#scratch, file.hole))
    file.hole = first && 'hole' in first ? first.hole : 0
    if (!first || 'hole' in first) return false
    file.base = baseId(this.#options.agent.id, file.log.route, first.event)
    file.head = first.head
    return true
  }

  /** The sources with these first events; of one that is known in several ways, what is known last. */
  #known(bases: ReadonlySet<string | undefined>): KnownAt[] {
    const { entries, lost, sources } = this.#holdings
    const isAskedFor = (id: string) => bases.has(splitId(id).base)
    const known = [
      ...entries
        .values()
        .filter(({ source }) => isAskedFor(source))
        .map((entry) => ({ ...entry, start: NO_BYTES, held: false, ended: entry.retired })),
      ...[...lost.values(), ...sources.values()].filter(({ source }) => isAskedFor(source.id)).map(knownAs),
    ]
    return [...new Map(known.map((at) => [at.source, at])).values()]
  }

  /** Of a file that cannot be compared nothing is said: it loses its name, and is tried again. */
  async #compare(files: readonly LogFile[], known: readonly KnownAt[]): Promise<Map<string, Likeness>> {
    const likenesses = new Map<string, Likeness>()
    const pairs = files.flatMap((file) => known.map((at) => ({ file, at, pair: `${file.key} ${at.source}` })))
    for (const { file, at, pair } of pairs) {
      const like = await this.#files.read(file, (reader) =>
        likeness((from, to) => reader.read(from, to, this.#scratch), at),
      )
      if (like) likenesses.set(pair, this.#isForeign(file, at) ? 'other' : like)
      else file.base = undefined
    }
    for (const { file, at, pair } of pairs) {
      if (likenesses.get(pair) !== 'copy') continue
      const heir = files.find(({ key }) => HEIRS.has(likenesses.get(`${key} ${at.source}`) ?? 'other'))
      const isCopy = await this.#isOldCopy(file, this.#holdings.sources.get(at.source)?.file ?? heir)
      if (isCopy === false) likenesses.set(pair, 'other')
      else if (isCopy === undefined) Object.assign(file, { base: undefined, fresh: true })
    }
    return likenesses
  }

  /**
   * A file with the head of a longer one is an old copy of it, or another file of a log whose files all begin with a long header.
   * `whole`: the longer one, if it is there. Undefined: they cannot be compared.
   */
  async #isOldCopy(file: LogFile, whole: LogFile | undefined): Promise<boolean | undefined> {
    if (!whole) return isRotated(file) || file.head.length < HEAD_BYTES
    if (isSuccessor(file, whole)) return false
    return this.#files.read(file, (reader) => this.#files.read(whole, (other) => isBeginningOf(file, reader, other)))
  }

  /**
   * The source is read from a file that was rotated out of the way of this one, or that lies beside it; or from one without a name, which has other bytes
   * than this one: both begin with a header, perhaps. Or from none any more, and was forgotten but for its name: then a log is it
   * only by its inode. Another one had that inode when the source was read: it is not the one.
   */
  #isForeign(file: LogFile, at: KnownAt): boolean {
    const { source, file: holder } = this.#holdings.sources.get(at.source) ?? {}
    if (file.hasInodeOfAnother(at)) return true
    // By its name, as long as it has that: one that is written to, and not finished as it is.
    const isLog = this.#files.isThere(file) && !isRotated(file) && !file.log.complete
    if (!source || !holder) return at.ended && isLog && file.hint !== at.file
    const isThere = this.#files.isThere(holder)
    // What has no name any more has been rotated as its copy has.
    const named = isThere ? holder : ([...this.#files].find(({ original }) => original === holder) ?? holder)
    if (isSuccessor(file, named) || (this.#files.isThere(named) && isSibling(file, named))) return true
    if (isThere || !holder.isOpen) return false
    return this.#files.try(file, () => !isHeldCopy(file, source.head, holder, false)) ?? true
  }

  /** Returns false when that cannot be said yet: look again. */
  #claim(file: LogFile, { kind, source: id }: Claim, namesakes: Iterable<string>, like: Like): boolean {
    const { entries, lost, sources } = this.#holdings
    if (kind === 'new') {
      if (!this.#isAsNamed(file)) {
        this.#files.disown(file) // it was truncated before it could be compared
        return false
      }
      for (const namesake of namesakes) {
        const holder = sources.get(namesake)
        const relation = holder ? this.#relation(file, holder, like(file.key, namesake)) : 'apart'
        if (relation !== 'apart') return relation === 'copy'
      }
    }
    const followed = sources.get(id)
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
    const entry = entries.get(id)
    const known = followed?.source ?? lost.get(id)?.source
    const source = known ?? new Source(id, file.seen.path, file.log.framing, entry ?? NOTHING_READ)
    if (file.head.length < Math.min(HEAD_BYTES, source.progress.position)) {
      file.disown() // it was named while it was still being copied
      return false
    }
    source.attach(file)
    if (followed) this.#files.forget(followed.file)
    // A plain file that goes on behind its end is noticed by its size.
    source.finished = isFinished(entry) && (file.encoding === 'plain' || like(file.key, id) === 'ends')
    file.role = 'source'
    lost.delete(id)
    sources.set(id, { source, file, log: file.log })
    return true
  }

  #isAsNamed(file: LogFile): boolean {
    const begins = () => file.encoding !== 'plain' || file.bytes(0, file.head.length).equals(file.head)
    return this.#files.try(file, begins) ?? false
  }

  /**
   * How a file relates to the source of the same first event that another file holds. That one may have been truncated
   * since the two were compared, and this file be its copy: only beside an intact holder it is another source.
   */
  #relation(file: LogFile, holder: Followed, like: Likeness | undefined): 'apart' | 'copy' | 'unclear' {
    const { source, file: held } = holder
    const intact = this.#files.try(held, () => source.isIntact())
    if (intact === false) this.#lose(holder)
    if (!intact) return 'unclear'
    const isThere = this.#files.isThere(held)
    if (like === 'other' || (isThere && source.progress.position === 0)) return 'apart'
    if (!isHeldCopy(file, source.head, held, isThere)) return 'apart'
    Object.assign(file, { role: 'copy', original: held })
    return 'copy'
  }
}

/** The inode of a source that lost its file says nothing any more. */
const NO_INODE = { file: -1 }
const NO_BYTES = Buffer.alloc(0)

function knownAs({ source, file }: { source: Source; file?: LogFile }): KnownAt {
  const held = file !== undefined && file.missed < MISSED_LOOKS_MAX
  return { source: source.id, ...source.progress, start: source.head, ...(file?.inode ?? NO_INODE), held, ended: false }
}

/** Whatever is a copy of a file has its route and its stem. */
function rotationOf({ log, seen }: LogFile): string {
  return `${log.route} ${seen.stem}`
}
