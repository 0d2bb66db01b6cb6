import { Readable } from 'node:stream'
import { type Environment, loadChunk, type Outcome } from '../../functions/chunk-load/index.ts'
import {
  type Bucket,
  encodeMetadata,
  type ObjectView,
  type PatchAnswer,
  type Ranges,
  STATE_KEY,
} from '../../shared/chunks/index.ts'
import { type Origin, RowBuffer, type RowCodec } from '../../shared/codec/index.ts'
import { parseConfig } from '../../shared/config/index.ts'
import type { Log } from '../../shared/telemetry/index.ts'
import type { Appender, AppendAnswer, Warehouse } from '../../shared/warehouse/index.ts'
import type { Random } from '../support/random.ts'

/**
 * A bucket with one object, a warehouse and a clock, all in memory, in which several invocations of the untouched
 * `loadChunk` run. Each call of theirs waits until the schedule lets it take effect, or loses it, or its answer, or lets
 * it take effect much later, or kills its caller.
 */
const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
/** BigQuery knows a stream for a day, committed or not. */
const STREAM_LIFE_MS = 24 * HOUR_MS
const EVENTS = 6
const BROKEN_EVENT = 2
const LINE_BYTES = 4

/** Effects of the core that a test leaves out, to see that the model notices. */
export type Mutant =
  | 'none'
  | 'no-precondition'
  | 'no-fence'
  | 'visible-early'
  | 'table-says-none'
  | 'replaces-committing'

interface Stream {
  readonly table: string
  readonly createdMs: number
  rows: string[]
  finalized: boolean
  committed: boolean
}

interface PendingCall {
  readonly life: number
  readonly effect: () => unknown
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

export class ChunkWorld {
  nowMs = 0
  /** Committed rows and dead letters: the event's line, once for each time that it is visible. */
  readonly visible: { rows: string[]; letters: string[] } = { rows: [], letters: [] }
  sources = 0
  /** How often each rule fired. */
  readonly fired = new Map<string, number>()
  readonly #streams = new Map<string, Stream>()
  readonly #pending: PendingCall[] = []
  readonly #late: (() => unknown)[] = []
  readonly #alive = new Set<number>()
  readonly #random: Random
  readonly #mutant: Mutant
  #object: ObjectView
  #lives = 0
  #acknowledged = false
  #activity = Promise.withResolvers<void>()

  constructor(random: Random, ranges: Ranges, mutant: Mutant) {
    this.#random = random
    this.#mutant = mutant
    const size = EVENTS * LINE_BYTES
    const chunk = { route: 'lines', format: 'raw', framing: 'lines', agent: 'a', path: '/l', source: 's', start: 0 }
    const metadata = encodeMetadata({ ...chunk, size, events: EVENTS, ranges, crc32c: CRC32C })
    const base = { name: 'o', generation: '1', metageneration: '1', size, createdMs: 0 }
    this.#object = { ...base, metadata }
  }

  count(rule: string): void {
    this.fired.set(rule, (this.fired.get(rule) ?? 0) + 1)
  }

