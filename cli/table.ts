import type { Writable } from 'node:stream'

type Row = Readonly<Record<string, unknown>>

/** A table is laid out by this many rows at a time. */
const PAGE_ROWS = 500
const CELL_WIDTH_MAX = 60

/** Rows as JSON lines, or in columns for people. */
export async function printRows(rows: AsyncIterable<Row>, out: Writable, asJson: boolean): Promise<void> {
  let page: Row[] = []
  for await (const row of rows) {
    if (asJson) out.write(`${JSON.stringify(row)}\n`)
    else if (page.push(row) === PAGE_ROWS) {
      out.write(layOut(page))
      page = []
    }
  }
  if (page.length > 0) out.write(layOut(page))
}

/** A heading, and a line for each row; NULL is an empty cell. */
export function layOut(rows: readonly Row[]): string {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))]
  const cells = [columns, ...rows.map((row) => columns.map((column) => textOf(row[column])))]
  const widths = columns.map((_, index) => Math.max(...cells.map((line) => line[index]?.length ?? 0)))
  const pad = (cell: string, index: number) => cell.padEnd(widths[index] ?? 0)
  const lines = cells.map((line) => line.map(pad).join('  ').trimEnd())
  return `${lines.join('\n')}\n`
}

function textOf(value: unknown): string {
  if (value === undefined || value === null) return ''
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.length > CELL_WIDTH_MAX ? `${text.slice(0, CELL_WIDTH_MAX - 1)}…` : text
}
