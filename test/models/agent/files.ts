import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Random } from '../../support/random.ts'

/** The line that every file may begin with, as the logs of many programs do. */
export const HEADER = '#Version: 1.0'

/** A real log file that is written, rotated and deleted; knows every line that was ever written. */
export class ModelLog {
  readonly folder = mkdtempSync(join(tmpdir(), 'millrace-model-'))
  readonly path = join(this.folder, 'app.log')
  readonly lines: string[] = []
  headers = 0
  readonly #random: Random
  readonly #withHeader: boolean
  readonly #deleted: Buffer[] = []

  constructor(random: Random, withHeader: boolean) {
    this.#random = random
    this.#withHeader = withHeader
  }

  write(): void {
    if (this.#withHeader && !existsSync(this.path)) {
      this.#append(this.path, HEADER)
      this.headers++
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
    if (!existsSync(this.path) || statSync(this.path).size === 0) return false
    this.#shift()
    copyFileSync(this.path, `${this.path}.1`)
    this.#touch(`${this.path}.1`)
    truncateSync(this.path)
    this.#touch(this.path)
    return true
  }

  /** Deletes the oldest rotated file, if all of its lines are somewhere else. */
  deleteOldest(safe: ReadonlySet<string>): boolean {
    const path = `${this.path}.${this.#last()}`
    if (
      this.#last() === 0 ||
      !readFileSync(path, 'latin1')
        .split('\n')
        .slice(0, -1)
        .every((line) => safe.has(line))
    )
      return false
    this.#deleted.push(readFileSync(path))
    rmSync(path)
    return true
  }

  /** Somebody puts a deleted file back, of which Kafka has every line. */
  restore(published: ReadonlySet<string>): boolean {
    const content = this.#random.pick(this.#deleted)
    if (
      !content
        ?.toString('latin1')
        .split('\n')
        .slice(0, -1)
        .every((line) => published.has(line))
    )
      return false
    const path = `${this.path}.${this.#last() + 1}`
    writeFileSync(path, content)
    this.#touch(path)
    this.#deleted.splice(this.#deleted.indexOf(content), 1)
    return true
  }

  remove(): void {
    rmSync(this.folder, { recursive: true })
  }

  #line(): string {
    const line = `${this.lines.length} `.padEnd(this.#random.chance(0.05) ? 5000 : 20 + this.#random.below(100), 'x')
    this.lines.push(line)
    return line
  }

  #append(path: string, line: string): void {
    appendFileSync(path, `${line}\n`)
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
