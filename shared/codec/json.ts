import { JsonScanner } from './json-scanner.ts'
import { writeDateMembers, writeDuration, writeFieldMask, writeTimeMembers } from './json-well-known.ts'
import type { Key } from './keys.ts'
import {
  decimal,
  decimalDouble,
  int64,
  jsonNumberEnd,
  parseDouble,
  parseInteger,
  putSafe,
  readDecimal,
  readWhole,
  setSafe,
} from './numbers.ts'
import { FAST_BOOL, FAST_DOUBLE, FAST_INTEGER, FAST_LONG, FAST_STRING, Op, type Plan, type Slot } from './plan.ts'
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

/** "true" and "fals" in one number each. */
const WORD_TRUE = 0x65757274
const WORD_FALS = 0x736c6166

/** Room for the tag, the length and the longest number of a value. */
const VALUE_ROOM = 32

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
    this.key = plan.keys.head
  }

  walk(input: Buffer, start: number, end: number, out: RowBuffer): number {
    if (input !== this.bytes) this.look(input)
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

  /**
   * The members of an object whose brace is before `start`. Answers the position behind its end, or a reason. This is
   * the loop that everything depends on: the common values are written here, with the positions in local variables.
   */
  private object(plan: Plan, start: number, depth: number): number {
    if (depth > NESTING_MAX) return TOO_DEEP
    const { bytes, end, view, out } = this
    const { seen, keys } = plan
    const stamp = plan.open()
    let { head: key } = keys
    let count = 0
    let p = start
    let o = out.length
    let into = out.bytes
    let room = into.length - VALUE_ROOM - end
    for (;;) {
      let q = expected(key, view, p, end)
      if (q >= 0) key = key.next
      else {
        q = this.separator(plan, key, p, depth)
        if (q < 0) return q
        key = this.key
        if (key === keys.tail) {
          out.length = o
          return this.close(plan, stamp, count, q)
        }
      }
      p = q
      const { slot } = key
      if (slot === undefined) continue
      const before = seen[slot.index]
      if (before === stamp || before === -stamp) return this.fail(DUPLICATE, slot.name)
      seen[slot.index] = stamp
      count++
      if (o - p > room) {
        out.reserveAt(o, end - p + VALUE_ROOM)
        into = out.bytes
        room = into.length - VALUE_ROOM - end
      }
      if (slot.fast === FAST_STRING && bytes[p] === QUOTE) {
        q = copyPlain(bytes, view, p + 1, end, into, out.view, o + 2)
        const size = q - p - 1
        if (size < 128 && q < end && bytes[q] === QUOTE) {
          into[o] = slot.tag
          into[o + 1] = size
          o += size + 2
          p = q + 1
          continue
        }
      } else if (slot.fast >= FAST_INTEGER) {
        const first = (bytes[p] as number) - 0x30
        const nine = slot.fast <= FAST_LONG && p + 9 < end ? p + 9 : p
        let value = 0
        let digit = 0
        for (q = p; q < nine && (digit = (bytes[q] as number) - 0x30) >>> 0 < 10; q++) value = (value * 10 + digit) | 0
        if (q < nine && (digit === COMMA - 0x30 || digit === CLOSE - 0x30) && (first !== 0 || q === p + 1) && q > p) {
          into[o++] = slot.tag
          for (; value > 127; value >>>= 7) into[o++] = (value & 127) | 128
          into[o++] = value
          p = q
          continue
        }
        q = slot.fast === FAST_LONG ? readWhole(bytes, p, end) : -1
        if (q >= 0) {
          into[o] = slot.tag
          o = putSafe(into, o + 1, decimal[0] as number)
          p = q
          continue
        }
        q = slot.fast > FAST_LONG ? this.scalar(slot, p, into, o) : -1
        if (q >= 0) {
          o += slot.fast === FAST_BOOL ? 2 : 9
          p = q
          continue
        }
      }
      out.length = o
      p = this.member(plan, slot, stamp, p, depth)
      o = out.length
      into = out.bytes
      room = into.length - VALUE_ROOM - end
      if (p < 0) return this.fail(p, slot.name)
      if (seen[slot.index] !== stamp) count--
    }
  }

  /** A tag and a double of up to 15 digits, or true or false, at `o`; -1 when it is of another form. */
  private scalar(slot: Slot, p: number, into: Uint8Array, o: number): number {
    into[o] = slot.tag
    if (slot.fast === FAST_DOUBLE) {
      const q = readDecimal(this.bytes, p, this.end)
      if (q >= 0) this.out.view.setFloat64(o + 1, decimalDouble(), true)
      return q
    }
    const word = p + 5 <= this.end ? this.view.getInt32(p, true) : 0
    const no = word === WORD_FALS && this.bytes[p + 4] === 0x65
    into[o + 1] = no ? 0 : 1
    return no ? p + 5 : word === WORD_TRUE ? p + 4 : -1
  }

  /** A value that is not of the commonest kinds, or not in the commonest form. */
  private member(plan: Plan, slot: Slot, stamp: number, p: number, depth: number): number {
    if (this.bytes[p] === LETTER_N && !slot.takesNull) {
      plan.seen[slot.index] = -stamp
      return this.literal(p)
    }
    if (slot.oneof >= 0 && !plan.choose(slot.oneof, stamp)) return ONEOF
    if (slot.repeated) return slot.map ? this.map(slot, p, depth) : this.array(slot, p, depth)
    this.out.tag(slot.tag)
    return this.value(slot, p, depth)
  }

  /** Set by separator: the key that it read; tail: the object ended. */
  private key: Key

  /**
   * What stands between two values: comma, name and colon with their white space, or the end of the object. Answers
   * the position of the next value and remembers these bytes for the next time; the slow way, for the first time.
   */
  private separator(plan: Plan, before: Key, start: number, depth: number): number {
    const { bytes, end } = this
    const { keys } = plan
    let p = this.blank(start)
    if (p < end && bytes[p] === CLOSE) {
      this.key = keys.tail
      return p + 1
    }
    if (before !== keys.head) {
      if (p >= end || bytes[p] !== COMMA) return p >= end ? TRUNCATED : JSON_SYNTAX
      p = this.blank(p + 1)
    }
    if (p >= end || bytes[p] !== QUOTE) return p >= end ? TRUNCATED : JSON_SYNTAX
    const name = p + 1
    const after = this.text(name)
    if (after < 0) return after
    const key = keys.find(this.source, this.from, this.to)
    p = this.colon(after)
    this.key = key ?? keys.stray
    if (p >= 0 && key?.slot !== undefined) before.remember(key, this.view, start, p)
    if (p < 0 || key?.slot !== undefined) return p
    return key === undefined ? this.unknownMember(name, after - 1, p, depth) : this.valueEnd(p, depth)
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

  private unknownMember(keyStart: number, keyEnd: number, p: number, depth: number): number {
    const { unknown } = this
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
    slot.mapKeys.clear()
    let p = this.blank(start + 1)
    if (p < end && bytes[p] === CLOSE) return p + 1
    for (;;) {
      if (p >= end || bytes[p] !== QUOTE) return p >= end ? TRUNCATED : JSON_SYNTAX
      out.reserve(SCALAR_MAX)
      out.varint(slot.tag)
      const mark = out.length
      out.length += slot.width
      p = this.entry(slot, key, value, p, depth)
      if (p < 0) return p
      slot.width = out.patchLength(mark, slot.width)
      p = this.blank(p)
      if (p >= end) return TRUNCATED
      if (bytes[p] === CLOSE) return p + 1
      if (bytes[p] !== COMMA) return JSON_SYNTAX
      p = this.blank(p + 1)
    }
  }

  private entry(map: Slot, key: Slot, value: Slot, start: number, depth: number): number {
    this.out.reserve(SCALAR_MAX)
    this.out.varint(key.tag)
    const mark = this.out.length
    let p = this.mapKey(key, start)
    if (p >= 0 && !map.mapKeys.add(this.out.bytes, mark, this.out.length)) return DUPLICATE
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
    const { bytes, end, out } = this
    if (bytes[p] !== QUOTE) return slot.proto === undefined ? this.converted(slot, p) : WRONG_TYPE
    out.reserve(end - p + 8)
    const mark = out.length
    const { width } = slot
    const q = copyPlain(bytes, this.view, p + 1, end, out.bytes, out.view, mark + width)
    if (q >= end) return TRUNCATED
    if (bytes[q] !== QUOTE) return this.wideString(p + 1)
    out.length = mark + width + q - p - 1
    slot.width = out.patchLength(mark, width)
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
    if (bytes[p] === QUOTE) {
      const q = this.quoted(p)
      return q < 0 ? q : this.putInteger(slot, this.source, this.from, this.to) || q
    }
    const q = readDecimal(bytes, p, end)
    if (q < 0 || decimal[1] !== 0) {
      const after = this.number(p)
      return after < 0 ? after : this.putInteger(slot, bytes, p, after) || after
    }
    setSafe(decimal[0] as number)
    return this.putHalves(slot, (decimal[0] as number) < 0) || q
  }

  private putInteger(slot: Slot, bytes: Uint8Array, start: number, end: number): number {
    const failed = parseInteger(bytes, start, end, slot.op === Op.UINT64)
    if (failed < 0) return failed
    return this.putHalves(slot, false)
  }

  /** Writes int64, when it is within the slot's type. */
  private putHalves(slot: Slot, negative: boolean): number {
    const { low, high } = int64
    if (negative && slot.op === Op.UINT64) return RANGE
    if (slot.op === Op.INT32 && high !== low >> 31) return RANGE
    if (slot.op === Op.UINT32 && high !== 0) return RANGE
    this.out.varint64(low, high)
    return 0
  }

  private float(slot: Slot, p: number): number {
    if (this.bytes[p] === QUOTE) return this.quotedFloat(slot, p)
    const short = readDecimal(this.bytes, p, this.end)
    if (short >= 0) return this.putFloat(slot, decimalDouble()) || short
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
    const { bytes } = this
    const c = bytes[p]
    if (c === 0x74 || c === 0x66) {
      this.out.varint(c === 0x74 ? 1 : 0)
      return this.literal(p)
    }
    const q = slot.proto === undefined ? this.converted(slot, p) : this.valueEnd(p, 0)
    return q < 0 || slot.proto === undefined ? q : WRONG_TYPE
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

/** Position of the value of the key that followed `before` last time, when the same bytes lead to it again; else -1. */
function expected(before: Key, view: DataView, p: number, end: number): number {
  const { length } = before
  const next = p + length
  if (next > end || view.getInt32(next - 4, true) !== before.last) return -1
  if (length > 4 && view.getInt32(p, true) !== before.first) return -1
  if (length > 8 && view.getInt32(p + 4, true) !== before.second) return -1
  if (length > 12) {
    const { words } = before
    const last = next - 4
    for (let q = p + 8, i = 2; q < last; q += 4, i++) if (view.getInt32(q, true) !== words[i]) return -1
  }
  return next
}

/** Copies a string's bytes up to the first that is not plain; answers where that is, or the end. */
function copyPlain(
  bytes: Uint8Array,
  view: DataView,
  start: number,
  end: number,
  into: Uint8Array,
  intoView: DataView,
  at: number,
): number {
  let p = start
  let o = at
  for (const stop = end - 4; p <= stop; p += 4, o += 4) {
    const word = view.getInt32(p, true)
    const special = specialOf(word)
    intoView.setInt32(o, word, true)
    if (special !== 0) return p + ((31 - Math.clz32(special & -special)) >> 3)
  }
  while (p < end && PLAIN[bytes[p] as number] === 1) into[o++] = bytes[p++] as number
  return p
}

/** The top bit of each of four bytes that is a quote, a backslash, a control or beyond ASCII; exact for the lowest such. */
function specialOf(word: number): number {
  const quote = word ^ 0x22222222
  const backslash = word ^ 0x5c5c5c5c
  return (
    (((quote - 0x01010101) & ~quote) | ((backslash - 0x01010101) & ~backslash) | (word - 0x20202020) | word) &
    0x80808080
  )
}
