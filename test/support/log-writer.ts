import { appendFileSync, existsSync, renameSync, rmSync } from 'node:fs'

/** Writes numbered lines to a log and rotates it, as an application and logrotate do; knows all that it wrote. */
export class LogWriter {
  readonly path: string
  /** Lines written so far: their numbers are 0 to `count - 1`. */
  count = 0

  constructor(path: string) {
    this.path = path
  }

  /** Appends this many lines of `bytes` bytes each. */
  write(lines: number, bytes = 120): void {
    appendFileSync(this.path, this.lines(lines, bytes))
  }

  /** The next lines as text, for who writes them in another way. */
  lines(lines: number, bytes = 120): string {
    let text = ''
    for (let i = 0; i < lines; i++) text += `${lineText(this.count++, bytes)}\n`
    return text
  }

  /** Rename and create: `.1` is the newest rotated file; those beyond `keep` are deleted. */
  rotate(keep = 1000): void {
    let last = 1
    while (existsSync(`${this.path}.${last}`)) last++
    for (let n = last; n > 1; n--) renameSync(`${this.path}.${n - 1}`, `${this.path}.${n}`)
    renameSync(this.path, `${this.path}.1`)
    if (last > keep) rmSync(`${this.path}.${last}`)
  }
}

/** A line of so many bytes, its end included. */
export function lineText(number: number, bytes = 120): string {
  return `line ${number} `.padEnd(bytes - 1, 'x')
}

/** The numbers of the lines, in the order given. */
export function lineNumbers(values: Iterable<string | null>): number[] {
  return Array.from(values, (value) => Number(/^line (\d+) /.exec(value ?? '')?.[1] ?? Number.NaN))
}

/** What is missing, doubled or out of order of `0 .. count - 1`. */
export function compareLines(numbers: readonly number[], count: number) {
  const seen = new Set<number>()
  let doubled = 0
  let backward = 0
  numbers.forEach((n, i) => {
    if (seen.has(n)) doubled++
    seen.add(n)
    if (i > 0 && n < numbers[i - 1]!) backward++
  })
  let missing = 0
  for (let n = 0; n < count; n++) if (!seen.has(n)) missing++
  return { missing, doubled, backward, total: numbers.length }
}
