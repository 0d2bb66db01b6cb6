import type { MetadataWriter, Origin } from './metadata.ts'
import type { Plan, Slot } from './plan.ts'
import { compilePlainFields, compilePlainRow } from './protobuf-code.ts'
import { mergedMessage } from './protobuf-merge.ts'
import { convertValue } from './protobuf-values.ts'
import { TOO_DEEP, UNKNOWN_FIELD, WIRE } from './reasons.ts'
import { type RowBuffer, WORDS } from './row-buffer.ts'
import type { UnknownFields } from './unknown.ts'
import { ByteWalker, NESTING_MAX, type Walker } from './walker.ts'
import { field, GROUP_END, LENGTH, nextField, readLength, readSized, skipValue, wire } from './wire.ts'

/** A singular field came twice, or two of a oneof: the event is read again from a merged copy. */
const AGAIN = -1000

const UNKNOWN_KEY = Buffer.from('protobuf')

/**
 * Protobuf wire to wire: walks the tags, copies runs of plain fields, writes the others one by one, adds what is absent.
 * The walk is the validation, too.
 */
export class ProtobufWalker extends ByteWalker implements Walker {
  private readonly plainRow = compilePlainRow(this.plan)

  constructor(plan: Plan, unknown: UnknownFields) {
    super(plan, unknown)
    compilePlainFields(plan)
  }

  row(input: Buffer, start: number, end: number, out: RowBuffer, origin: Origin, metadata: MetadataWriter): boolean {
    if (this.plainRow === undefined) return false
    metadata.look(origin)
    const p = this.look(input, start, end, out)
    return this.plainRow(this.bytes, this.view, p, p + end - start, out, origin, metadata)
  }

  walk(input: Buffer, start: number, end: number, out: RowBuffer): number {
    const mark = out.length
    const result = this.begin(input, start, end, out)
    if (result !== AGAIN) return result
    out.length = mark
    this.unknown.clear()
    const again = mergedMessage(this.plan, input.subarray(start, end))
    const merged = this.begin(again, 0, again.length, out)
    return merged === AGAIN ? WIRE : merged
  }

  private begin(input: Buffer, start: number, end: number, out: RowBuffer): number {
    const p = this.look(input, start, end, out)
    return this.message(this.plan, p, p + end - start, 1, 0)
  }

  /** The fields of one message. Answers the position behind it (behind the end tag of a group), or a reason. */
  private message(plan: Plan, start: number, end: number, depth: number, group: number): number {
    if (depth > NESTING_MAX) return TOO_DEEP
    let p = plan.plainFields(this.bytes, this.view, start, end, this.out, true)
    if (p !== end || group !== 0) p = this.fields(plan, start, p, end, depth, group)
    return p < 0 || !plan.lacking ? p : this.close(plan, p)
  }

  /** The fields of which bytes[start, at) are plain. */
  private fields(plan: Plan, start: number, at: number, end: number, depth: number, group: number): number {
    const { bytes } = this
    let unknown: Buffer[] | undefined
    let run = start
    let p = at
    while (p < end) {
      this.out.reserve(p - run + WORDS)
      this.out.copyWords(this.view, run, p)
      run = p
      p = readLength(bytes, p, end)
      if (p < 0) return p
      const tag = wire.low
      const slot = plan.slotOf(tag)
      if (slot) {
        p = this.field(plan, slot, tag & 7, p, end, depth)
        if (p < 0) return p === AGAIN ? p : this.fail(p, slot.name)
      } else if ((tag & 7) === GROUP_END) {
        if (group === 0 || tag >>> 3 !== group) return WIRE
        this.keepUnknown(unknown)
        return p
      } else {
        p = tag >>> 3 === 0 ? WIRE : skipValue(bytes, p, end, tag, depth)
        if (p < 0) return p
        const policy = slot === null ? 'drop' : this.unknown.policy
        if (policy === 'reject') return this.fail(UNKNOWN_FIELD, String(tag >>> 3))
        if (policy === 'keep') (unknown ??= []).push(bytes.subarray(run, p))
      }
      run = p
      p = plan.plainFields(bytes, this.view, p, end, this.out, false)
    }
    this.keepUnknown(unknown)
    return group === 0 ? p : WIRE
  }

  private field(plan: Plan, slot: Slot, type: number, p: number, end: number, depth: number): number {
    if (plan.take(slot)) slot.mapKeys.clear()
    else if (!slot.repeated) return AGAIN
    if (slot.packable && (slot.packed || type === LENGTH)) return this.elements(slot, type, p, end)
    this.out.tag(slot.tag)
    return slot.op === 'message' ? this.nested(slot, p, end, depth) : convertValue(slot, this.bytes, p, end, this.out)
  }

  private nested(slot: Slot, start: number, end: number, depth: number): number {
    const { out } = this
    const mark = out.length
    const group = slot.proto?.delimited ? slot.field.number : 0
    const p = group === 0 ? readSized(this.bytes, start, end) : start
    if (p < 0) return p
    const stop = group === 0 ? p + wire.low : end
    out.length = mark + slot.width
    this.above.push(slot.name)
    const q = this.message(slot.plan, p, stop, depth + 1, group)
    this.above.pop()
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
    const mark = slot.packed ? this.openRun(slot) : 0
    do {
      if (!slot.packed) out.tag(slot.tag)
      p = convertValue(slot, this.bytes, p, stop, out)
    } while (type === LENGTH && p >= 0 && p < stop)
    if (slot.packed && p >= 0) slot.width = out.patchLength(mark, slot.width)
    return p
  }

  /** They have no names: all of a message's, as they came, are one value in base64. */
  private keepUnknown(fields: readonly Buffer[] | undefined): void {
    if (fields === undefined) return
    const value = Buffer.from(`"${Buffer.concat(fields).toString('base64')}"`)
    this.unknown.add(this.prefix(), UNKNOWN_KEY, 0, UNKNOWN_KEY.length, value, 0, value.length)
  }
}
