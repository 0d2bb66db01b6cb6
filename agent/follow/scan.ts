import { type Dirent, readdirSync, type Stats, statSync } from 'node:fs'
import { join } from 'node:path'
import { ANY_DEPTH, parseGlob, type Segment } from './glob.ts'
import { type RotationName, rotationName } from './names.ts'

/** A file as one look found it. */
export interface Seen extends RotationName {
  /** Device and inode. */
  readonly key: string
  readonly path: string
  readonly folder: string
  /** The path of the live file of its rotation, if that is in its folder. */
  readonly live: string
  readonly dev: number
  readonly ino: number
  readonly size: number
  readonly mtimeMs: number
  /** See `birthOf`. */
  readonly birthMs: number
}

export interface Scan {
  /** Live names first: of several names for one file they say what it is. */
  readonly files: readonly Seen[]
  /** Folders that were looked into, or that could not be. */
  readonly folders: readonly string[]
  /** Stems of names that have come or gone since the last scan, or are those of other files now. */
  readonly moved: ReadonlySet<string>
  /** What could not be read, one sentence by path. A missing folder is none: it may come. */
  readonly problems: ReadonlyMap<string, string>
  /** Every folder was there and readable, and every file could be asked for: one that was not seen is gone. */
  readonly complete: boolean
}

/** Folders below `**` are followed to this depth. */
const DEPTH_MAX = 12
/** In /proc nothing has a birth. If the call statx is refused, Node takes the time of the last change for it, here and everywhere. */
const unborn = statSync('/proc/self', { throwIfNoEntry: false })
const TELLS_BIRTHS = unborn === undefined || unborn.birthtimeMs !== unborn.ctimeMs

/** A name in a folder of the log. */
interface Name {
  readonly place: RotationName & Pick<Seen, 'path' | 'folder' | 'live'>
  readonly belongs: boolean
  /** The file that has it. Null: none. Undefined: that cannot be told. */
  seen: Seen | null | undefined
  /** The last scan that found it. */
  scan: number
}

/** The pattern of a log, ready to be looked for. */
export class LogPattern {
  readonly #folders: readonly Segment[]
  readonly #last: Segment
  /** All names in its folders at the last scan, by path. */
  readonly #names = new Map<string, Name>()
  #scans = 0
  /** Folders of the last scan that were read then or before. */
  #listed = new Set<string>()

  constructor(pattern: string) {
    const segments = parseGlob(pattern)
    this.#last = segments.at(-1) ?? ''
    this.#folders = segments.slice(0, -1)
  }

