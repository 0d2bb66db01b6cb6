import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

const { statSync, fstatSync } = fs
/** In 2001: before every time of a write in a test. */
const FIRST_BIRTH_MS = 1e12

/**
 * Inodes and births as a test wants them, for the files that it names: which inode a new file gets is the file system's own
 * business, and its births have the grain of a clock. Each file is born a millisecond after the one before.
 */
export class Births {
  /** By the inode that the file system gave. */
  readonly #given = new Map<number, { readonly ino: number; readonly birthtimeMs: number }>()
  readonly #areTold: boolean
  #count = 0

  /** `areTold`: the file system knows births. */
  constructor(areTold = true) {
    this.#areTold = areTold
    const named = (stats: fs.Stats | undefined) => stats && Object.assign(stats, this.#given.get(stats.ino))
    Object.assign(fs, {
      statSync: (path: string, options?: fs.StatSyncOptions) => named(statSync(path, options) as fs.Stats | undefined),
      fstatSync: (fd: number) => named(fstatSync(fd)),
    })
    syncBuiltinESMExports()
  }

  /** A file was made; absent: with an inode that no other one had. */
  add(path: string, ino?: number): void {
    const birthtimeMs = this.#areTold ? FIRST_BIRTH_MS + ++this.#count : 0
    this.#given.set(statSync(path).ino, { ino: ino ?? FIRST_BIRTH_MS + ++this.#count, birthtimeMs })
  }

  /** Everything is as the file system has it. */
  restore(): void {
    Object.assign(fs, { statSync, fstatSync })
    syncBuiltinESMExports()
  }
}
