import type { Plan, Slot } from './plan.ts'
import { Op, QUICK_BOOL, QUICK_DOUBLE, QUICK_LONG, QUICK_TEXT, QUICK_VARINT } from './plan.ts'
import { mergedEvent } from './protobuf-merge.ts'
import { convertValue } from './protobuf-values.ts'
import { MISSING, TOO_DEEP, UNKNOWN_FIELD, UTF8, WIRE } from './reasons.ts'
import type { RowBuffer } from './row-buffer.ts'
import { isUtf8 } from './strings.ts'
import type { UnknownFields } from './unknown.ts'
import { NESTING_MAX, pathWithin, type Walker } from './walker.ts'
import { GROUP_END, LENGTH, readLength, readVarint, skipValue, wire } from './wire.ts'

/** A singular field came twice, or two of a oneof: the event is read again from a merged copy. */
const AGAIN = -1000
/** The value cannot be copied as it stands. */
const CONVERT = 0

const UNKNOWN_KEY = Buffer.from('protobuf')

/**
 * Protobuf wire to wire: walks the tags, copies runs of fields that are the same in the row, converts the others, adds
 * what is absent. The walk is the validation, too.
 */
export class ProtobufWalker implements Walker {
  path = ''
  private readonly plan: Plan
  private readonly unknown: UnknownFields
  private bytes: Buffer = Buffer.alloc(0)
  private view = new DataView(this.bytes.buffer)
  private out: RowBuffer
  private readonly above: string[] = []

  constructor(plan: Plan, unknown: UnknownFields, out: RowBuffer) {
    this.plan = plan
    this.unknown = unknown
    this.out = out
  }

  walk(input: Buffer, start: number, end: number, out: RowBuffer): number {
    this.out = out
    const mark = out.length
    const result = this.begin(input, start, end)
    if (result !== AGAIN) return result
    out.rollback(mark)
    this.unknown.clear()
    const again = mergedEvent(this.plan, input, start, end)
    const merged = this.begin(again, 0, again.length)
    return merged === AGAIN ? WIRE : merged
  }

  private begin(input: Buffer, start: number, end: number): number {
    if (input !== this.bytes) {
      this.bytes = input
      this.view = new DataView(input.buffer, input.byteOffset, input.length)
    }
    this.path = ''
    if (this.above.length > 0) this.above.length = 0
    return this.message(this.plan, start, end, 1, 0)
  }

  /** The fields of one message. Answers the position behind it (behind the end tag of a group), or a reason. */
  private message(plan: Plan, start: number, end: number, depth: number, group: number): number {
    if (depth > NESTING_MAX) return TOO_DEEP
    const { bytes, view } = this
    const { seen, near, maps } = plan
    const stamp = plan.open()
    for (let i = 0; i < maps.length; i++) maps[i]?.mapKeys.clear()
    let count = 0
    let unknown: Buffer[] | undefined
    let run = start
    let p = start
    while (p < end) {
      const quick = near[bytes[p] as number]
      if (quick !== undefined && seen[quick.index] !== stamp) {
        const q = quickEnd(quick.quick, bytes, view, p + 1, end)
        if (q > 0) {
          seen[quick.index] = stamp
          count++
          p = q
          continue
        }
      }
      const at = p
      p = readLength(bytes, p, end)
      if (p < 0) return p
      const tag = wire.low
      const type = tag & 7
      const slot = plan.slotOf(tag >>> 3)
      if (slot === undefined || (type !== slot.sourceType && !(type === LENGTH && slot.packable))) {
        if (type === GROUP_END) {
          if (group === 0 || tag >>> 3 !== group) return WIRE
          this.copyRun(run, at)
          if (unknown) this.keep(unknown)
          return this.close(plan, stamp, count, p)
        }
        p = this.unknownField(plan, tag, p, end, depth)
        if (p < 0) return p
        this.copyRun(run, at)
        if (this.unknown.policy === 'keep' && !plan.isIgnored(tag >>> 3)) (unknown ??= []).push(bytes.subarray(at, p))
        run = p
        continue
      }
      if (!slot.repeated) {
        if (seen[slot.index] === stamp) return AGAIN
        seen[slot.index] = stamp
        count++
        if (slot.oneof >= 0) {
          if (plan.oneofs[slot.oneof] === stamp) return AGAIN
          plan.oneofs[slot.oneof] = stamp
        }
      }
      const q =
        type !== slot.rowType ? CONVERT : slot.packed ? this.runEnd(slot, p, end) : this.verbatimEnd(slot, p, end)
      if (q > 0) p = q
      else if (q < 0) return this.fail(q, slot)
      else {
        this.copyRun(run, at)
        p = this.converted(slot, type, p, end, depth)
        if (p < 0) return p === AGAIN ? p : this.fail(p, slot)
        run = p
      }
    }
    if (group !== 0) return WIRE
    this.copyRun(run, end)
    if (unknown) this.keep(unknown)
    return this.close(plan, stamp, count, end)
  }

