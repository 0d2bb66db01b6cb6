import { dirname, join } from 'node:path'
import type { Files } from './files.ts'
import type { Followed } from './followed.ts'
import type { LogFile } from './log-file.ts'
import { compareAge } from './names.ts'

/** So long a file that nobody could look into yet makes the newer ones of its rotation wait. */
const SETTLE_MS_MAX = 10_000

/** Which files are the parts of one log, and how old each one is. */
export class Rotations {
  readonly #files: Files
  /** Names of live files. */
  #live: ReadonlySet<string> = new Set()

  constructor(files: Files) {
    this.#files = files
  }

  /** Says of each file whether it is the newest of its rotation: that one will grow. */
  markNewest(): void {
    const claimed = [...this.#files].filter(({ role }) => role !== 'copy')
    this.#live = new Set(
      claimed.filter(({ seen }) => seen.mark === '').map(({ seen }) => `${seen.folder}/${seen.stem}`),
    )
    for (const group of Map.groupBy(claimed, (file) => this.#rotationOf(file)).values()) {
      const newest = group
        .filter((file) => this.#files.isThere(file))
        .sort(compareFiles)
        .at(-1)
      for (const file of group) file.newest = file === newest
    }
  }

  /**
   * The sources of each rotation, oldest first. Without those behind a file that was not there any more when it was to be
   * looked into, such as one that has just been compressed: the next look finds it elsewhere, and it is read before them.
   */
  of(sources: Iterable<Followed>): Followed[][] {
    const files = [...this.#files]
    const pending = Map.groupBy(
      files.filter((file) => this.#isPending(file)),
      (file) => this.#rotationOf(file),
    )
    const copies = new Map(files.filter((file) => this.#files.isThere(file)).map((file) => [file.original, file]))
    // A file that has no name any more is as old as its copy.
    const age = ({ file }: Followed) => ((this.#files.isThere(file) ? undefined : copies.get(file)) ?? file).seen
    const groups = Map.groupBy(sources, ({ file }) => this.#rotationOf(file))
    return Array.from(groups, ([rotation, group]) => {
      if (group.length > 1) group.sort((a, b) => compareAge(age(a), age(b)))
      const waiting = pending.get(rotation)
      return waiting
        ? group.filter((followed) => waiting.every(({ seen }) => compareAge(age(followed), seen) <= 0))
        : group
    })
  }

  #isPending(file: LogFile): boolean {
    const isUnknown = file.role === 'unnamed' && (file.fresh || file.base !== undefined) && this.#files.isThere(file)
    return isUnknown && performance.now() - file.foundMs < SETTLE_MS_MAX
  }

  /** The live file that it was rotated from, in its folder or in the one above (olddir). */
  #rotationOf({ seen: { folder, stem, mark, live } }: LogFile): string {
    if (mark === '' || this.#live.has(live)) return live
    const above = join(dirname(folder), stem)
    return this.#live.has(above) ? above : live
  }
}

export function compareFiles(a: LogFile, b: LogFile): number {
  return compareAge(a.seen, b.seen)
}
