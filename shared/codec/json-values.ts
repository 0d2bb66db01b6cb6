import type { EnumTable } from './enums.ts'
import { JsonScanner, LETTER_N, OPEN, OPEN_ARRAY } from './json-scanner.ts'
import { int64, jsonNumberEnd, parseInteger } from './numbers.ts'
import { type Slot } from './plan.ts'
import { RANGE, UNKNOWN_ENUM, WRONG_TYPE } from './reasons.ts'
import { QUOTE } from './strings.ts'

const MINUS = 0x2d

/** The values of JSON, each to the form of its column. */
export abstract class JsonValues extends JsonScanner {
  /** An object that is a RECORD. */
  protected abstract record(slot: Slot, p: number, depth: number): number

  protected value(slot: Slot, p: number, depth: number): number {
    switch (slot.op) {
      case 'string':
        return this.string(slot, p)
      case 'int64':
      case 'int32':
      case 'uint32':
      case 'uint64':
      case 'double':
      case 'float':
        return this.numeral(slot, p)
      case 'bool':
        return this.bool(slot, p)
      case 'message':
        return this.record(slot, p, depth)
      case 'enum':
        return this.enumeration(slot, p)
      case 'timestamp':
      case 'duration':
      case 'fieldmask':
      case 'bytes':
        return this.written(slot, p)
      case 'text':
        return this.converted(slot, p)
      case 'date':
      case 'timeofday':
        return this.spelled(slot, p, depth)
      case 'struct':
        return this.bytes[p] === OPEN ? this.verbatim(p, depth) : WRONG_TYPE
      case 'list':
        return this.bytes[p] === OPEN_ARRAY ? this.verbatim(p, depth) : WRONG_TYPE
      default:
        return this.verbatim(p, depth)
    }
  }

  /** The content of a string at p, which must be one, by the column's own reader. */
  private written(slot: Slot, p: number): number {
    const q = this.quoted(p)
    return q < 0 ? q : slot.text(this.source, this.from, this.to, this.out) || q
  }

  /** The JSON of a value, by the column's own reader. */
  private spelled(slot: Slot, p: number, depth: number): number {
    const q = this.valueEnd(p, depth)
    return q < 0 ? q : slot.text(this.bytes, p, q, this.out) || q
  }

  private string(slot: Slot, p: number): number {
    if (this.bytes[p] !== QUOTE) return slot.proto === undefined ? this.converted(slot, p) : WRONG_TYPE
    const q = this.text(p + 1)
    return q < 0 ? q : this.out.lengthAndCopy(this.source, this.from, this.to) || q
  }

  /** A number, in quotes or not. */
  private numeral(slot: Slot, p: number): number {
    const q = this.bytes[p] === QUOTE ? this.text(p + 1) : this.number(p)
    return q < 0 ? q : slot.text(this.source, this.from, this.to, this.out) || q
  }

  private bool(slot: Slot, p: number): number {
    const c = this.bytes[p]
    if (c === 0x74 || c === 0x66) return this.out.varint(c === 0x74 ? 1 : 0) || this.literal(p)
    return slot.proto === undefined ? this.converted(slot, p) : this.wrongType(p)
  }

  private enumeration(slot: Slot, p: number): number {
    const table = slot.enum as EnumTable
    const { out } = this
    const c = this.bytes[p]
    if (c === LETTER_N && slot.takesNull) return table.write(0, out) || this.literal(p)
    const q = c === QUOTE ? this.text(p + 1) : this.number(p)
    if (q < 0) return q
    if (c === QUOTE) {
      const number = table.numberOf(this.source, this.from, this.to)
      return number === undefined ? UNKNOWN_ENUM : table.write(number, out) || q
    }
    const failed = parseInteger(this.source, this.from, this.to, false)
    if (failed < 0) return failed
    return int64.high === int64.low >> 31 ? table.write(int64.low, out) || q : RANGE
  }

  /** A value of a JSON column, as it stands. */
  private verbatim(p: number, depth: number): number {
    const q = this.valueEnd(p, depth)
    return q < 0 ? q : this.out.lengthAndCopy(this.bytes, p, q) || q
  }

  /** A text, or the text of a number or boolean, by the column's own reader. */
  private converted(slot: Slot, p: number): number {
    const c = this.bytes[p] as number
    if (c === QUOTE) return this.written(slot, p)
    if (slot.proto !== undefined || c === OPEN || c === OPEN_ARRAY || c === LETTER_N) return WRONG_TYPE
    return this.spelled(slot, p, 0)
  }

  /** The content of a string at p, which must be one. */
  private quoted(p: number): number {
    return this.bytes[p] === QUOTE ? this.text(p + 1) : WRONG_TYPE
  }

  /** A number at p, which must be one, into source[from, to). */
  private number(p: number): number {
    const { bytes } = this
    const q = jsonNumberEnd(bytes, p, this.end)
    if (q < 0) return this.notNumber(p)
    this.source = bytes
    this.from = p
    this.to = q
    return q
  }

  private notNumber(p: number): number {
    const c = this.bytes[p] as number
    return c === MINUS || (c - 0x30) >>> 0 < 10 ? this.numberProblem(p) : this.wrongType(p)
  }

  /** The reason why no value at p does: that it is of another kind, or no JSON. */
  private wrongType(p: number): number {
    const q = this.valueEnd(p, 0)
    return q < 0 ? q : WRONG_TYPE
  }
}
