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

/** One event, however often and in whichever table it lands. */
export interface KafkaRecord {
  readonly kind: RecordKind
  /** How often it is to be there: once, and once more for each time an operator sent the group back before it. */
  due: number
  /** Its loss was accepted: it may be there less often. */
  lossAccepted: boolean
  rows: number
  letter: boolean
}

/** Kafka, as the protocol leans on it: a topic of one partition, and a group whose commits are fenced by generation. */
export class Kafka {
  /** By offset. */
  readonly records: KafkaRecord[] = []
  /** Retention has taken what is before. */
  start = 0
  generation = 0
  committed = { offset: -1, metadata: '' }

  get end(): number {
    return this.records.length
  }

  commit(generation: number, offset: number, metadata: string): boolean {
    if (generation !== this.generation) return false
    this.committed = { offset, metadata }
    return true
  }
}

/** The tables that a route has in turn. */
export const TABLES = ['A', 'B'] as const
export type Table = (typeof TABLES)[number]

export interface TableRow {
  readonly offset: number
  readonly record: KafkaRecord
  readonly ingestedAt: number
}

interface Stream {
  rows: number
  finalized: boolean
}

export type ServerAnswer = 'written' | 'refused' | 'exists' | 'gap' | 'gone'

/** A stream's name begins with its table's, as in the service. */
export const tableOf = (stream: string): Table => stream.slice(0, stream.indexOf('/')) as Table

/** BigQuery, as the protocol leans on it: streams with offsets, Finalize, tables that can be asked. */
export class BigQuery {
  readonly #tables: Record<Table, TableRow[]> = { A: [], B: [] }
  /** Undefined: expired. The name stays taken. */
  readonly #streams = new Map<string, Stream | undefined>()

  create(table: Table): string {
    const name = `${table}/s${this.#streams.size + 1}`
    this.#streams.set(name, { rows: 0, finalized: false })
    return name
  }

  append(name: string, offset: number, rows: readonly TableRow[]): ServerAnswer {
    const stream = this.#streams.get(name)
    if (!stream || stream.finalized) return 'gone'
    if (rows.some(({ record }) => record.kind === 'poison')) return 'refused'
    if (offset < stream.rows) return 'exists'
    if (offset > stream.rows) return 'gap'
    stream.rows += rows.length
    this.#tables[tableOf(name)].push(...rows)
    for (const { record } of rows) record.rows++
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

  /** Three days without traffic. */
  expire(): void {
    for (const name of this.#streams.keys()) this.#streams.set(name, undefined)
  }

  /** A row of somebody else's in the stream: not of the topic, so in no record's count. */
  intrude(name: string): void {
    const stream = this.#streams.get(name)
    if (stream) stream.rows++
  }

  highest(table: Table, from: number, below: number, since: number): number | null {
    const found = this.#tables[table].filter(
      ({ offset, ingestedAt }) => offset >= from && offset < below && ingestedAt >= since,
    )
    return found.length > 0 ? Math.max(...found.map(({ offset }) => offset)) : null
  }
}
