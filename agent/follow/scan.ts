import { constants, type Dirent, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { parseGlob, type Segment } from './glob.ts'
import { type RotationName, rotationName } from './names.ts'

/** A file as one look found it. */
export interface Seen extends RotationName {
  /** Device and inode. */
  readonly key: string
  readonly path: string
  readonly folder: string
  readonly dev: number
  readonly ino: number
  readonly size: number
  readonly mtimeMs: number
  /** When the inode was made; 0 where the file system does not say. */
  readonly birthMs: number
}

export interface Scan {
  readonly files: readonly Seen[]
  /** Folders that were looked into, or that could not be. */
  readonly folders: readonly string[]
  /** What could not be read, one sentence each. A missing folder is none: it may come. */
  readonly problems: readonly string[]
  /** Every folder was there and readable: a file that was not seen is gone. */
  readonly complete: boolean
}

/** Folders below `**` are followed to this depth: a link that leads upwards ends somewhere. */
const DEPTH_MAX = 12

/** A name that the log has a file of; `seen` as long as it has been found to be one. */
interface Name extends RotationName {
  readonly path: string
  readonly folder: string
  seen: Seen | undefined
}

/** The pattern of a log, ready to be looked for. */
export class LogPattern {
  readonly #folders: readonly Segment[]
  readonly #last: Segment
  /** All names in its folders at the last scan, by path; undefined: not of this log. */
  #names: ReadonlyMap<string, Name | undefined> = new Map()

  constructor(pattern: string) {
    const segments = parseGlob(pattern)
    this.#last = segments.at(-1) ?? { name: '' }
    this.#folders = segments.slice(0, -1)
  }

  /**
   * All files of the log that are there now: those that match, and the rotated forms of those that match. Names are listed;
   * which files they are is asked for again only of rotations that have gained or lost a name, or are among the stems that
   * were `touched`: absent, of all. A file that has not changed is the same object as before.
   */
  scan(touched?: ReadonlySet<string>): Scan {
    const problems: string[] = []
    const folders: string[] = []
    let complete = true
    const list = <T>(folder: string, read: () => T[]): T[] => {
      try {
        folders.push(folder)
        return read()
      } catch (error) {
        complete = false
        const { code } = error as NodeJS.ErrnoException
        if (code !== 'ENOENT') problems.push(`${folder} cannot be read: ${code}`)
        return []
      }
    }
    const names = new Map<string, Name | undefined>()
    const inside = (folder: string) => list(folder, () => readdirSync(folder, { withFileTypes: true }))
    for (const folder of expand('/', this.#folders, inside)) {
      for (const name of list(folder, () => readdirSync(folder))) {
        const path = join(folder, name)
        names.set(path, this.#names.has(path) ? this.#names.get(path) : this.#nameOf(path, folder, name))
      }
    }
    const stems =
      touched && new Set([...touched, ...changedStems(this.#names, names), ...changedStems(names, this.#names)])
    this.#names = names
    const files: Seen[] = []
    for (const name of names.values()) {
      if (!name) continue
      if (!stems || stems.has(name.stem)) name.seen = see(name, problems)
      if (name.seen) files.push(name.seen)
    }
    return { files, folders, problems, complete }
  }

  #nameOf(path: string, folder: string, name: string): Name | undefined {
    const rotation = rotationName(name)
    return this.#belongs(name, rotation) ? { ...rotation, path, folder, seen: undefined } : undefined
  }

  /** A name that matches, also without a compressed copy's ending, or whose live name would. */
  #belongs(name: string, { stem, plain }: RotationName): boolean {
    return [name, plain, stem].some((form) => matches(this.#last, form))
  }
}

function matches(segment: Segment, name: string): boolean {
  if ('name' in segment) return segment.name === name
  return 'anyDepth' in segment || segment.matches.test(name)
}

/** Stems of names that are in one listing and not in the other. */
function* changedStems(
  names: ReadonlyMap<string, Name | undefined>,
  others: ReadonlyMap<string, Name | undefined>,
): Generator<string> {
  for (const [path, name] of names) if (name && !others.has(path)) yield name.stem
}

/** The file that has this name now, if it is one. */
function see({ seen: before, ...name }: Name, problems: string[]): Seen | undefined {
  try {
    const { dev, ino, size, mtimeMs, birthtimeMs: birthMs, mode } = statSync(name.path) // of what a symbolic link points to
    if (!isRegular(mode)) return undefined
    const key = keyOf({ dev, ino })
    if (before?.key === key && before.size === size && before.mtimeMs === mtimeMs) return before
    return { ...name, key, dev, ino, size, mtimeMs, birthMs }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT') problems.push(`${name.path} cannot be read: ${code}`)
    return undefined
  }
}

export function keyOf({ dev, ino }: { dev: number; ino: number }): string {
  return `${dev}:${ino}`
}

function isRegular(mode: number): boolean {
  return (mode & constants.S_IFMT) === constants.S_IFREG
}

function expand(folder: string, segments: readonly Segment[], list: (folder: string) => Dirent[], depth = 0): string[] {
  const [segment, ...rest] = segments
  if (!segment) return [folder]
  if ('name' in segment) return expand(join(folder, segment.name), rest, list, depth)
  const inside = list(folder)
    .filter((entry) => entry.isDirectory() || entry.isSymbolicLink())
    .map(({ name }) => name)
  if ('matches' in segment) {
    const found = inside.filter((name) => segment.matches.test(name))
    return found.flatMap((name) => expand(join(folder, name), rest, list, depth))
  }
  const deeper = depth < DEPTH_MAX ? inside.filter((name) => !name.startsWith('.')) : []
  return [
    ...expand(folder, rest, list, depth),
    ...deeper.flatMap((name) => expand(join(folder, name), segments, list, depth + 1)),
  ]
}
