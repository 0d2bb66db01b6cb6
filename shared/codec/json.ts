import { JsonScanner } from './json-scanner.ts'
import { writeDateMembers, writeDuration, writeFieldMask, writeTimeMembers } from './json-well-known.ts'
import type { Key } from './keys.ts'
import { int64, jsonNumberEnd, parseDouble, parseInteger } from './numbers.ts'
import { Op, type Plan, type Slot } from './plan.ts'
import {
  DUPLICATE,
  INVALID,
  JSON_SYNTAX,
  MISSING,
  ONEOF,
  RANGE,
  TOO_DEEP,
  TRAILING,
  TRUNCATED,
  UNKNOWN_ENUM,
  UNKNOWN_FIELD,
  WRONG_TYPE,
} from './reasons.ts'
import type { RowBuffer } from './row-buffer.ts'
import { PLAIN, writeBase64 } from './strings.ts'
import { parseRfc3339 } from './time.ts'
import type { UnknownFields } from './unknown.ts'
import { NESTING_MAX, pathWithin, type Walker } from './walker.ts'

const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const OPEN = 0x7b
const CLOSE = 0x7d
const MINUS = 0x2d
const LETTER_N = 0x6e

/** A tag and the longest number behind it. */
const SCALAR_MAX = 16

/** JSON straight to row bytes: no objects, no strings, one pass. */
export class JsonWalker extends JsonScanner implements Walker {
  path = ''
  private readonly plan: Plan
  private readonly unknown: UnknownFields
  private out: RowBuffer
  /** Path of the record that is being read, for unknown fields; kept only while there may be some. */
  private prefix = ''

  constructor(plan: Plan, unknown: UnknownFields, out: RowBuffer) {
    super()
    this.plan = plan
    this.unknown = unknown
    this.out = out
  }

  walk(input: Buffer, start: number, end: number, out: RowBuffer): number {
    this.bytes = input
    this.end = end
    this.out = out
    this.path = ''
    this.prefix = ''
    const bom = end - start >= 3 && input[start] === 0xef && input[start + 1] === 0xbb && input[start + 2] === 0xbf
    let p = this.blank(bom ? start + 3 : start)
    if (p >= end) return TRUNCATED
    if (input[p] !== OPEN) return this.valueEnd(p, 0) < 0 ? JSON_SYNTAX : WRONG_TYPE
    p = this.object(this.plan, p + 1, 1)
    if (p < 0) return p
    p = this.blank(p)
    return p === end ? p : TRAILING
  }

  /** The members of an object whose brace is before `start`. Answers the position behind its end, or a reason. */
  private object(plan: Plan, start: number, depth: number): number {
    if (depth > NESTING_MAX) return TOO_DEEP
    const { bytes, end } = this
    const stamp = plan.open()
    let count = 0
    let previous = plan.keys.head
    let p = this.blank(start)
    if (p < end && bytes[p] === CLOSE) return this.close(plan, stamp, 0, p + 1)
    for (;;) {
      if (p >= end || bytes[p] !== QUOTE) return p >= end ? TRUNCATED : JSON_SYNTAX
      let key: Key | undefined = previous.next
      const guess = key === undefined ? -1 : this.matchEnd(key.quoted, p + 1)
      if (guess < 0) {
        key = this.find(plan, p + 1)
        if (this.keyEnd < 0) return this.keyEnd
        if (key !== undefined) previous.next = key
        p = this.colon(this.keyEnd + 1)
      } else p = this.colon(guess)
      if (p < 0) return p
      if (key === undefined) p = this.unknownMember(p, depth)
      else {
        previous = key
        if (key.slot === undefined) p = this.valueEnd(p, depth)
        else {
          p = this.member(plan, key.slot, stamp, p, depth)
          if (p >= 0 && plan.seen[key.slot.index] === stamp) count++
        }
      }
      if (p < 0) return p
      p = this.blank(p)
      if (p >= end) return TRUNCATED
      const c = bytes[p]
      if (c === CLOSE) return this.close(plan, stamp, count, p + 1)
      if (c !== COMMA) return JSON_SYNTAX
      p = this.blank(p + 1)
    }
  }