  private copyRun(start: number, end: number): void {
    if (start === end) return
    this.out.reserve(end - start)
    this.out.copy(this.bytes, start, end)
  }

  /** The position behind a value that the row takes as it is, CONVERT, or a reason. */
  private verbatimEnd(slot: Slot, p: number, end: number): number {
    const { bytes } = this
    switch (slot.verbatim) {
      case Op.INT64:
        return p < end && (bytes[p] as number) < 128 ? p + 1 : varintEnd(bytes, p, end)
      case Op.INT32:
        return p < end && (bytes[p] as number) < 128 ? p + 1 : this.int32End(p, end)
      case Op.UINT32:
        return p < end && (bytes[p] as number) < 128 ? p + 1 : this.uint32End(p, end)
      case Op.BOOL:
        return p < end && (bytes[p] as number) < 2 ? p + 1 : CONVERT
      case Op.DOUBLE:
        return p + 8 <= end ? p + 8 : WIRE
      case Op.FLOAT:
        return p + 4 <= end ? p + 4 : WIRE
      case Op.STRING:
      case Op.BYTES: {
        const q = readLength(bytes, p, end)
        if (q < 0 || wire.low < 0 || wire.low > end - q) return WIRE
        const stop = q + wire.low
        return slot.verbatim === Op.BYTES || isUtf8(bytes, q, stop) ? stop : UTF8
      }
      default:
        return CONVERT
    }
  }

  /** The same of a packed run: every element has to be so. */
  private runEnd(slot: Slot, start: number, end: number): number {
    let p = readLength(this.bytes, start, end)
    if (p < 0 || wire.low < 0 || wire.low > end - p) return WIRE
    const stop = p + wire.low
    while (p < stop) {
      p = this.verbatimEnd(slot, p, stop)
      if (p <= 0) return p
    }
    return stop
  }

  /** A number of 32 bits that is written as one of 64: positive ones of up to 31 bits and sign-extended ones are equal. */
  private int32End(p: number, end: number): number {
    const q = readVarint(this.bytes, p, end)
    if (q < 0) return q
    return wire.high === wire.low >> 31 ? q : CONVERT
  }

  private uint32End(p: number, end: number): number {
    const q = readVarint(this.bytes, p, end)
    if (q < 0) return q
    return wire.high === 0 ? q : CONVERT
  }

  private converted(slot: Slot, type: number, p: number, end: number, depth: number): number {
    if (slot.packable && (slot.packed || type === LENGTH)) return this.elements(slot, type, p, end)
    this.out.reserve(16)
    this.out.varint(slot.tag)
    return slot.op === Op.MESSAGE ? this.nested(slot, p, end, depth) : convertValue(slot, this.bytes, p, end, this.out)
  }

  private nested(slot: Slot, start: number, end: number, depth: number): number {
    const { out } = this
    const mark = out.length
    let p = start
    let stop = end
    let group = 0
    if (slot.proto?.delimited) group = slot.field.number
    else {
      p = readLength(this.bytes, start, end)
      if (p < 0 || wire.low < 0 || wire.low > end - p) return WIRE
      stop = p + wire.low
    }
    out.length = mark + slot.width
    const tracked = this.unknown.policy === 'keep'
    if (tracked) this.above.push(slot.name)
    const q = this.message(slot.plan, p, stop, depth + 1, group)
    if (tracked) this.above.pop()
    if (q < 0) return q
    if (slot.map && !this.isNewKey(slot, mark + slot.width)) return AGAIN
    slot.width = out.patchLength(mark, slot.width)
    return q
  }

