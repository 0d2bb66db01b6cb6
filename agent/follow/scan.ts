import { constants, type Dirent, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { parseGlob, type Segment } from './glob.ts'
import { type RotationName, rotationName } from './names.ts'

/** A file as one look found it. */
export interface Seen extends RotationName {
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

/** The pattern of a log, ready to be looked for. */
export class LogPattern {
  readonly #folders: readonly Segment[]
  readonly #last: Segment

  constructor(pattern: string) {
    const segments = parseGlob(pattern)
    this.#last = segments.at(-1) ?? { name: '' }
    this.#folders = segments.slice(0, -1)
  }

  /** All files of the log that are there now: those that match, and the rotated forms of those that match. */
  scan(): Scan {
    const files: Seen[] = []
    const problems: string[] = []
    const folders: string[] = []
    let complete = true
    const list = (folder: string): Dirent[] => {
      try {
        folders.push(folder)
        return readdirSync(folder, { withFileTypes: true })
      } catch (error) {
        complete = false
        const { code } = error as NodeJS.ErrnoException
        if (code !== 'ENOENT') problems.push(`${folder} cannot be read: ${code}`)
        return []
      }
    }
    for (const folder of expand('/', this.#folders, list)) {
      for (const { name } of list(folder)) {
        const rotation = rotationName(name)
        if (this.#belongs(name, rotation)) addFile(folder, name, rotation, files, problems)
      }
    }
    return { files, folders, problems, complete }
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

function addFile(folder: string, name: string, rotation: RotationName, files: Seen[], problems: string[]): void {
  const path = join(folder, name)
  try {
    const { dev, ino, size, mtimeMs, birthtimeMs, ...stats } = statSync(path) // of what a symbolic link points to
    if (!isRegular(stats.mode)) return
    files.push({ ...rotation, path, folder, dev, ino, size, mtimeMs, birthMs: birthtimeMs })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT') problems.push(`${path} cannot be read: ${code}`)
  }
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
