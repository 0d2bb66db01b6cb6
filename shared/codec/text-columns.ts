import { UserError } from '../errors.ts'
import { type RecordType, ROW_TYPES } from '../schema/index.ts'
import type { Slot } from './plan.ts'
import { LINE_TOO_LONG } from './reasons.ts'
import type { RowBuffer } from './row-buffer.ts'
import { ByteWalker, LINE_BYTES_MAX, type Walker } from './walker.ts'

/** Columns that are filled from pieces of a line. */
export abstract class TextColumns extends ByteWalker implements Walker {
  walk(input: Buffer, start: number, end: number, out: RowBuffer): number {
    const p = this.look(input, start, end, out)
    if (end - start > LINE_BYTES_MAX) return LINE_TOO_LONG
    this.plan.clear()
    return this.line(p, p + end - start) || this.close(this.plan, 0)
  }

  /** Fills the columns from the line bytes[start, end). Answers 0 or a reason. */
  protected abstract line(start: number, end: number): number

  /** Writes a column from bytes[from, to). Nothing is an empty text, or NULL for other types. */
  protected column(slot: Slot, bytes: Buffer, from: number, to: number, write = slot.text): number {
    if (from === to && slot.field.type !== 'STRING') return 0
    this.plan.take(slot)
    this.out.tag(slot.tag)
    const failed = write(bytes, from, to, this.out)
    return failed < 0 ? this.fail(failed, slot.name) : 0
  }
}

/**
 * A schema as text can fill it: every column in the row type of its own, none from a protobuf message.
 * @throws UserError for columns that no text can fill
 */
export function textRecord(record: RecordType, where: string): RecordType {
  const fields = record.fields.map(({ proto: _, ...field }) => {
    const kind = field.mode === 'REPEATED' ? 'REPEATED' : field.type === 'RECORD' && 'a RECORD'
    const problem = `column ${field.name} is ${kind}, which text cannot fill`
    if (kind) throw new UserError(`${where}: ${problem}`, 'leave it out of the schema')
    return { ...field, rowType: ROW_TYPES[field.type], packed: false }
  })
  return { ...record, origin: 'bigquery', fields, ignored: [] }
}
