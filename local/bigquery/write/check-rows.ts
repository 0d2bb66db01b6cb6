import { canonicalRow } from '../rows/canonical.ts'
import type { MessagePlan } from '../rows/plan.ts'
import { LENGTH, Reader } from '../rows/reader.ts'
import { TWICE, walk } from '../rows/walk.ts'

export interface BadRow {
  /** Within the request. */
  index: number
  message: string
}

export type CheckedRows =
  | { kind: 'good'; rows: number; body: Buffer }
  | { kind: 'bad'; errors: BadRow[] }
  /** The body is no ProtoRows at all. */
  | { kind: 'malformed' }

/** Row errors in one answer: https://cloud.google.com/bigquery/docs/error-messages says the list may be cut. */
const ERRORS_MAX = 10_000

const reader = new Reader()

/** Checks every row of a request against the table. The body comes back as it is to be stored. */
export function checkRows(body: Buffer, plan: MessagePlan): CheckedRows {
  const errors: BadRow[] = []
  const rewritten = new Map<number, Buffer>()
  let rows = 0
  reader.buffer = body
  reader.pos = 0
  reader.end = body.length
  while (reader.pos < body.length) {
    if (!reader.varint() || reader.lo !== 8 + LENGTH || !reader.bytes()) return { kind: 'malformed' }
    const { from, to } = reader
    reader.pos = from
    reader.end = to
    if (!walk(reader, plan, 0, 0, false)) {
      const canonical = reader.error === TWICE ? canonicalRow(body.subarray(from, to), plan) : undefined
      if (canonical !== undefined && isGood(canonical, plan)) rewritten.set(rows, canonical)
      else if (errors.length < ERRORS_MAX) errors.push({ index: rows, message: reader.error })
    }
    reader.buffer = body
    reader.pos = to
    reader.end = body.length
    rows++
  }
  if (errors.length > 0) return { kind: 'bad', errors }
  return { kind: 'good', rows, body: rewritten.size === 0 ? body : replaceRows(body, rewritten) }
}

function isGood(row: Buffer, plan: MessagePlan): boolean {
  reader.buffer = row
  reader.pos = 0
  reader.end = row.length
  return walk(reader, plan, 0, 0, false)
}

function replaceRows(body: Buffer, rewritten: ReadonlyMap<number, Buffer>): Buffer {
  const parts: Buffer[] = []
  const entries = new Reader()
  entries.buffer = body
  entries.end = body.length
  for (let row = 0; entries.pos < body.length; row++) {
    const start = entries.pos
    entries.varint()
    entries.bytes()
    const replacement = rewritten.get(row)
    if (replacement === undefined) parts.push(body.subarray(start, entries.pos))
    else parts.push(entryHead(replacement.length), replacement)
  }
  return Buffer.concat(parts)
}

function entryHead(length: number): Buffer {
  const bytes = [8 + LENGTH]
  let rest = length
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80)
  return Buffer.from([...bytes, rest])
}
