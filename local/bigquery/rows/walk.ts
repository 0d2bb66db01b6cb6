import { type FieldPlan, type MessagePlan, readRaw } from './plan.ts'
import { LENGTH, type Reader } from './reader.ts'

/**
 * Walks the message in `reader.buffer[pos, end)` along its plan. With `emit` every value goes to its column; without it
 * the walk is the validation of the row. Returns false with the reason in `reader.error`.
 *
 * Fields come in any order, and elements of different arrays may be mixed, but each column receives its values in the
 * order of the wire: the first of this message carries the `repetition` at which the message itself began. What has not
 * come by the end of the message is added as NULL, as an empty array or as its default.
 */
export function walk(
  reader: Reader,
  plan: MessagePlan,
  repetition: number,
  definition: number,
  emit: boolean,
): boolean {
  const { end } = reader
  const stamp = ++plan.stamp
  while (reader.pos < end) {
    if (!reader.varint()) return refuse(reader, 'Malformed row: truncated tag')
    const wireType = reader.lo & 7
    const field = plan.byNumber.get(reader.lo >>> 3)
    if (field === undefined) {
      if (!reader.skip(wireType)) return refuse(reader, 'Malformed row: unknown field cannot be skipped')
      continue
    }
    if (!one(reader, field, wireType, stamp, repetition, emit)) return false
  }
  return complete(reader, plan, repetition, definition, emit)
}

/** One tag's worth of a field: a value, an element, a message, or a packed run of elements. */
function one(
  reader: Reader,
  field: FieldPlan,
  wireType: number,
  stamp: number,
  repetition: number,
  emit: boolean,
): boolean {
  const { node } = field
  if (wireType !== field.wireType) {
    if (wireType === LENGTH && node.repeated) return packed(reader, field, stamp, repetition, emit)
    return refuse(reader, `Field ${field.path}: wire type ${wireType} does not fit the writer schema`)
  }
  if (field.seen === stamp && !node.repeated) return refuse(reader, TWICE)
  const level = field.seen === stamp ? node.repetition : repetition
  field.seen = stamp
  return field.message ? nested(reader, field, field.message, level, emit) : value(reader, field, level, emit)
}

/** The reason that tells the caller to make the row canonical and to walk again: see canonical.ts. */
export const TWICE = 'a field that is not repeated came twice'

function value(reader: Reader, field: FieldPlan, level: number, emit: boolean): boolean {
  if (!readRaw(reader, field.wireType)) return refuse(reader, `Field ${field.path}: truncated value`)
  if (field.convert !== undefined) {
    const reason = field.convert(reader)
    if (reason !== '') return refuse(reader, `Field ${field.path}: ${reason}`)
  }
  if (emit) field.node.columns[0]?.add(reader, level)
  return true
}

function packed(reader: Reader, field: FieldPlan, stamp: number, repetition: number, emit: boolean): boolean {
  const outer = reader.end
  if (field.message !== undefined || field.wireType === LENGTH || !reader.bytes()) {
    return refuse(reader, `Field ${field.path}: malformed packed field`)
  }
  const { from, to } = reader
  reader.pos = from
  reader.end = to
  while (reader.pos < to) {
    const level = field.seen === stamp ? field.node.repetition : repetition
    field.seen = stamp
    if (!value(reader, field, level, emit)) return false
  }
  reader.end = outer
  return true
}

function nested(reader: Reader, field: FieldPlan, message: MessagePlan, level: number, emit: boolean): boolean {
  const outer = reader.end
  if (!reader.bytes()) return refuse(reader, `Field ${field.path}: truncated message`)
  const { from, to } = reader
  reader.pos = from
  reader.end = to
  if (!walk(reader, message, level, field.node.definition, emit)) return false
  reader.end = outer
  return true
}

function complete(reader: Reader, plan: MessagePlan, repetition: number, definition: number, emit: boolean): boolean {
  const { fields, stamp } = plan
  for (let at = 0; at < fields.length; at++) {
    const field = fields[at] as FieldPlan
    if (field.seen === stamp) continue
    const { node, absent } = field
    if (absent === undefined && node.required) return refuse(reader, `Field ${field.path}: Missing required field`)
    if (!emit) continue
    if (absent === undefined) for (const column of node.columns) column.addNull(definition, repetition)
    else {
      absent(reader)
      node.columns[0]?.add(reader, repetition)
    }
  }
  return true
}

function refuse(reader: Reader, reason: string): false {
  reader.error = reason
  return false
}