  /** Whether the entry that was just written has a key that its map did not have. */
  private isNewKey(map: Slot, start: number): boolean {
    const { bytes, length } = this.out
    const tag = map.plan.slots[0]?.tag
    for (let p = start; p >= 0 && p < length; ) {
      const value = readLength(bytes, p, length)
      const found = wire.low
      p = skipValue(bytes, value, length, found & 7, found >>> 3, 0)
      if (found === tag) return map.mapKeys.add(bytes, value, p)
    }
    return true
  }

  /** Elements of a repeated number, packed here or there, or to be converted. */
  private elements(slot: Slot, type: number, start: number, end: number): number {
    const { out } = this
    let p = start
    let stop = end
    if (type === LENGTH) {
      p = readLength(this.bytes, start, end)
      if (p < 0 || wire.low < 0 || wire.low > end - p) return WIRE
      stop = p + wire.low
      if (p === stop) return stop
    }
    out.reserve(16)
    if (slot.packed) out.varint(slot.tag)
    const mark = out.length
    if (slot.packed) out.length += slot.width
    do {
      out.reserve(16)
      if (!slot.packed) out.varint(slot.tag)
      p = convertValue(slot, this.bytes, p, stop, out)
    } while (type === LENGTH && p >= 0 && p < stop)
    if (slot.packed && p >= 0) slot.width = out.patchLength(mark, slot.width)
    return p
  }

  private unknownField(plan: Plan, tag: number, p: number, end: number, depth: number): number {
    const number = tag >>> 3
    if (number === 0) return WIRE
    const q = skipValue(this.bytes, p, end, tag & 7, number, depth)
    if (q < 0 || plan.isIgnored(number)) return q
    if (this.unknown.policy !== 'reject') return q
    this.path = pathWithin(String(number), this.path)
    return UNKNOWN_FIELD
  }

  /** Unknown fields have no names: all of a message's, as they came, are one value in base64. */
  private keep(fields: readonly Buffer[]): void {
    const value = Buffer.from(`"${Buffer.concat(fields).toString('base64')}"`)
    this.unknown.add(this.above.join('.'), UNKNOWN_KEY, 0, UNKNOWN_KEY.length, value, 0, value.length)
  }

  private close(plan: Plan, stamp: number, count: number, p: number): number {
    if (count === plan.slots.length) return p
    const { out } = this
    for (const slot of plan.needed) {
      if (plan.seen[slot.index] === stamp) continue
      if (slot.standard === undefined) return this.fail(MISSING, slot)
      out.reserve(slot.standard.length)
      out.copy(slot.standard, 0, slot.standard.length)
    }
    return p
  }

  private fail(reason: number, slot: Slot): number {
    this.path = pathWithin(slot.name, this.path)
    return reason
  }
}

/** The position behind a varint, or WIRE. */
function varintEnd(bytes: Uint8Array, start: number, end: number): number {
  const stop = start + 10 < end ? start + 10 : end
  for (let p = start; p < stop; p++) if ((bytes[p] as number) < 128) return p + 1
  return WIRE
}

/** The position behind a value in its commonest form, which the row takes as it is; 0 when it is in another form. */
function quickEnd(quick: number, bytes: Uint8Array, view: DataView, p: number, end: number): number {
  let q = p
  if (quick === QUICK_TEXT) {
    if (p >= end) return 0
    const size = bytes[p] as number
    q = p + 1 + size
    return size < 128 && q <= end && isAscii(bytes, view, p + 1, q) ? q : 0
  }
  if (quick === QUICK_VARINT) {
    const stop = p + 4 < end ? p + 4 : end
    while (q < stop && (bytes[q] as number) > 127) q++
    return q < stop ? q + 1 : 0
  }
  if (quick === QUICK_LONG) return varintEnd(bytes, p, end)
  if (quick === QUICK_BOOL) return p < end && (bytes[p] as number) < 2 ? p + 1 : 0
  q += quick === QUICK_DOUBLE ? 8 : 4
  return q <= end ? q : 0
}

function isAscii(bytes: Uint8Array, view: DataView, start: number, end: number): boolean {
  let all = 0
  if (end - start < 4) for (let p = start; p < end; p++) all |= bytes[p] as number
  else {
    all = view.getInt32(end - 4, true)
    for (let p = start; p < end - 4; p += 4) all |= view.getInt32(p, true)
  }
  return (all & 0x80808080) === 0
}