  /** Position of the value behind a colon at or after p. */
  private colon(p: number): number {
    const { bytes, end } = this
    let q = p
    if (q >= end || bytes[q] !== COLON) {
      q = this.blank(q)
      if (q >= end) return TRUNCATED
      if (bytes[q] !== COLON) return JSON_SYNTAX
    }
    q++
    if (q < end && (bytes[q] as number) > 0x20) return q
    q = this.blank(q)
    return q < end ? q : TRUNCATED
  }

  /** Position behind the quoted name at p when it is the one expected, else -1. */
  private matchEnd(quoted: Uint8Array, p: number): number {
    const { bytes } = this
    const { length } = quoted
    if (p + length > this.end) return -1
    for (let i = 0; i < length; i++) if (bytes[p + i] !== quoted[i]) return -1
    return p + length
  }

  private keyStart = 0
  private keyEnd = 0

  /** The key whose name begins at p; keyEnd: its closing quote, or a reason. */
  private find(plan: Plan, p: number): Key | undefined {
    const after = this.text(p)
    this.keyStart = p
    this.keyEnd = after < 0 ? after : after - 1
    if (after < 0) return undefined
    return plan.keys.find(this.source, this.from, this.to)
  }

  private member(plan: Plan, slot: Slot, stamp: number, p: number, depth: number): number {
    const { seen } = plan
    const before = seen[slot.index]
    if (before === stamp || before === -stamp) return this.fail(DUPLICATE, slot.name)
    if (this.bytes[p] === LETTER_N && slot.op !== Op.VALUE && !slot.enum?.nullValue) {
      seen[slot.index] = -stamp
      const q = this.literal(p)
      return q < 0 ? this.fail(q, slot.name) : q
    }
    seen[slot.index] = stamp
    if (slot.oneof >= 0) {
      if (plan.oneofs[slot.oneof] === stamp) return this.fail(ONEOF, slot.name)
      plan.oneofs[slot.oneof] = stamp
    }
    let q: number
    if (slot.repeated) q = slot.map ? this.map(slot, p, depth) : this.array(slot, p, depth)
    else {
      this.out.reserve(SCALAR_MAX)
      this.out.varint(slot.tag)
      q = this.value(slot, p, depth)
    }
    return q < 0 ? this.fail(q, slot.name) : q
  }

  /** The end of a record: its absent fields. */
  private close(plan: Plan, stamp: number, count: number, p: number): number {
    if (count === plan.slots.length) return p
    const { out } = this
    for (const slot of plan.needed) {
      if (plan.seen[slot.index] === stamp) continue
      if (slot.standard === undefined) return this.fail(MISSING, slot.name)
      out.reserve(slot.standard.length)
      out.copy(slot.standard, 0, slot.standard.length)
    }
    return p
  }

  private unknownMember(p: number, depth: number): number {
    const { keyStart, keyEnd, unknown } = this
    if (unknown.policy === 'reject') {
      return this.fail(UNKNOWN_FIELD, this.bytes.toString('utf8', keyStart, keyEnd))
    }
    const q = this.valueEnd(p, depth)
    if (q >= 0 && unknown.policy === 'keep') unknown.add(this.prefix, this.bytes, keyStart, keyEnd, this.bytes, p, q)
    return q
  }

  private value(slot: Slot, p: number, depth: number): number {
    switch (slot.op) {
      case Op.STRING:
        return this.string(slot, p)
      case Op.INT64:
      case Op.INT32:
      case Op.UINT32:
      case Op.UINT64:
        return this.integer(slot, p)
      case Op.DOUBLE:
      case Op.FLOAT:
        return this.float(slot, p)
      case Op.BOOL:
        return this.bool(slot, p)
      case Op.MESSAGE:
        return this.record(slot, p, depth)
      case Op.TIMESTAMP:
        return this.timestamp(p)
      case Op.ENUM:
        return this.enumeration(slot, p)
      default:
        return this.rare(slot, p, depth)
    }
  }

