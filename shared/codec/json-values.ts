import { JsonScanner, LETTER_N, OPEN, OPEN_ARRAY } from './json-scanner.ts'
import { writeDateMembers, writeDuration, writeFieldMask, writeTimeMembers } from './json-well-known.ts'
import { int64, jsonNumberEnd, parseInteger, textOf } from './numbers.ts'
import { type Slot } from './plan.ts'
import { INVALID, RANGE, UNKNOWN_ENUM, WRONG_TYPE } from './reasons.ts'
import { QUOTE } from './strings.ts'
import { type TextWriter, writeRfc3339 } from './text-values.ts'

const MINUS = 0x2d

const NO_NUMBERS: ReadonlySet<string> = new Set(['NaN', 'Infinity', '-Infinity'])

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
        return this.integer(slot, p)
      case 'double':
      case 'float':
        return this.float(slot, p)
      case 'bool':
        return this.bool(slot, p)
      case 'message':
        return this.record(slot, p, depth)
      case 'timestamp':
        return this.written(p, writeRfc3339)
      case 'enum':
        return this.enumeration(slot, p)
      default:
        return this.rare(slot, p, depth)
    }
  }

  private rare(slot: Slot, p: number, depth: number): number {
    switch (slot.op) {
      case 'bytes':
        return this.written(p, slot.text)
      case 'text':
        return this.converted(slot, p)
      case 'struct':
        return this.bytes[p] === OPEN ? this.verbatim(p, depth) : WRONG_TYPE
      case 'list':
        return this.bytes[p] === OPEN_ARRAY ? this.verbatim(p, depth) : WRONG_TYPE
      case 'duration':
        return this.written(p, writeDuration)
      case 'fieldmask':
        return this.written(p, writeFieldMask)
      case 'date':
      case 'timeofday': {
        const q = this.valueEnd(p, depth)
        const write = slot.op === 'date' ? writeDateMembers : writeTimeMembers
        return q < 0 ? q : write(this.bytes, p, q, this.out) || q
      }
      default:
        return this.verbatim(p, depth)
    }
  }

  /** The content of a string at p, which must be one, by a writer of its own. */
  private written(p: number, write: TextWriter): number {
    const q = this.quoted(p)
    return q < 0 ? q : write(this.source, this.from, this.to, this.out) || q
  }

  protected string(slot: Slot, p: number): number {
    if (this.bytes[p] !== QUOTE) return slot.proto === undefined ? this.converted(slot, p) : WRONG_TYPE
    const q = this.text(p + 1)
    if (q >= 0) this.out.lengthAndCopy(this.source, this.from, this.to)
    return q
  }

  private integer(slot: Slot, p: number): number {
    if (this.bytes[p] === QUOTE) return this.quotedInteger(slot, p)
    const q = this.number(p)
    return q < 0 ? q : this.putInteger(slot, this.bytes, p, q) || q
  }

  protected quotedInteger(slot: Slot, p: number): number {
    const q = this.quoted(p)
    return q < 0 ? q : this.putInteger(slot, this.source, this.from, this.to) || q
  }

  private putInteger(slot: Slot, bytes: Uint8Array, start: number, end: number): number {
    const failed = parseInteger(bytes, start, end, slot.op === 'uint64')
    if (failed < 0) return failed
    const { low, high } = int64
    if (slot.op === 'int32' && high !== low >> 31) return RANGE
    if (slot.op === 'uint32' && high !== 0) return RANGE
    this.out.varint64(low, high)
    return 0
  }

  private float(slot: Slot, p: number): number {
    const isQuoted = this.bytes[p] === QUOTE
    if (isQuoted && slot.proto === undefined) return this.written(p, slot.text)
    const q = isQuoted ? this.text(p + 1) : this.number(p)
    if (q < 0) return q
    const text = isQuoted ? textOf(this.source, this.from, this.to) : textOf(this.bytes, p, q)
    const isNumber = !isQuoted || jsonNumberEnd(this.source, this.from, this.to) === this.to
    if (!isNumber && !NO_NUMBERS.has(text)) return INVALID
    const value = slot.op === 'double' ? Number(text) : Math.fround(Number(text))
    if (isNumber && !Number.isFinite(value)) return RANGE
    if (slot.op === 'double') this.out.double(value)
    else this.out.float(value)
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
    if (c === QUOTE) return this.written(p, slot.text)
    if (slot.proto !== undefined || c === OPEN || c === OPEN_ARRAY || c === LETTER_N) return WRONG_TYPE
    const q = this.valueEnd(p, 0)
    return q < 0 ? q : slot.text(this.bytes, p, q, this.out) || q
  }

  /** The content of a string at p, which must be one. */
  protected quoted(p: number): number {
    return this.bytes[p] === QUOTE ? this.text(p + 1) : WRONG_TYPE
  }

  /** The end of a number at p, which must be one. */
  private number(p: number): number {
    const q = jsonNumberEnd(this.bytes, p, this.end)
    if (q >= 0) return q
    const c = this.bytes[p] as number
    if (c === MINUS || (c - 0x30) >>> 0 < 10) return this.numberProblem(p)
    const end = this.valueEnd(p, 0)
    return end < 0 ? end : WRONG_TYPE
  }
}