  /**
   * All files of the log that are there now: those that match, and the rotated forms of those that match. Names are listed;
   * which files they are is asked for again only of rotations that have gained or lost a name, or are among the stems that
   * were `touched`: absent, of all. A file that has not changed is the same object as before.
   */
  scan(touched?: ReadonlySet<string>): Scan {
    const problems = new Map<string, string>()
    const folders: string[] = []
    let complete = true
    const list = <T>(folder: string, read: () => T[]): T[] => {
      try {
        folders.push(folder)
        const found = read()
        this.#listed.add(folder)
        return found
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        // The first one, before any wildcard, may come. What a wildcard finds need not have the others; what has had them may be out of reach.
        if (code !== 'ENOENT' || folder === folders[0] || this.#listed.has(folder)) complete = false
        if (code !== 'ENOENT') problems.set(folder, `${folder} cannot be read: ${code}`)
        return []
      }
    }
    // Behind each wildcard a folder is entered once, however many links lead to it or back.
    const entered = new Set<string>()
    const isNew = (folder: string, left: number) =>
      entered.size < entered.add(`${left} ${keyOf(statSync(folder))}`).size
    const inside = (folder: string, left: number) =>
      list(folder, () => (isNew(folder, left) ? readdirSync(folder, { withFileTypes: true }) : []))
    const changed = new Set(touched)
    const moved = new Set<string>()
    this.#scans++
    for (const folder of expand('/', this.#folders, inside))
      for (const name of list(folder, () => readdirSync(folder))) this.#note(folder, name, changed, moved)
    this.#listed = this.#listed.intersection(new Set(folders))
    const [live, rotated]: [Seen[], Seen[]] = [[], []]
    for (const [path, name] of this.#names) {
      if (name.scan === this.#scans) continue
      changed.add(name.place.stem)
      if (name.belongs) moved.add(name.place.stem)
      this.#names.delete(path)
    }
    for (const name of this.#names.values()) {
      if (!name.belongs) continue
      const before = name.seen
      if (!touched || changed.has(name.place.stem)) name.seen = see(name, problems)
      if (before?.key !== name.seen?.key) moved.add(name.place.stem)
      if (name.seen === undefined) complete = false
      if (name.seen) (name.place.mark === '' ? live : rotated).push(name.seen)
    }
    return { files: live.concat(rotated), folders, moved, problems, complete }
  }

  #note(folder: string, name: string, changed: Set<string>, moved: Set<string>): void {
    const prefix = folder === '/' ? folder : `${folder}/`
    const path = prefix + name
    let known = this.#names.get(path)
    if (!known) {
      const rotation = rotationName(name)
      const place = { ...rotation, path, folder, live: prefix + rotation.stem }
      known = { place, belongs: this.#belongs(name, rotation), seen: undefined, scan: 0 }
      this.#names.set(path, known)
      changed.add(rotation.stem)
      if (known.belongs) moved.add(rotation.stem)
    }
    known.scan = this.#scans
  }

  /** A name that matches, also without a compressed copy's ending, or whose live name would. */
  #belongs(name: string, { stem, plain }: RotationName): boolean {
    const last = this.#last
    const matches = (form: string) => (last instanceof RegExp ? last.test(form) : last === form || last === ANY_DEPTH)
    return [name, plain, stem].some(matches)
  }
}

function see({ place, seen }: Name, problems: Map<string, string>): Name['seen'] {
  try {
    const stats = statSync(place.path) // of what a symbolic link points to
    if (!stats.isFile()) return null
    const { dev, ino, size, mtimeMs } = stats
    if (seen?.ino === ino && seen.dev === dev && seen.size === size && seen.mtimeMs === mtimeMs) return seen
    return { ...place, key: keyOf({ dev, ino }), dev, ino, size, mtimeMs, birthMs: birthOf(stats) }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const isGone = code === 'ENOENT'
    if (isGone && !place.path.includes('\uFFFD')) return null
    problems.set(place.path, `${place.path} cannot be read: ${isGone ? 'its name is not UTF-8' : code}`)
    return isGone ? null : (seen ?? undefined) // as it was
  }
}

/** When an inode was made, in whole milliseconds; 0 where the file system does not say. */
export function birthOf({ birthtimeMs }: Stats): number {
  return TELLS_BIRTHS ? Math.floor(birthtimeMs) : 0
}

export function keyOf({ dev, ino }: { dev: number; ino: number }): string {
  return `${dev}:${ino}`
}

type List = (folder: string, left: number) => Dirent[]

function expand(folder: string, segments: readonly Segment[], list: List, depth = 0): string[] {
  const [segment, ...rest] = segments
  if (!segment) return [folder]
  if (typeof segment === 'string' && segment !== ANY_DEPTH) return expand(join(folder, segment), rest, list, depth)
  const inside = list(folder, segments.length)
    .filter((entry) => entry.isDirectory() || entry.isSymbolicLink())
    .sort((a, b) => Number(a.isSymbolicLink()) - Number(b.isSymbolicLink()))
    .map(({ name }) => name)
  if (segment instanceof RegExp) {
    const found = inside.filter((name) => segment.test(name))
    return found.flatMap((name) => expand(join(folder, name), rest, list, depth))
  }
  const deeper = depth < DEPTH_MAX ? inside.filter((name) => !name.startsWith('.')) : []
  return [
    ...expand(folder, rest, list, depth),
    ...deeper.flatMap((name) => expand(join(folder, name), segments, list, depth + 1)),
  ]
}
