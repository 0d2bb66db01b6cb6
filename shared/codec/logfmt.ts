import { DUPLICATE, NO_MATCH, UNKNOWN_FIELD, UTF8 } from './reasons.ts'
import { isUtf8, QUOTE, quoteEnd, seen, unescape } from './strings.ts'
import { TextColumns } from './text-columns.ts'
import { LINE_BYTES_MAX } from './walker.ts'

const SPACE = 0x20
const EQUALS = 0x3d

const TRUE = Buffer.from('true')

/** Lines of key=value pairs, values with spaces in quotes: `level=info msg="two words" ok`. */
export class LogfmtWalker extends TextColumns {
  private readonly scratch = Buffer.allocUnsafeSlow(LINE_BYTES_MAX)
  private key = 0
  private keyEnd = 0

  protected line(start: number, end: number): number {
    const { bytes } = this
    let pairs = 0
    for (let p = start; p < end; pairs++) {
      while (p < end && (bytes[p] as number) <= SPACE) p++
      if (p === end) break
      p = this.pair(p, end)
      if (p < 0) return p
    }
    return pairs === 0 ? NO_MATCH : 0
  }

  private pair(start: number, end: number): number {
    const { bytes } = this
    let p = start
    while (p < end && (bytes[p] as number) > SPACE && bytes[p] !== EQUALS && bytes[p] !== QUOTE) p++
    this.key = start
    this.keyEnd = p
    if (p === start || bytes[p] === QUOTE) return NO_MATCH
    // A key alone is a flag.
    if (p === end || bytes[p] !== EQUALS) return this.put(TRUE, 0, TRUE.length) || p
    const from = ++p
    if (p < end && bytes[p] === QUOTE) return this.quoted(p + 1, end)
    while (p < end && (bytes[p] as number) > SPACE) p++
    return this.put(bytes, from, p) || p
  }

  private quoted(start: number, end: number): number {
    const { bytes, scratch } = this
    const p = quoteEnd(bytes, this.view, start, end)
    if (p >= end || (p + 1 < end && (bytes[p + 1] as number) > SPACE)) return NO_MATCH
    const to = seen.escapes ? unescape(bytes, start, p, scratch) : -1
    // What is no escape stays as it is.
    return (to < 0 ? this.put(bytes, start, p) : this.put(scratch, 0, to)) || p + 1
  }

  private put(value: Buffer, from: number, to: number): number {
    const { bytes, key, keyEnd } = this
    const slot = this.plan.find(bytes, key, keyEnd)
    if (!slot) return this.putUnknown(bytes.toString('utf8', key, keyEnd), value, from, to)
    return this.plan.has(slot) ? this.fail(DUPLICATE, slot.name) : this.column(slot, value, from, to)
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
