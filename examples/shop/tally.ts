import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'

interface Saved {
  readonly events: number
  readonly inode: number
  readonly offset: number
}

/** How many events a log was given since it exists, kept in a file beside it. */
export class Tally {
  readonly #path: string
  #saved: Saved = { events: 0, inode: 0, offset: 0 }

  constructor(path: string) {
    this.#path = path
    if (existsSync(path)) this.#saved = JSON.parse(readFileSync(path, 'utf8')) as Saved
  }

  get events(): number {
    return this.#saved.events
  }

  /** Up to where the file with this inode is counted. */
  offsetIn(inode: number): number {
    return inode === this.#saved.inode ? this.#saved.offset : 0
  }

  add(events: number, inode: number, offset: number): void {
    this.#saved = { events: this.#saved.events + events, inode, offset }
  }

  save(): void {
    writeFileSync(`${this.#path}.new`, JSON.stringify(this.#saved))
    renameSync(`${this.#path}.new`, this.#path)
  }
}