  private rare(slot: Slot, p: number, depth: number): number {
    switch (slot.op) {
      case Op.BYTES: {
        const q = this.quoted(p)
        return q < 0 ? q : writeBase64(this.source, this.from, this.to, this.out) || q
      }
      case Op.TEXT:
        return this.converted(slot, p)
      case Op.STRUCT:
        return this.bytes[p] === OPEN ? this.verbatim(p, depth) : WRONG_TYPE
      case Op.LIST:
        return this.bytes[p] === OPEN_ARRAY ? this.verbatim(p, depth) : WRONG_TYPE
      case Op.DURATION: {
        const q = this.quoted(p)
        return q < 0 ? q : writeDuration(this.source, this.from, this.to, this.out) || q
      }
      case Op.FIELDMASK: {
        const q = this.quoted(p)
        return q < 0 ? q : writeFieldMask(this.source, this.from, this.to, this.out) || q
      }
      case Op.DATE:
      case Op.TIMEOFDAY: {
        const q = this.valueEnd(p, depth)
        const write = slot.op === Op.DATE ? writeDateMembers : writeTimeMembers
        return q < 0 ? q : write(this.bytes, p, q, this.out) || q
      }
      default:
        return this.verbatim(p, depth)
    }
  }

  private record(slot: Slot, p: number, depth: number): number {
    if (this.bytes[p] !== OPEN) return WRONG_TYPE
    const { out } = this
    const mark = out.length
    const { prefix } = this
    if (this.unknown.policy === 'keep') this.prefix = prefix === '' ? slot.name : `${prefix}.${slot.name}`
    out.length = mark + slot.width
    const q = this.object(slot.plan, p + 1, depth + 1)
    slot.width = out.patchLength(mark, slot.width)
    this.prefix = prefix
    return q
  }

  private array(slot: Slot, start: number, depth: number): number {
    const { bytes, end, out } = this
    if (bytes[start] !== OPEN_ARRAY) return WRONG_TYPE
    let p = this.blank(start + 1)
    if (p < end && bytes[p] === CLOSE_ARRAY) return p + 1
    const mark = this.openRun(slot)
    for (let index = 0; ; index++) {
      if (p >= end) return TRUNCATED
      out.reserve(SCALAR_MAX)
      if (!slot.packed) out.varint(slot.tag)
      p = this.value(slot, p, depth)
      if (p < 0) return this.fail(p, `[${index}]`)
      p = this.blank(p)
      if (p >= end) return TRUNCATED
      if (bytes[p] === CLOSE_ARRAY) break
      if (bytes[p] !== COMMA) return JSON_SYNTAX
      p = this.blank(p + 1)
    }
    if (slot.packed) slot.width = out.patchLength(mark, slot.width)
    return p + 1
  }

  /** Tag and room for the length of a packed run. */
  private openRun(slot: Slot): number {
    if (!slot.packed) return 0
    this.out.reserve(SCALAR_MAX)
    this.out.varint(slot.tag)
    const mark = this.out.length
    this.out.length += slot.width
    return mark
  }

  /** An object whose members are the entries of a map. */
  private map(slot: Slot, start: number, depth: number): number {
    const { bytes, end, out } = this
    if (bytes[start] !== OPEN) return WRONG_TYPE
    const [key, value] = slot.plan.slots as readonly [Slot, Slot]
    let p = this.blank(start + 1)
    if (p < end && bytes[p] === CLOSE) return p + 1
    for (;;) {
      if (p >= end || bytes[p] !== QUOTE) return p >= end ? TRUNCATED : JSON_SYNTAX
      out.reserve(SCALAR_MAX)
      out.varint(slot.tag)
      const mark = out.length
      out.length += slot.width
      p = this.entry(key, value, p, depth)
      if (p < 0) return p
      slot.width = out.patchLength(mark, slot.width)
      p = this.blank(p)
      if (p >= end) return TRUNCATED
      if (bytes[p] === CLOSE) return p + 1
      if (bytes[p] !== COMMA) return JSON_SYNTAX
      p = this.blank(p + 1)
    }
  }

