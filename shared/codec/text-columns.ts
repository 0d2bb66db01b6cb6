import { UserError } from '../errors.ts'
import { type RecordType, rowTypeOf } from '../schema/index.ts'
import type { Plan, Slot } from './plan.ts'
import { MISSING } from './reasons.ts'
import type { RowBuffer } from './row-buffer.ts'

/** Columns that are filled from pieces of a text. */
export class TextColumns {
  path = ''
  protected readonly plan: Plan

  constructor(plan: Plan) {
    this.plan = plan
  }

  /** Writes a column from bytes[from, to). Nothing is an empty text, or NULL for other types. */
  protected column(
    slot: Slot,
    bytes: Buffer,
    from: number,
    to: number,
    stamp: number,
    out: RowBuffer,
    write = slot.text,
  ): number {
    if (from === to && slot.field.type !== 'STRING') return 0
    this.plan.seen[slot.index] = stamp
    out.tag(slot.tag)
    const failed = write(bytes, from, to, out)
    return failed < 0 ? this.fail(failed, slot.name) : 0
  }

  /** The end of the event: answers 0, or that a required column is missing. */
  protected close(stamp: number, _out: RowBuffer): number {
    for (const slot of this.plan.needed) if (this.plan.seen[slot.index] !== stamp) return this.fail(MISSING, slot.name)
    return 0
  }

  protected fail(reason: number, name: string): number {
    this.path = name
    return reason
  }
}

/**
 * A schema as text can fill it: every column in the row type of its own, none from a protobuf message.
 * @throws UserError for columns that no text can fill
 */
export function textRecord(record: RecordType, where: string): RecordType {
  const fields = record.fields.map(({ proto: _, ...field }) => {
    if (field.mode === 'REPEATED' || field.type === 'RECORD') {
      throw new UserError(
        `${where}: column ${field.name} is ${field.mode === 'REPEATED' ? 'REPEATED' : 'a RECORD'}, which text cannot fill`,
        'leave it out of the schema',
      )
    }
    return { ...field, rowType: rowTypeOf(field.type), packed: false }
  })
  return { ...record, origin: 'bigquery', fields, ignored: [] }
}
