import { Op, type Plan, type Slot } from './plan.ts'
import { mergedMessage } from './protobuf-merge.ts'
import { convertValue } from './protobuf-values.ts'
import { MISSING, TOO_DEEP, UNKNOWN_FIELD, UTF8, WIRE } from './reasons.ts'
import type { RowBuffer } from './row-buffer.ts'
import { isAscii, isUtf8 } from './strings.ts'
import type { UnknownFields } from './unknown.ts'
import { NESTING_MAX, pathWithin, type Walker } from './walker.ts'
import { field, GROUP_END, LENGTH, nextField, readLength, readSized, readVarint, skipValue, wire } from './wire.ts'

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
    const again = mergedMessage(this.plan, input.subarray(start, end))
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
    const { seen, forms, places, maps } = plan
    const stamp = plan.open()
    for (let i = 0; i < maps.length; i++) maps[i]?.mapKeys.clear()
    let count = 0
    let unknown: Buffer[] | undefined
    let run = start
    let p = start
    while (p < end) {
      const at = p
      const byte = bytes[p] as number
      const form = forms[byte] as number
      if (form >= 0) {
        const place = places[byte] as number
        const q = seen[place] === stamp ? 0 : plainEnd(form, bytes, view, p + 1, end)
        if (q > 0) {
          seen[place] = stamp
          count++
          p = q
          continue
        }
      }
      p = readLength(bytes, p, end)
      if (p < 0) return p
      const tag = wire.low
      const type = tag & 7
      const slot = plan.slotOf(tag >>> 3)
      if (slot?.takes(type)) {
        if (!slot.repeated) {
          if (seen[slot.index] === stamp || (slot.oneof >= 0 && !plan.choose(slot.oneof, stamp))) return AGAIN
          seen[slot.index] = stamp
          count++
        }
        const q =
          type !== slot.rowType ? CONVERT : slot.packed ? this.runEnd(slot, p, end) : this.verbatimEnd(slot, p, end)
        if (q === CONVERT) {
          this.copyRun(run, at)
          p = this.converted(slot, type, p, end, depth)
          run = p
        } else p = q
        if (p < 0) return p === AGAIN ? p : this.fail(p, slot)
      } else {
        this.copyRun(run, at)
        if (type === GROUP_END) {
          return group !== 0 && tag >>> 3 === group ? this.close(plan, stamp, count, unknown, p) : WIRE
        }
        p = this.unknownField(plan, tag, p, end, depth)
        if (p < 0) return p
        if (this.unknown.policy === 'keep' && !plan.ignored.has(tag >>> 3)) (unknown ??= []).push(bytes.subarray(at, p))
        run = p
      }
    }
    this.copyRun(run, end)
    return group === 0 ? this.close(plan, stamp, count, unknown, p) : WIRE
  }

  private copyRun(start: number, end: number): void {
    if (start === end) return
    this.out.reserve(end - start)
    this.out.copyWords(this.view, start, end)
  }

  /** The position behind a value that the row takes as it is, CONVERT, or a reason. */
  private verbatimEnd(slot: Slot, p: number, end: number): number {
    const { bytes } = this
    switch (slot.verbatim) {
      case Op.INT64:
        return readVarint(bytes, p, end)
      case Op.INT32:
      case Op.UINT32: {
        // Written as 64 bits: positive ones of up to 31 bits and sign-extended ones are equal.
        const q = readVarint(bytes, p, end)
        return q < 0 || wire.high === (slot.verbatim === Op.INT32 ? wire.low >> 31 : 0) ? q : CONVERT
      }
      case Op.BOOL:
        return p < end && (bytes[p] as number) < 2 ? p + 1 : CONVERT
      case Op.STRING: {
        const q = readSized(bytes, p, end)
        return q < 0 ? q : isUtf8(bytes, q, q + wire.low) ? q + wire.low : UTF8
      }
      case -1:
        return CONVERT
      default:
        return skipValue(bytes, p, end, slot.scalarType, 0, 0)
    }
  }

  /** The same of a packed run: every element has to be so. */
  private runEnd(slot: Slot, start: number, end: number): number {
    let p = readSized(this.bytes, start, end)
    if (p < 0) return p
    const stop = p + wire.low
    while (p < stop) {
      p = this.verbatimEnd(slot, p, stop)
      if (p <= 0) return p
    }
    return stop
  }

  private converted(slot: Slot, type: number, p: number, end: number, depth: number): number {
    if (slot.packable && (slot.packed || type === LENGTH)) return this.elements(slot, type, p, end)
    this.out.tag(slot.tag)
    return slot.op === Op.MESSAGE ? this.nested(slot, p, end, depth) : convertValue(slot, this.bytes, p, end, this.out)
  }

  private nested(slot: Slot, start: number, end: number, depth: number): number {
    const { out } = this
    const mark = out.length
    const group = slot.proto?.delimited ? slot.field.number : 0
    const p = group === 0 ? readSized(this.bytes, start, end) : start
    if (p < 0) return p
    const stop = group === 0 ? p + wire.low : end
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
      p = nextField(bytes, p, length)
      if (field.tag === tag) return map.mapKeys.add(bytes, field.value, p)
    }
    return true
  }

  /** Elements of a repeated number, packed here or there, or to be converted. */
  private elements(slot: Slot, type: number, start: number, end: number): number {
    const { out } = this
    let p = start
    let stop = end
    if (type === LENGTH) {
      p = readSized(this.bytes, start, end)
      if (p < 0) return p
      stop = p + wire.low
      if (p === stop) return stop
    }
    if (slot.packed) out.tag(slot.tag)
    const mark = out.length
    if (slot.packed) out.length += slot.width
    do {
      if (!slot.packed) out.tag(slot.tag)
      p = convertValue(slot, this.bytes, p, stop, out)
    } while (type === LENGTH && p >= 0 && p < stop)
    if (slot.packed && p >= 0) slot.width = out.patchLength(mark, slot.width)
    return p
  }

  private unknownField(plan: Plan, tag: number, p: number, end: number, depth: number): number {
    const number = tag >>> 3
    if (number === 0) return WIRE
    const q = skipValue(this.bytes, p, end, tag & 7, number, depth)
    if (q < 0 || plan.ignored.has(number) || this.unknown.policy !== 'reject') return q
    this.path = pathWithin(String(number), this.path)
    return UNKNOWN_FIELD
  }

  /** The end of a message: its unknown fields, its absent fields. */
  private close(plan: Plan, stamp: number, count: number, unknown: readonly Buffer[] | undefined, p: number): number {
    if (unknown) {
      // They have no names: all of a message's, as they came, are one value in base64.
      const value = Buffer.from(`"${Buffer.concat(unknown).toString('base64')}"`)
      this.unknown.add(this.above.join('.'), UNKNOWN_KEY, 0, UNKNOWN_KEY.length, value, 0, value.length)
    }
    const missing = count === plan.slots.length ? undefined : plan.close(stamp, this.out)
    return missing ? this.fail(MISSING, missing) : p
  }

  private fail(reason: number, slot: Slot): number {
    this.path = pathWithin(slot.name, this.path)
    return reason
  }
}

/** The position behind a value in its commonest form, which the row takes as it is; 0 when it is in another form. */
function plainEnd(form: number, bytes: Buffer, view: DataView, p: number, end: number): number {
  if (form === Op.STRING) {
    const size = p < end ? (bytes[p] as number) : 128
    const q = p + 1 + size
    return size < 128 && q <= end && isAscii(bytes, view, p + 1, q) ? q : 0
  }
  if (form === Op.DOUBLE) return p + 8 <= end ? p + 8 : 0
  if (form === Op.BOOL) return p < end && (bytes[p] as number) < 2 ? p + 1 : 0
  if (form !== Op.INT64 && form !== Op.INT32 && form !== Op.UINT32) return 0
  let q = p
  while (q < end && (bytes[q] as number) > 127) q++
  // Any number of up to ten bytes, or one that is below 2^28.
  return q < end && q - p < (form === Op.INT64 ? 10 : 4) ? q + 1 : 0
}
