/** What a run looks like at one moment. */
export interface Snapshot {
  readonly elapsedMs: number
  /** Since the data folder was made; rows and dead letters are not there while the warehouse does not answer. */
  readonly written: number
  readonly rows?: number
  readonly deadLetters?: number
  /** Of this run. */
  readonly published: number
  readonly chunks: number
}

/** `00:12  written 12,000  rows 11,500  dead letters 1  lag 499  (this run: published 11,980  chunks 3)` */
export function describeSnapshot(snapshot: Snapshot): string {
  const { elapsedMs, written, rows, deadLetters = 0, published, chunks } = snapshot
  const seconds = Math.floor(elapsedMs / 1000)
  const clock = `${String(Math.floor(seconds / 60)).padStart(2, '0')}:${String(seconds % 60).padStart(2, '0')}`
  const number = (value: number) => value.toLocaleString('en-US')
  const lag = Math.max(0, written - (rows ?? 0) - deadLetters)
  const held =
    rows === undefined ? '' : `  rows ${number(rows)}  dead letters ${number(deadLetters)}  lag ${number(lag)}`
  return `${clock}  written ${number(written)}${held}  (this run: published ${number(published)}  chunks ${number(chunks)})`
}

const REFRESH_TERMINAL_MS = 1_000
const REFRESH_PIPE_MS = 5_000

/** One line that is rewritten on a terminal, a new line now and then in a pipe. */
export class StatusLine {
  readonly refreshMs: number
  readonly #out: NodeJS.WriteStream
  #open = false

  constructor(out: NodeJS.WriteStream) {
    this.#out = out
    this.refreshMs = out.isTTY ? REFRESH_TERMINAL_MS : REFRESH_PIPE_MS
  }

  show(text: string): void {
    if (this.#out.isTTY) this.#out.write(`\r\u001b[K${text}`)
    else this.#out.write(`${text}\n`)
    this.#open = this.#out.isTTY
  }

  /** A line of its own. */
  say(text: string): void {
    this.#out.write(this.#open ? `\n${text}\n` : `${text}\n`)
    this.#open = false
  }
}
