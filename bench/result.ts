type Relation = 'at least' | 'at most' | 'below'

interface Bar {
  readonly value: number
  readonly bar: number
  readonly ok: boolean
}

const DIGITS = 4

/** What a benchmark found out: figures, and those of them that an issue sets a bar for. */
export class Result {
  readonly #bench: string
  readonly #figures: Record<string, number> = {}
  readonly #bars: Record<string, Bar> = {}

  constructor(bench: string) {
    this.#bench = bench
  }

  figure(name: string, value: number): void {
    this.#figures[name] = rounded(value)
  }

  /** Returns whether the bar is met. A name that comes again replaces what was said of it. */
  bar(name: string, value: number, relation: Relation, limit: number): boolean {
    const ok = { 'at least': value >= limit, 'at most': value <= limit, below: value < limit }[relation]
    this.#bars[name] = { value: rounded(value), bar: rounded(limit), ok }
    return ok
  }

  /** Something that could not be measured is a missed bar. */
  failed(name: string): void {
    this.#bars[name] = { value: 0, bar: 1, ok: false }
  }

  /** Prints the bars that are missed and, as the last line, all as JSON. `check`: the process then ends with 1. */
  end(check: boolean): void {
    const missed = Object.entries(this.#bars).filter(([, { ok }]) => !ok)
    for (const [name, { value, bar }] of missed) console.log(`missed: ${name}: ${value} (bar ${bar})`)
    console.log(JSON.stringify({ bench: this.#bench, figures: this.#figures, bars: this.#bars }))
    if (check && missed.length > 0) process.exitCode = 1
  }
}

function rounded(value: number): number {
  return Number(value.toPrecision(DIGITS))
}
