import { JsonValues } from './json-values.ts'
import { compilePlainMembers } from './json-code.ts'
import { CLOSE, CLOSE_ARRAY, LETTER_N, OPEN, OPEN_ARRAY } from './json-scanner.ts'
import { AFTER, AT, CLOSED, type Plan, SEPARATOR, type Slot } from './plan.ts'
import {
  DUPLICATE,
  INVALID,
  JSON_SYNTAX,
  ONEOF,
  TOO_DEEP,
  TRAILING,
  TRUNCATED,
  UNKNOWN_FIELD,
  WRONG_TYPE,
} from './reasons.ts'
import { type RowBuffer, SCALAR_MAX } from './row-buffer.ts'
import type { UnknownFields } from './unknown.ts'
import { NESTING_MAX, type Walker } from './walker.ts'

/** JSON straight to row bytes: no objects, no strings, one pass. */
export class JsonWalker extends JsonValues implements Walker {
  constructor(plan: Plan, unknown: UnknownFields) {
    super(plan, unknown)
    compilePlainMembers(plan)
  }

  walk(input: Buffer, start: number, end: number, out: RowBuffer): number {
    const first = this.look(input, start, end, out)
    this.end = first + end - start
    const { bytes } = this
    const bom = end - start >= 3 && bytes[first] === 0xef && bytes[first + 1] === 0xbb && bytes[first + 2] === 0xbf
    let p = this.blank(bom ? first + 3 : first)
    if (p >= this.end) return TRUNCATED
    if (bytes[p] !== OPEN) return this.valueEnd(p, 0) < 0 ? JSON_SYNTAX : WRONG_TYPE
    p = this.object(this.plan, p + 1, 1)
    if (p < 0) return p
    p = this.blank(p)
    return p === this.end ? p : TRAILING
  }

  /** The members of an object whose brace is before `start`. Answers the position behind its end, or a reason. */
  private object(plan: Plan, start: number, depth: number): number {
    if (depth > NESTING_MAX) return TOO_DEEP
    const { progress, slots } = plan
    let p = start
    for (let fresh = true; ; fresh = false) {
      p = plan.plainMembers(this.bytes, this.view, p, this.end, this.out, fresh)
      if (progress[AT] === CLOSED) break
      if (progress[AT] === SEPARATOR) {
        p = this.separator(plan, p, depth)
        if (p < 0) return p
        if (this.closed) break
        continue
      }
      const slot = slots[progress[AT] as number] as Slot
      p = this.member(plan, slot, p, depth)
      if (p < 0) return this.fail(p, slot.name)
      progress[AFTER] = slot.index + 1
      progress[AT] = SEPARATOR
    }
    return plan.lacking ? this.close(plan, p) : p
  }

  /**
   * What stands before a member: comma, name and colon with their white space, and members without a column; or the end
   * of the object. Answers the position of the value, noted in progress[AT].
   */
  private separator(plan: Plan, start: number, depth: number): number {
    const { progress, next } = plan
    const after = progress[AFTER] as number
    let p = after === 0 ? this.opening(start, CLOSE) : this.following(start, CLOSE)
    while (p >= 0 && !this.closed) {
      const name = p + 1
      const behind = this.name(p)
      if (behind < 0) return behind
      const slot = plan.find(this.source, this.from, this.to)
      p = this.colon(behind)
      if (p < 0) return p
      if (slot) {
        if (plan.isNamed(slot)) return this.fail(DUPLICATE, slot.name)
        next[after] = progress[AT] = slot.index
        return p
      }
      p = slot === null ? this.valueEnd(p, depth) : this.unknownMember(name, behind - 1, p, depth)
      if (p >= 0) p = this.following(p, CLOSE)
    }
    return p
  }

  private member(plan: Plan, slot: Slot, p: number, depth: number): number {
    if (this.bytes[p] === LETTER_N && !slot.takesNull) {
      plan.takeNull(slot)
      return this.literal(p)
    }
    if (!plan.take(slot)) return ONEOF
    if (slot.repeated) return slot.map ? this.map(slot, p, depth) : this.array(slot, p, depth)
    this.out.tag(slot.tag)
    return this.value(slot, p, depth)
  }

  private unknownMember(keyStart: number, keyEnd: number, p: number, depth: number): number {
    const { unknown } = this
    if (unknown.policy === 'reject') {
      return this.fail(UNKNOWN_FIELD, this.bytes.toString('utf8', keyStart, keyEnd))
    }
    const q = this.valueEnd(p, depth)
    if (q >= 0 && unknown.policy === 'keep') unknown.add(this.prefix(), this.bytes, keyStart, keyEnd, this.bytes, p, q)
    return q
  }

  protected override record(slot: Slot, p: number, depth: number): number {
    if (this.bytes[p] !== OPEN) return WRONG_TYPE
    const { out } = this
    const mark = out.length
    out.length = mark + slot.width
    this.above.push(slot.name)
    const q = this.object(slot.plan, p + 1, depth + 1)
    this.above.pop()
    slot.width = out.patchLength(mark, slot.width)
    return q
  }

  private array(slot: Slot, start: number, depth: number): number {
    const { out } = this
    if (this.bytes[start] !== OPEN_ARRAY) return WRONG_TYPE
    let p = this.opening(start + 1, CLOSE_ARRAY)
    if (this.closed) return p
    const mark = slot.packed ? this.openRun(slot) : 0
    for (let index = 0; p >= 0 && !this.closed; index++) {
      if (p >= this.end) return TRUNCATED
      if (!slot.packed) out.tag(slot.tag)
      else out.reserve(SCALAR_MAX)
      p = this.value(slot, p, depth)
      if (p < 0) return this.fail(p, `[${index}]`)
      p = this.following(p, CLOSE_ARRAY)
    }
    if (slot.packed) slot.width = out.patchLength(mark, slot.width)
    return p
  }

  /** An object whose members are the entries of a map. */
  private map(slot: Slot, start: number, depth: number): number {
    if (this.bytes[start] !== OPEN) return WRONG_TYPE
    slot.mapKeys.clear()
    let p = this.opening(start + 1, CLOSE)
    while (p >= 0 && !this.closed) {
      const mark = this.openRun(slot)
      p = this.entry(slot, p, depth)
      if (p < 0) return p
      slot.width = this.out.patchLength(mark, slot.width)
      p = this.following(p, CLOSE)
    }
    return p
  }

  private entry(map: Slot, start: number, depth: number): number {
    const { out } = this
    const [key, value] = map.plan.slots as readonly [Slot, Slot]
    out.tag(key.tag)
    const mark = out.length
    const q = this.name(start)
    const failed = q < 0 ? q : this.putKey(key)
    if (failed < 0) return failed
    if (!map.mapKeys.add(out.bytes, mark, out.length)) return DUPLICATE
    const p = this.colon(q)
    if (p < 0) return p
    out.tag(value.tag)
    return this.value(value, p, depth)
  }

  /** Writes the name that was just read. Answers 0 or a reason. */
  private putKey(key: Slot): number {
    const { source, from, to, out } = this
    if (key.op === 'string') return out.lengthAndCopy(source, from, to)
    if (key.op !== 'bool') return key.text(source, from, to, out)
    const text = source.toString('latin1', from, to)
    if (text !== 'true' && text !== 'false') return INVALID
    return out.varint(text === 'true' ? 1 : 0)
  }
}
