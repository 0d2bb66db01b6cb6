import type { RecordType } from '../schema/index.ts'
import { ByteTable } from './byte-table.ts'
import type { Slot } from './plan.ts'

/** Bytes between two values that are remembered at most. */
const TOKEN_BYTES_MAX = 64

/** A name that a member of the JSON form may have, and what followed it last time: the guess for the next. */
export class Key {
  /** undefined: a field without a column. */
  readonly slot: Slot | undefined
  next: Key
  /** From the end of this member's value to the beginning of the next one's: bytes, 0 for none; four at a time, and the last four. */
  length = 0x3fffffff
  first = 0
  second = 0
  readonly words = new Int32Array(TOKEN_BYTES_MAX / 4)
  last = 0

  constructor(slot: Slot | undefined) {
    this.slot = slot
    this.next = this
  }

  remember(next: Key, view: DataView, start: number, end: number): void {
    if (end - start > TOKEN_BYTES_MAX || end - start < 4) return
    this.next = next
    this.length = end - start
    this.last = view.getInt32(end - 4, true)
    this.first = view.getInt32(start, true)
    if (end - start > 8) this.second = view.getInt32(start + 4, true)
    for (let p = start, i = 0; p < end - 4; p += 4, i++) this.words[i] = view.getInt32(p, true)
  }
}

/** The names of a record's members. */
export class Keys {
  /** Stands before the first member. */
  readonly head = new Key(undefined)
  /** Stands for the end. */
  readonly tail = new Key(undefined)
  /** Stands for a member without a column. */
  readonly stray = new Key(undefined)
  private readonly table: ByteTable<Key>

  constructor(record: RecordType, slots: readonly Slot[]) {
    const named = slots.flatMap((slot) =>
      (slot.proto ? slot.proto.jsonNames : [slot.name]).map((name) => [name, new Key(slot)] as const),
    )
    const ignored = record.ignored.flatMap((field) => field.jsonNames.map((name) => [name, this.stray] as const))
    this.table = new ByteTable([...named, ...ignored], record.origin === 'bigquery')
  }

  find(bytes: Uint8Array, start: number, end: number): Key | undefined {
    return this.table.find(bytes, start, end)
  }
}
