/** A seeded source of randomness: mulberry32, so that every schedule can be repeated by its number. */
export function createRandom(seed: number) {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit: number): number => Math.floor(next() * limit)
  return {
    below,
    chance: (probability: number): boolean => next() < probability,
    pick: <T>(items: readonly T[]): T => items[below(items.length)] as T,
  }
}
export type Random = ReturnType<typeof createRandom>

/** What a record becomes: `flips` with each version of the code, `poison` is a row that BigQuery refuses. */
export type RecordKind = 'row' | 'dead' | 'void' | 'flips' | 'poison'

/** Kafka, as the protocol leans on it: a topic of one partition, and a group whose commits are fenced by generation. */
export class Kafka {
  readonly records: RecordKind[] = []
  generation = 0
  committed = { offset: -1, metadata: '' }

  commit(generation: number, offset: number, metadata: string): boolean {
    if (generation !== this.generation) return false
    this.committed = { offset, metadata }
    return true
  }
}

export interface TableRow {
  readonly offset: number
  readonly ingestedAt: number
}

interface Stream {
  rows: number
  finalized: boolean
}

export type ServerAnswer = 'written' | 'refused' | 'exists' | 'gap' | 'gone'

/** BigQuery, as the protocol leans on it: streams with offsets, Finalize, a table that can be asked, dead letters. */
export class BigQuery {
  readonly table: TableRow[] = []
  readonly letters = new Set<number>()
  readonly #streams = new Map<string, Stream>()

  create(): string {
    const name = `s${this.#streams.size + 1}`
    this.#streams.set(name, { rows: 0, finalized: false })
    return name
  }

  append(name: string, offset: number, rows: readonly TableRow[], poison: (offset: number) => boolean): ServerAnswer {
    const stream = this.#streams.get(name)
    if (!stream || stream.finalized) return 'gone'
    if (rows.some((row) => poison(row.offset))) return 'refused'
    if (offset < stream.rows) return 'exists'
    if (offset > stream.rows) return 'gap'
    stream.rows += rows.length
    this.table.push(...rows)
    return 'written'
  }

  /** `fence` false: a mutant that only looks. */
  finalize(name: string, fence = true): number | 'gone' {
    const stream = this.#streams.get(name)
    if (!stream) return 'gone'
    if (fence) stream.finalized = true
    return stream.rows
  }

  rowsOf(name: string): number | undefined {
    return this.#streams.get(name)?.rows
  }

  /** Three days without traffic. The name stays taken. */
  expire(): void {
    for (const name of this.#streams.keys()) {
      const stream = this.#streams.get(name)
      if (stream) this.#streams.set(name, undefined as never)
    }
  }

  /** A row of somebody else's in the stream: not in the topic, so not in the model's table. */
  intrude(name: string): void {
    const stream = this.#streams.get(name)
    if (stream) stream.rows++
  }

  highest(from: number, below: number, since: number): number | null {
    const found = this.table.filter(({ offset, ingestedAt }) => offset >= from && offset < below && ingestedAt >= since)
    return found.length > 0 ? Math.max(...found.map(({ offset }) => offset)) : null
  }
}
