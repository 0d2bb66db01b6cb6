import { Buffer } from 'node:buffer'
import type { Plan, Slot } from './plan.ts'
import { DUPLICATE, LINE_TOO_LONG, NO_MATCH, UNKNOWN_FIELD, UTF8 } from './reasons.ts'
import type { RowBuffer } from './row-buffer.ts'
import { isUtf8, unescape } from './strings.ts'
import { TextColumns } from './text-columns.ts'
import type { UnknownFields } from './unknown.ts'
import { LINE_BYTES_MAX, type Walker } from './walker.ts'

const SPACE = 0x20
const QUOTE = 0x22
const EQUALS = 0x3d
const BACKSLASH = 0x5c

const TRUE = Buffer.from('true')

/** Lines of key=value pairs, values with spaces in quotes: `level=info msg="two words" ok`. */
export class LogfmtWalker extends TextColumns implements Walker {
  private readonly unknown: UnknownFields
  private readonly scratch = Buffer.allocUnsafeSlow(LINE_BYTES_MAX)

  constructor(plan: Plan, unknown: UnknownFields) {
    super(plan)
    this.unknown = unknown
  }

  walk(input: Buffer, start: number, end: number, out: RowBuffer): number {
    this.path = ''
    if (end - start > LINE_BYTES_MAX) return LINE_TOO_LONG
    const stamp = this.plan.open()
    let pairs = 0
    for (let p = start; p < end; pairs++) {
      while (p < end && (input[p] as number) <= SPACE) p++
      if (p === end) break
      p = this.pair(input, p, end, stamp, out)
      if (p < 0) return p
    }
    return pairs === 0 ? NO_MATCH : this.close(stamp, out)
  }

  private pair(input: Buffer, start: number, end: number, stamp: number, out: RowBuffer): number {
    let p = start
    while (p < end && (input[p] as number) > SPACE && input[p] !== EQUALS && input[p] !== QUOTE) p++
    const keyEnd = p
    if (keyEnd === start || input[p] === QUOTE) return NO_MATCH
    // A key alone is a flag.
    if (p === end || input[p] !== EQUALS) return this.put(input, start, keyEnd, TRUE, 0, TRUE.length, stamp, out) || p
    p++
    if (p < end && input[p] === QUOTE) return this.quoted(input, start, keyEnd, p + 1, end, stamp, out)
    const from = p
    while (p < end && (input[p] as number) > SPACE) p++
    return this.put(input, start, keyEnd, input, from, p, stamp, out) || p
  }

  private quoted(
    input: Buffer,
    key: number,
    keyEnd: number,
    start: number,
    end: number,
    stamp: number,
    out: RowBuffer,
  ): number {
    let p = start
    let escapes = false
    while (p < end && input[p] !== QUOTE) {
      if (input[p] === BACKSLASH) {
        escapes = true
        p++
      }
      p++
    }
    if (p >= end || (p + 1 < end && (input[p + 1] as number) > SPACE)) return NO_MATCH
    if (!escapes) return this.put(input, key, keyEnd, input, start, p, stamp, out) || p + 1
    const to = unescape(input, start, p, this.scratch, 0)
    // What is no escape stays as it is.
    if (to < 0) return this.put(input, key, keyEnd, input, start, p, stamp, out) || p + 1
    return this.put(input, key, keyEnd, this.scratch, 0, to, stamp, out) || p + 1
  }

  private put(
    input: Buffer,
    key: number,
    keyEnd: number,
    value: Buffer,
    from: number,
    to: number,
    stamp: number,
    out: RowBuffer,
  ): number {
    const slot: Slot | undefined = this.plan.keys.find(input, key, keyEnd)?.slot
    if (slot === undefined) return this.putUnknown(input.toString('utf8', key, keyEnd), value, from, to)
    if (this.plan.seen[slot.index] === stamp) return this.fail(DUPLICATE, slot.name)
    return this.column(slot, value, from, to, stamp, out)
  }

  private putUnknown(key: string, value: Buffer, from: number, to: number): number {
    if (this.unknown.policy === 'reject') return this.fail(UNKNOWN_FIELD, key)
    if (!isUtf8(value, from, to)) return this.fail(UTF8, key)
    if (this.unknown.policy === 'drop') return 0
    const name = Buffer.from(JSON.stringify(key))
    const text = Buffer.from(JSON.stringify(value.toString('utf8', from, to)))
    this.unknown.add('', name, 1, name.length - 1, text, 0, text.length)
    return 0
  }
}
