import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Births } from '../../support/births.ts'
import type { Random } from '../../support/random.ts'

/** The line that every file may begin with, as the logs of many programs do. */
export const HEADER = '#Version: 1.0'

/** A real log file that is written, rotated and deleted; knows every line that was ever written. */
export class ModelLog {
  readonly folder = mkdtempSync(join(tmpdir(), 'millrace-model-'))
  readonly path = join(this.folder, 'app.log')
  /** As often as they were written. */
  readonly lines: string[] = []
  readonly #births: Births
  /** Lines of files that were written again, byte for byte. */
  readonly #again = new Set<string>()
  readonly #random: Random
  readonly #withHeader: boolean
  readonly #deleted: Buffer[] = []

  /** `withBirths`: the file system tells when a file was made. */
  constructor(random: Random, withHeader: boolean, withBirths: boolean) {
    this.#random = random
    this.#withHeader = withHeader
    this.#births = new Births(withBirths)
    this.#births.add(this.folder)
  }

  write(): void {
    if (this.#withHeader && !existsSync(this.path)) {
      this.lines.push(HEADER)
      this.#append(this.path, HEADER)
    }
    for (let n = 1 + this.#random.below(3); n > 0; n--) this.#append(this.path, this.#line())
  }

  /** To a file that was rotated already. */
  writeLate(): boolean {
    const path = `${this.path}.1`
    if (!existsSync(path)) return false
    this.#append(path, this.#line())
    return true
  }

  rotate(): boolean {
    if (!existsSync(this.path)) return false
    this.#shift()
    renameSync(this.path, `${this.path}.1`)
    return true
  }

  copyAndTruncate(): boolean {
    if (!existsSync(this.path) || statSync(this.path).size === 0 || this.#isAgain(this.path)) return false
    this.#shift()
    copyFileSync(this.path, `${this.path}.1`)
    this.#births.add(`${this.path}.1`)
    this.#touch(`${this.path}.1`)
    truncateSync(this.path)
    this.#touch(this.path)
    return true
  }

  /** Deletes the oldest rotated file, if all of its lines are somewhere else. */
  deleteOldest(safe: ReadonlySet<string>): boolean {
    const path = `${this.path}.${this.#last()}`
    if (this.#last() === 0 || this.#isAgain(path) || !linesOf(readFileSync(path)).every((line) => safe.has(line)))
      return false
    this.#deleted.push(readFileSync(path))
    rmSync(path)
    return true
  }

  /** Somebody puts a deleted file back, of which Kafka has every line. */
  restore(published: ReadonlySet<string>): boolean {
    const content = this.#random.pick(this.#deleted)
    if (!content || !linesOf(content).every((line) => published.has(line))) return false
    const path = `${this.path}.${this.#last() + 1}`
    writeFileSync(path, content)
    this.#births.add(path)
    this.#touch(path)
    this.#deleted.splice(this.#deleted.indexOf(content), 1)
    return true
  }

  /**
   * The oldest rotated file goes, and the log begins anew with the very same bytes, in the inode that this set free. `isKnown`: Kafka has
   * all of it, and knows it by that inode. Nobody may have it open.
   */
  repeat(isKnown: (file: Stats, lines: readonly string[]) => boolean): boolean {
    const oldest = `${this.path}.${this.#last()}`
    if (this.#last() === 0) return false
    const [stats, content] = [statSync(oldest), readFileSync(oldest)]
    const lines = linesOf(content)
    if (!isKnown(stats, lines)) return false
    rmSync(oldest)
    this.rotate()
    writeFileSync(this.path, content)
    this.#births.add(this.path, stats.ino)
    this.#touch(this.path)
    this.lines.push(...lines)
    for (const line of lines) if (line !== HEADER) this.#again.add(line)
    return true
  }

  /** A copy of it, or its absence, would not tell which of two it is. */
  #isAgain(path: string): boolean {
    return linesOf(readFileSync(path)).some((line) => this.#again.has(line))
  }

  remove(): void {
    this.#births.restore()
    rmSync(this.folder, { recursive: true })
  }

  #line(): string {
    const line = `${this.lines.length} `.padEnd(this.#random.chance(0.05) ? 5000 : 20 + this.#random.below(100), 'x')
    this.lines.push(line)
    return line
  }

  #append(path: string, line: string): void {
    const isNew = !existsSync(path)
    appendFileSync(path, `${line}\n`)
    if (isNew) this.#births.add(path)
    this.#touch(path)
  }

  #touch(path: string): void {
    utimesSync(path, Date.now() / 1000, Date.now() / 1000)
  }

  #last(): number {
    let last = 0
    while (existsSync(`${this.path}.${last + 1}`)) last++
    return last
  }

  #shift(): void {
    for (let n = this.#last(); n > 0; n--) renameSync(`${this.path}.${n}`, `${this.path}.${n + 1}`)
  }
}

function linesOf(content: Buffer): string[] {
  return content.toString('latin1').split('\n').slice(0, -1)
}
