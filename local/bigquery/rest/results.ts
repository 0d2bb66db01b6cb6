import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import type { ResultRow } from '../sql/index.ts'

/** Bytes of JSON that a result keeps in memory; a larger one goes to disk. */
const MEMORY_BYTES_MAX = 4 * 1024 * 1024
/** Bytes of rows in one answer: https://cloud.google.com/bigquery/docs/paging-results */
const PAGE_BYTES_MAX = 10 * 1000 * 1000
/** Every so many rows their place in the file is kept. */
const INDEX_EVERY = 1_000

/** The rows of a query, read by pages. Memory is bounded: what does not fit lies in a file. */
export class Results {
  total = 0
  readonly #file: string
  #fd: number | undefined
  #lines: string[] = []
  #bytes = 0
  /** Byte at which row n * INDEX_EVERY begins. */
  readonly #index: number[] = []
  #length = 0

  constructor(file: string) {
    this.#file = file
  }

  add(rows: readonly ResultRow[]): void {
    for (const row of rows) {
      const line = `${JSON.stringify(row)}\n`
      this.#lines.push(line)
      this.#bytes += line.length
      this.total++
    }
    if (this.#bytes > MEMORY_BYTES_MAX) this.#spill()
  }

  /** Nothing comes any more. */
  finish(): void {
    if (this.#fd !== undefined) this.#spill()
  }

  /** Up to `limit` rows from `start` on, as many as fit into an answer, but at least one. */
  read(start: number, limit: number): ResultRow[] {
    const rows: ResultRow[] = []
    let bytes = 0
    for (const line of this.#fd === undefined ? this.#lines.slice(start, start + limit) : this.#linesFrom(start)) {
      if (rows.length >= limit || (bytes > 0 && bytes + line.length > PAGE_BYTES_MAX)) break
      bytes += line.length
      rows.push(JSON.parse(line) as ResultRow)
    }
    return rows
  }

  dispose(): void {
    if (this.#fd === undefined) return
    closeSync(this.#fd)
    rmSync(this.#file, { force: true })
  }

  #spill(): void {
    this.#fd ??= openSync(this.#file, 'w+')
    const first = this.total - this.#lines.length
    const parts: Buffer[] = []
    for (const [at, line] of this.#lines.entries()) {
      if ((first + at) % INDEX_EVERY === 0) this.#index.push(this.#length)
      const bytes = Buffer.from(line)
      parts.push(bytes)
      this.#length += bytes.length
    }
    writeSync(this.#fd, Buffer.concat(parts))
    this.#lines = []
    this.#bytes = 0
  }

  *#linesFrom(start: number): Generator<string> {
    let at = this.#index[Math.floor(start / INDEX_EVERY)] ?? this.#length
    let skip = start % INDEX_EVERY
    let rest = Buffer.alloc(0)
    while (at < this.#length) {
      const chunk = Buffer.alloc(Math.min(1024 * 1024, this.#length - at))
      readSync(this.#fd as number, chunk, 0, chunk.length, at)
      at += chunk.length
      rest = Buffer.concat([rest, chunk])
      let from = 0
      for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10, from)) {
        if (skip > 0) skip--
        else yield rest.toString('utf8', from, end)
        from = end + 1
      }
      rest = rest.subarray(from)
    }
  }
}
