import { JsonValues } from './json-values.ts'
import type { Key } from './keys.ts'
import { Op, type Plan, type Slot } from './plan.ts'
import {
  DUPLICATE,
  INVALID,
  JSON_SYNTAX,
  MISSING,
  ONEOF,
  TOO_DEEP,
  TRAILING,
  TRUNCATED,
  UNKNOWN_FIELD,
  WRONG_TYPE,
} from './reasons.ts'
import type { RowBuffer } from './row-buffer.ts'
import type { UnknownFields } from './unknown.ts'
import { NESTING_MAX, pathWithin, type Walker } from './walker.ts'
import { plainTextEnd } from './strings.ts'

const QUOTE = 0x22
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const OPEN = 0x7b
const CLOSE = 0x7d
const LETTER_N = 0x6e
/** Room for the tag, the length and the longest number of a value. */
const VALUE_ROOM = 32
/** A tag and the longest number behind it. */
const SCALAR_MAX = 16

/** JSON straight to row bytes: no objects, no strings, one pass. */
export class JsonWalker extends JsonValues implements Walker {
  path = ''
  private readonly plan: Plan
  private readonly unknown: UnknownFields
  /** Path of the record that is being read, for unknown fields; kept only while there may be some. */
  private prefix = ''

  constructor(plan: Plan, unknown: UnknownFields, out: RowBuffer) {
    super(out)
    this.plan = plan
    this.unknown = unknown
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
        out.length = o
        out.reserve(end - p + VALUE_ROOM)
        into = out.bytes
        room = into.length - VALUE_ROOM - end
      }
      if (slot.fast === Op.STRING && bytes[p] === QUOTE) {
        q = plainTextEnd(bytes, view, p + 1, end)
        const size = q - p - 1
        if (size < 128 && q < end && bytes[q] === QUOTE) {
          into[o] = slot.tag
          into[o + 1] = size
          out.length = o + 2
          out.copyWords(view, p + 1, q)
          o = out.length
          p = q + 1
          continue
        }
      } else if (slot.fast <= Op.UINT32) {
        q = this.scalar(slot, p, into, o)
        if (q >= 0) {
          o = this.after
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
    const { keys } = plan
    const first = before === keys.head
    const p = first ? this.blank(start) : this.following(start, CLOSE)
    if (p < 0) return p
    if (first ? p < this.end && this.bytes[p] === CLOSE : this.closed) {
      this.key = keys.tail
      return first ? p + 1 : p
    }
    const quote = this.isQuote(p)
    const after = quote < 0 ? quote : this.text(p + 1)
    if (after < 0) return after
    const key = keys.find(this.source, this.from, this.to)
    const value = this.colon(after)
    this.key = key ?? keys.stray
    if (value < 0) return value
    if (key === undefined) return this.unknownMember(p + 1, after - 1, value, depth)
    if (key.slot === undefined) return this.valueEnd(value, depth)
    before.remember(key, this.view, start, value)
    return value
  }

  /** The end of a record: its absent fields. */
  private close(plan: Plan, stamp: number, count: number, p: number): number {
    if (count === plan.slots.length) return p
    const missing = plan.close(stamp, this.out)
    return missing ? this.fail(MISSING, missing.name) : p
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

  protected override record(slot: Slot, p: number, depth: number): number {
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
    const { out } = this
    if (this.bytes[start] !== OPEN_ARRAY) return WRONG_TYPE
    let p = this.blank(start + 1)
    if (p < this.end && this.bytes[p] === CLOSE_ARRAY) return p + 1
    const mark = slot.packed ? this.openRun(slot) : 0
    for (let index = 0; ; index++) {
      if (p >= this.end) return TRUNCATED
      if (!slot.packed) out.tag(slot.tag)
      else out.reserve(SCALAR_MAX)
      p = this.value(slot, p, depth)
      if (p < 0) return this.fail(p, `[${index}]`)
      p = this.following(p, CLOSE_ARRAY)
      if (p < 0 || this.closed) break
    }
    if (slot.packed) slot.width = out.patchLength(mark, slot.width)
    return p
  }

  /** A tag and room for a length, which patchLength fills in. */
  private openRun(slot: Slot): number {
    this.out.tag(slot.tag)
    const mark = this.out.length
    this.out.length += slot.width
    return mark
  }

  /** An object whose members are the entries of a map. */
  private map(slot: Slot, start: number, depth: number): number {
    if (this.bytes[start] !== OPEN) return WRONG_TYPE
    slot.mapKeys.clear()
    let p = this.blank(start + 1)
    if (p < this.end && this.bytes[p] === CLOSE) return p + 1
    for (;;) {
      p = this.isQuote(p)
      if (p < 0) return p
      const mark = this.openRun(slot)
      p = this.entry(slot, p, depth)
      if (p < 0) return p
      slot.width = this.out.patchLength(mark, slot.width)
      p = this.following(p, CLOSE)
      if (p < 0 || this.closed) return p
    }
  }

  private entry(map: Slot, start: number, depth: number): number {
    const { out } = this
    const [key, value] = map.plan.slots as readonly [Slot, Slot]
    out.tag(key.tag)
    const mark = out.length
    let p = this.mapKey(key, start)
    if (p >= 0 && !map.mapKeys.add(out.bytes, mark, out.length)) return DUPLICATE
    p = this.colon(p)
    if (p < 0) return p
    out.tag(value.tag)
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

  private fail(reason: number, name: string): number {
    this.path = pathWithin(name, this.path)
    return reason
  }
}

/** Position of the value of the key that followed `before` last time, when the same bytes lead to it again; else -1. */
function expected(before: Key, view: DataView, p: number, end: number): number {
  const { length } = before
  const next = p + length
  if (next >= end || view.getInt32(next - 4, true) !== before.last) return -1
  if (length > 4 && view.getInt32(p, true) !== before.first) return -1
  if (length > 8 && view.getInt32(p + 4, true) !== before.second) return -1
  if (length > 12) {
    const { words } = before
    const last = next - 4
    for (let q = p + 8, i = 2; q < last; q += 4, i++) if (view.getInt32(q, true) !== words[i]) return -1
  }
  return next
}
