import type { RecordType } from '../schema/index.ts'
import { ByteTable } from './byte-table.ts'
import type { Slot } from './plan.ts'

/** A name that a member of the JSON form may have. */
export interface Key {
  /** The name and its closing quote. */
  readonly quoted: Uint8Array
  /** undefined: a field without a column. */
  readonly slot: Slot | undefined
  /** The key that followed this one last time: the guess for the next. */
  next: Key | undefined
}

/** The names of a record's members. */
export class Keys {
  /** Stands before the first member. */
  readonly head: Key = { quoted: Buffer.from('"'), slot: undefined, next: undefined }
  private readonly table: ByteTable<Key>

  constructor(record: RecordType, slots: readonly Slot[]) {
    const named = slots.flatMap((slot) =>
      (slot.proto ? slot.proto.jsonNames : [slot.name]).map((name) => keyOf(name, slot)),
    )
    const ignored = record.ignored.flatMap((field) => field.jsonNames.map((name) => keyOf(name, undefined)))
    this.table = new ByteTable([...named, ...ignored], record.origin === 'bigquery')
  }

  find(bytes: Uint8Array, start: number, end: number): Key | undefined {
    return this.table.find(bytes, start, end)
  }
}

function keyOf(name: string, slot: Slot | undefined): readonly [string, Key] {
  return [name, { quoted: Buffer.from(`${name}"`), slot, next: undefined }]
}