  get state(): string {
    return (JSON.parse(this.#object.metadata[STATE_KEY] ?? '{}') as { state?: string }).state ?? 'none'
  }

  /** Runs the notification's deliveries, at first with faults, then without, until it is acknowledged. */
  async run(faultySteps: number): Promise<void> {
    for (let step = 0; step < 2_000; step++) {
      const faulty = step < faultySteps
      if (this.#pending.length === 0 || (faulty && this.#random.chance(0.05))) {
        if (this.#acknowledged && this.#pending.length === 0 && !faulty) break
        if (this.#alive.size < 3 && (!this.#acknowledged || faulty)) await this.#deliver()
      }
      if (faulty && this.#random.chance(0.05))
        this.nowMs += this.#random.pick([MINUTE_MS, 11 * MINUTE_MS, 13 * HOUR_MS, 26 * HOUR_MS])
      if (!faulty) this.nowMs += MINUTE_MS
      await this.#step(faulty)
    }
    for (const effect of this.#late.splice(0)) attempt(effect)
  }

  async #deliver(): Promise<void> {
    const life = this.#lives++
    this.#alive.add(life)
    const over = (acknowledged: boolean) => {
      if (!this.#alive.delete(life)) return
      this.#acknowledged ||= acknowledged
      this.#activity.resolve()
    }
    this.#expectActivity()
    loadChunk(this.#environment(life), 'o', '1').then(
      ({ kind, what }: Outcome) => {
        this.count(`${kind}: ${what.replace(/\d+/g, 'N')}`)
        over(kind === 'done')
      },
      () => over(false),
    )
    await this.#activity.promise
  }

  #expectActivity(): void {
    this.#activity = Promise.withResolvers()
  }

  async #step(faulty: boolean): Promise<void> {
    if (faulty && this.#late.length > 0 && this.#random.chance(0.2)) {
      attempt(this.#late.splice(this.#random.below(this.#late.length), 1)[0]!)
      return
    }
    const [call] = this.#pending.splice(this.#random.below(this.#pending.length), 1)
    if (!call) return
    const fate = faulty ? this.#random.below(20) : 19
    if (fate === 0) return this.#kill(call, [])
    if (fate === 1) return this.#kill(call, [call.effect])
    this.#expectActivity()
    if (fate === 2) call.reject(new Error('lost before'))
    else if (fate === 3) {
      attempt(call.effect)
      call.reject(new Error('lost after'))
    } else if (fate === 4) {
      this.#late.push(call.effect)
      call.reject(new Error('will land later'))
    } else {
      try {
        call.resolve(call.effect())
      } catch (error) {
        call.reject(error as Error)
      }
    }
    await this.#activity.promise
  }

  /** What was under way may still land. */
  #kill({ life }: PendingCall, land: (() => unknown)[]): void {
    this.count('killed')
    this.#late.push(...land)
    this.#alive.delete(life)
    const others = this.#pending.filter((call) => call.life !== life)
    this.#pending.splice(0, this.#pending.length, ...others)
  }

  #call<T>(life: number, effect: () => T): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    if (this.#alive.has(life)) {
      this.#pending.push({ life, effect, resolve: resolve as (value: unknown) => void, reject })
      this.#activity.resolve()
    }
    return promise
  }

  #environment(life: number): Environment {
    const pause = (ms: number) => this.#call(life, () => void (this.nowMs += ms))
    return {
      config: CONFIG,
      bucket: this.#bucket(life),
      warehouse: this.#warehouse(life),
      sinkOf: () => SINK,
      log: { warn: () => undefined, error: () => undefined } as unknown as Log,
      clock: { nowMs: () => this.nowMs, pause },
    }
  }

  #bucket(life: number): Bucket {
    const unused = () => {
      throw new Error('not used')
    }
    return {
      name: 'b',
      stat: () => this.#call(life, () => this.#object),
      patch: (object, metadata) => this.#call(life, () => this.#patch(object, metadata)),
      read: () => Readable.from([CONTENT], { objectMode: false }),
      upload: unused,
      list: unused,
    }
  }

  #patch(object: ObjectView, metadata: Record<string, string | null>): PatchAnswer {
    if (object.metageneration !== this.#object.metageneration && this.#mutant !== 'no-precondition')
      return { kind: 'changed' }
    const before = this.state
    const next = (JSON.parse(metadata[STATE_KEY] ?? '{}') as { state: string }).state
    this.count(`${before} -> ${next}`)
    const metageneration = String(Number(this.#object.metageneration) + 1)
    this.#object = {
      ...this.#object,
      metageneration,
      metadata: { ...this.#object.metadata, ...(metadata as Record<string, string>) },
    }
    if (this.#mutant === 'replaces-committing' && next === 'committing') {
      const lost = { ...(JSON.parse(metadata[STATE_KEY] ?? '{}') as object), state: 'writing', until: 0 }
      this.#object = { ...this.#object, metadata: { ...this.#object.metadata, [STATE_KEY]: JSON.stringify(lost) } }
      for (const stream of this.#streams.values()) if (stream.finalized) this.#show(stream)
    }
    return { kind: 'patched', object: this.#object }
  }

  #warehouse(life: number): Warehouse {
    const partial: Partial<Warehouse> = {
      createStream: ({ table }) =>
        this.#call(life, () => {
          const name = `${table}/${this.#streams.size}`
          this.#streams.set(name, { table, createdMs: this.nowMs, rows: [], finalized: false, committed: false })
          return name
        }),
      openAppender: (stream) => this.#appender(life, stream),
      finalizeStream: (name) => this.#call(life, () => this.#finalize(name)),
      commitStream: (name) => this.#call(life, () => this.#commit(name)),
      findTable: () => this.#call(life, () => ({ fields: [], everyRow: 'TRUE' })),
      query: (sql) => this.#query(life, sql),
    }
    return partial as Warehouse
  }

  #appender(life: number, stream: string): Appender {
    const append = (rows: Buffer, offset: number | undefined): Promise<AppendAnswer> => {
      const lines = linesOf(rows)
      return this.#call(life, () => this.#append(stream, lines, offset))
    }
    return { stream, append, close: () => undefined }
  }

