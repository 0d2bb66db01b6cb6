import type { RecordType } from '../schema/index.ts'
import { ByteKeys } from './byte-keys.ts'
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
  private readonly names: ByteKeys
  private readonly list: Key[] = []

  constructor(record: RecordType, slots: readonly Slot[]) {
    this.names = new ByteKeys(record.origin === 'bigquery')
    for (const slot of slots) {
      for (const name of slot.proto?.jsonNames ?? [slot.name]) this.add(name, new Key(slot))
    }
    for (const field of record.ignored) for (const name of field.jsonNames) this.add(name, this.stray)
  }

  find(bytes: Uint8Array, start: number, end: number): Key | undefined {
    return this.list[this.names.find(bytes, start, end)]
  }

  private add(name: string, key: Key): void {
    const bytes = Buffer.from(name)
    if (this.names.add(bytes, 0, bytes.length)) this.list.push(key)
  }
}