  private entry(key: Slot, value: Slot, start: number, depth: number): number {
    this.out.reserve(SCALAR_MAX)
    this.out.varint(key.tag)
    let p = this.mapKey(key, start)
    if (p >= 0) p = this.colon(p)
    if (p < 0) return p
    this.out.reserve(SCALAR_MAX)
    this.out.varint(value.tag)
    return this.value(value, p, depth)
  }

  private mapKey(key: Slot, start: number): number {
    if (key.op === Op.STRING) return this.string(key, start)
    const p = this.quoted(start)
    if (p < 0) return p
    if (key.op !== Op.BOOL) return this.putInteger(key, this.source, this.from, this.to) || p
    const text = this.source.toString('latin1', this.from, this.to)
    if (text !== 'true' && text !== 'false') return INVALID
    this.out.varint(text === 'true' ? 1 : 0)
    return p
  }

  private string(slot: Slot, p: number): number {
    const { bytes, end } = this
    if (bytes[p] !== QUOTE) return slot.proto === undefined ? this.converted(slot, p) : WRONG_TYPE
    const start = p + 1
    let q = start
    while (q < end && PLAIN[bytes[q] as number] === 1) q++
    if (q >= end) return TRUNCATED
    if (bytes[q] !== QUOTE) return this.wideString(start)
    this.out.lengthAndCopy(bytes, start, q)
    return q + 1
  }

  /** A string with escapes, or beyond ASCII. */
  private wideString(start: number): number {
    const q = this.text(start)
    if (q < 0) return q
    this.out.lengthAndCopy(this.source, this.from, this.to)
    return q
  }

  private integer(slot: Slot, p: number): number {
    const { bytes, end } = this
    let q = p
    const negative = bytes[q] === MINUS
    if (negative) q++
    const first = q
    const stop = q + 9 < end ? q + 9 : end
    let value = 0
    let c = 0
    while (q < stop && (c = (bytes[q] as number) - 0x30) >>> 0 < 10) {
      value = value * 10 + c
      q++
    }
    const next = q < end ? (bytes[q] as number) : 0
    const ends = next === COMMA || next === CLOSE || next === CLOSE_ARRAY
    const unsigned = negative && (slot.op === Op.UINT32 || slot.op === Op.UINT64)
    if (q === first || !ends || unsigned || (bytes[first] === 0x30 && q > first + 1)) return this.longInteger(slot, p)
    this.out.int32(negative ? -value : value)
    return q
  }

  private longInteger(slot: Slot, p: number): number {
    if (this.bytes[p] === QUOTE) {
      const q = this.quoted(p)
      return q < 0 ? q : this.putInteger(slot, this.source, this.from, this.to) || q
    }
    const q = this.number(p)
    return q < 0 ? q : this.putInteger(slot, this.bytes, p, q) || q
  }

  private putInteger(slot: Slot, bytes: Uint8Array, start: number, end: number): number {
    const failed = parseInteger(bytes, start, end, slot.op === Op.UINT64)
    if (failed < 0) return failed
    const { low, high } = int64
    if (slot.op === Op.INT32 && high !== low >> 31) return RANGE
    if (slot.op === Op.UINT32 && high !== 0) return RANGE
    this.out.varint64(low, high)
    return 0
  }

  private float(slot: Slot, p: number): number {
    if (this.bytes[p] === QUOTE) return this.quotedFloat(slot, p)
    const q = this.number(p)
    if (q < 0) return q
    return this.putFloat(slot, parseDouble(this.bytes, p, q)) || q
  }

