import { closeSync, existsSync, fstatSync, mkdirSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { Tally } from './tally.ts'

/** When a log is rotated and how many rotated files stay. */
export interface Rotation {
  readonly bytesMax: number
  readonly ageMaxMs: number
  readonly filesMax: number
}

/**
 * A log as API servers write them: appended to, and rotated by rename: `x.log` becomes `x.log.1`, `x.log.1` becomes
 * `x.log.2`, and so on. Its tally counts what was written, for those who want to check that nothing was lost.
 */
export class RotatingLog {
  readonly tally: Tally
  readonly #path: string
  readonly #rotation: Rotation
  #file: number
  #openedMs = Date.now()
  #bytes = 0

  /** `countIn` tells how many events a file holds behind an offset: a server that died may have written more than it tallied. */
  constructor(path: string, rotation: Rotation, countIn: (path: string, offset: number) => number) {
    this.#path = path
    this.#rotation = rotation
    mkdirSync(join(dirname(path), '.tally'), { recursive: true })
    this.tally = new Tally(join(dirname(path), '.tally', `${basename(path)}.json`))
    if (existsSync(path)) {
      const { ino } = statSync(path)
      const uncounted = countIn(path, this.tally.offsetIn(ino))
      if (uncounted > 0) this.tally.add(uncounted, ino, statSync(path).size)
    }
    this.#file = openSync(path, 'a')
    this.#bytes = fstatSync(this.#file).size
    this.rotate()
  }

  /** Appends `count` events at once. */
  append(bytes: Buffer, count: number): void {
    writeSync(this.#file, bytes)
    this.#bytes += bytes.length
    this.tally.add(count, fstatSync(this.#file).ino, this.#bytes)
    if (this.#bytes >= this.#rotation.bytesMax || Date.now() - this.#openedMs >= this.#rotation.ageMaxMs) this.rotate()
  }

  /** Begins a new file, unless nothing was written to this one. */
  rotate(): void {
    if (this.#bytes > 0) {
      this.tally.save()
      closeSync(this.#file)
      this.#shift()
      this.#file = openSync(this.#path, 'a')
      this.#bytes = 0
    }
    this.#openedMs = Date.now()
  }

  #shift(): void {
    rmSync(`${this.#path}.${this.#rotation.filesMax}`, { force: true })
    for (let number = this.#rotation.filesMax - 1; number > 0; number--) {
      const from = `${this.#path}.${number}`
      if (existsSync(from)) renameSync(from, `${this.#path}.${number + 1}`)
    }
    renameSync(this.#path, `${this.#path}.1`)
  }

  close(): void {
    this.rotate()
    this.tally.save()
    closeSync(this.#file)
  }
}