  #append(name: string, lines: string[], offset: number | undefined): AppendAnswer {
    if (name.endsWith('_default')) {
      this.sources++
      return { kind: 'written', offset: undefined }
    }
    const stream = this.#living(name)
    if (!stream || stream.finalized) return { kind: 'gone', message: 'finalized' }
    if (offset !== stream.rows.length)
      return { kind: offset! < stream.rows.length ? 'exists' : 'gap', message: 'offset' }
    stream.rows.push(...lines)
    if (this.#mutant === 'visible-early') this.#show(stream, lines)
    return { kind: 'written', offset }
  }

  #living(name: string): Stream | undefined {
    const stream = this.#streams.get(name)
    return stream && this.nowMs - stream.createdMs <= STREAM_LIFE_MS ? stream : undefined
  }

  #finalize(name: string): { kind: 'finalized'; rows: number } | { kind: 'gone' } {
    const stream = this.#living(name)
    if (!stream) return { kind: 'gone' }
    const rows = stream.rows.length
    stream.finalized = true
    return { kind: 'finalized', rows }
  }

  #commit(name: string): 'committed' | 'gone' {
    const stream = this.#living(name)
    if (!stream) return 'gone'
    if (!stream.finalized) throw new Error('not finalized')
    if (stream.committed) this.count('already committed')
    else this.#show(stream)
    return 'committed'
  }

  #show(stream: Stream, lines = stream.rows): void {
    if (stream.committed) return
    if (this.#mutant !== 'visible-early') stream.committed = true
    const shown = stream.table === 'lines' ? this.visible.rows : this.visible.letters
    shown.push(...lines)
  }

  async *#query(life: number, _sql: string): AsyncGenerator<Record<string, unknown>> {
    const found = await this.#call(life, () => this.visible.rows.length > 0)
    this.count(found ? 'the table had a row' : 'the table had no row')
    if (found && this.#mutant !== 'table-says-none') yield { one: '1' }
  }
}

/** A late effect has nobody to tell. */
function attempt(effect: () => unknown): void {
  try {
    effect()
  } catch {
    // as it would have been answered
  }
}

const LINES = Array.from({ length: EVENTS }, (_, index) => `e-${index}`)
export const ROWS = LINES.filter((_, index) => index !== BROKEN_EVENT)
export const LETTERS = LINES.filter((_, index) => index === BROKEN_EVENT)
export const WHOLE: Ranges = [[0, EVENTS * LINE_BYTES]]
const CONTENT = Buffer.from(LINES.map((line) => `${line}\n`).join(''))
const CRC32C = await crcOf(CONTENT)

async function crcOf(content: Buffer): Promise<string> {
  const { crc32c } = await import('@node-rs/crc32')
  return (crc32c(content) >>> 0).toString(16).padStart(8, '0')
}

const CONFIG = parseConfig(
  '{ project: p, dataset: d, bucket: bkt, routes: { lines: { format: raw, table: lines } } }',
  '/millrace.yaml',
)

/** One event is broken; the others are rows of their own bytes. */
const CODEC: RowCodec = {
  fields: [],
  descriptor: {} as RowCodec['descriptor'],
  encode(input, start, end, _origin: Origin, out: RowBuffer) {
    if (input.toString('latin1', start, end) === LETTERS[0]) return { reason: 'json_syntax', message: 'broken' }
    const mark = out.beginRow()
    out.reserve(end - start)
    out.copy(input, start, end)
    out.commitRow(mark)
    return undefined
  },
}

const SINK: ReturnType<Environment['sinkOf']> = { codec: CODEC, ensureOnce: () => Promise.resolve() }

/** The lines in a ProtoRows body: rows are lines as they are; a dead letter holds its line in `bytes`. */
function linesOf(body: Buffer): string[] {
  return [...body.toString('latin1').matchAll(/e-\d/g)].map(([line]) => line)
}