  private putFloat(slot: Slot, value: number): number {
    if (!Number.isFinite(value)) return RANGE
    if (slot.op === Op.DOUBLE) this.out.double(value)
    else {
      if (!Number.isFinite(Math.fround(value))) return RANGE
      this.out.float(value)
    }
    return 0
  }

  private quotedFloat(slot: Slot, p: number): number {
    const q = this.quoted(p)
    if (q < 0) return q
    if (slot.proto === undefined) return slot.text(this.source, this.from, this.to, this.out) || q
    if (jsonNumberEnd(this.source, this.from, this.to) === this.to) {
      return this.putFloat(slot, parseDouble(this.source, this.from, this.to)) || q
    }
    const text = this.source.toString('latin1', this.from, this.to)
    if (text !== 'NaN' && text !== 'Infinity' && text !== '-Infinity') return INVALID
    if (slot.op === Op.DOUBLE) this.out.double(Number(text))
    else this.out.float(Number(text))
    return q
  }

  private bool(slot: Slot, p: number): number {
    const c = this.bytes[p]
    if (c !== 0x74 && c !== 0x66) return slot.proto === undefined ? this.converted(slot, p) : WRONG_TYPE
    const q = this.literal(p)
    if (q < 0) return q
    this.out.varint(c === 0x74 ? 1 : 0)
    return q
  }

  private timestamp(p: number): number {
    const q = this.quoted(p)
    if (q < 0) return q
    const failed = parseRfc3339(this.source, this.from, this.to)
    if (failed < 0) return failed
    this.out.varint64(int64.low, int64.high)
    return q
  }

  private enumeration(slot: Slot, p: number): number {
    const table = slot.enum
    if (table === undefined) return WRONG_TYPE
    const c = this.bytes[p]
    if (c === QUOTE) {
      const q = this.quoted(p)
      if (q < 0) return q
      const number = table.numberOf(this.source, this.from, this.to)
      if (number === undefined) return UNKNOWN_ENUM
      table.write(number, this.out)
      return q
    }
    if (c === LETTER_N && table.nullValue) {
      table.write(0, this.out)
      return this.literal(p)
    }
    const q = this.number(p)
    if (q < 0) return q
    const failed = parseInteger(this.bytes, p, q, false)
    if (failed < 0) return failed
    if (int64.high !== int64.low >> 31) return RANGE
    table.write(int64.low, this.out)
    return q
  }

  /** A value of a JSON column, as it stands. */
  private verbatim(p: number, depth: number): number {
    const q = this.valueEnd(p, depth)
    if (q >= 0) this.out.lengthAndCopy(this.bytes, p, q)
    return q
  }

  /** A text, or the text of a number or boolean, by the column's own reader. */
  private converted(slot: Slot, p: number): number {
    const c = this.bytes[p] as number
    if (c === QUOTE) {
      const q = this.quoted(p)
      return q < 0 ? q : slot.text(this.source, this.from, this.to, this.out) || q
    }
    if (slot.proto !== undefined || c === OPEN || c === OPEN_ARRAY || c === LETTER_N) return WRONG_TYPE
    const q = this.valueEnd(p, 0)
    return q < 0 ? q : slot.text(this.bytes, p, q, this.out) || q
  }

  /** The content of a string at p, which must be one. */
  private quoted(p: number): number {
    return this.bytes[p] === QUOTE ? this.text(p + 1) : WRONG_TYPE
  }

  /** The end of a number at p, which must be one. */
  private number(p: number): number {
    const q = jsonNumberEnd(this.bytes, p, this.end)
    if (q >= 0) return q
    const c = this.bytes[p] as number
    return c === MINUS || (c - 0x30) >>> 0 < 10 ? JSON_SYNTAX : this.valueEnd(p, 0) < 0 ? JSON_SYNTAX : WRONG_TYPE
  }

  private fail(reason: number, name: string): number {
    this.path = pathWithin(name, this.path)
    return reason
  }
}
