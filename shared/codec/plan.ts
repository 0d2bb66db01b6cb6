import type { ColumnType, ProtoKind, RecordField, RecordType } from '../schema/index.ts'
import { EnumTable } from './enums.ts'
import { ByteKeys } from './byte-keys.ts'
import { RowBuffer } from './row-buffer.ts'
import { textWriterOf } from './text-values.ts'
import { FIXED32, FIXED64, GROUP, LENGTH, scalarType } from './wire.ts'

/**
 * What a slot's value is, for the switches of the walkers: a kind of protobuf by how JSON shows it; `json`: any value of a
 * JSON column; `text`: a text (or number) that slot.text reads.
 */
export type Op = ProtoKind | 'text'

const NO_KEYS = new ByteKeys()

/** One field, compiled: what the walkers need to write its column. */
export type Slot = ReturnType<typeof slotOf>

function slotOf(field: RecordField, index: number) {
  const { name, proto, packed } = field
  const op = opOf(field)
  const repeated = field.mode === 'REPEATED'
  const rowType = packed ? LENGTH : scalarType(field.rowType)
  const tag = field.number * 8 + rowType
  const ownType = scalarType(proto?.kind ?? 'string')
  const sourceType = proto?.delimited ? GROUP : proto?.wrapper ? LENGTH : ownType
  const plan = field.record ? new Plan(field.record) : EMPTY
  const names = proto?.enum && new EnumTable(proto.enum, field.rowType === 'string')
  const isImplicit = !repeated && proto?.presence === 'implicit'
  return {
    index,
    name,
    field,
    proto,
    op,
    /** Tag in the row; that of the packed run for a packed field. */
    tag,
    repeated,
    packed,
    map: proto?.map ?? false,
    oneof: proto?.oneof ?? -1,
    /** Tag and value that stand for an absent field; undefined: NULL. */
    standard: isImplicit ? standardOf(op, tag, plan, names) : undefined,
    plan,
    text: textWriterOf(field, op),
    enum: names,
    /** JSON's null is a value of it. */
    takesNull: op === 'value' || proto?.nullValue === true,
    /** Wire type of its values; and in a protobuf source, where a message may be around them. */
    scalarType: ownType,
    sourceType,
    /** Several values may come in one length-delimited run. */
    packable: repeated && sourceType !== LENGTH && sourceType !== GROUP,
    /** The row takes values as they are in a protobuf source. */
    verbatim: proto !== undefined && !proto.wrapper && op !== 'text' && VERBATIM.has(proto.kind),
    /** Of the member in JSON; none: it is of a map's entry. */
    jsonNames: proto?.jsonNames ?? [name],
    /** Of a map: the keys that the event had. */
    mapKeys: proto?.map ? new ByteKeys() : NO_KEYS,
    /** Bytes that a nested length took last time. */
    width: 1,
  }
}

/**
 * Steps over the fields of a message that the row takes as they stand, from `start` on, as long as they have their
 * commonest form, and notes them in plan.present. Answers where it stopped: at the tag of another kind of field, or at
 * the end: then all of view[start, end) is copied. Looks up to READ_AHEAD bytes behind the end.
 *
 * @param fresh the message begins here: nothing of it is present yet
 */
export type PlainFields = (
  bytes: Buffer,
  view: DataView,
  start: number,
  end: number,
  out: RowBuffer,
  fresh: boolean,
) => number

/**
 * The same of JSON: reads members and writes them. Where it begins and stops is said by plan.progress[AT]: at the value
 * of the slot with that index; or SEPARATOR: behind a value (or the brace); or CLOSED: behind the closing brace.
 */
export type PlainMembers = PlainFields

/** Places in plan.progress: 1 + slot of the member before (0: none), and where the reading stopped. */
export const AFTER = 0
export const AT = 1
export const SEPARATOR = -1
export const CLOSED = -2

/** A record, compiled, and what the message of it that is being read has. A plan is never used within itself. */
export class Plan {
  readonly slots: readonly Slot[]
  /** By slot, a bit each: the message has it; it has it as null. */
  readonly present: Int32Array
  readonly nulls: Int32Array
  readonly progress = Int32Array.of(0, SEPARATOR)
  /** By 1 + slot of a member (0: none): the slot that followed last time. */
  readonly next: Int32Array
  /** Letters of names count in either case. */
  readonly foldsCase: boolean
  /** What the protobuf walker need not look at one by one; nothing, unless it is compiled. */
  plainFields: PlainFields = (_bytes, _view, start, _end, _out, fresh) => {
    if (fresh) this.clear()
    this.lacking = true
    return start
  }
  plainMembers: PlainMembers = this.plainFields
  /** Set by these: a field is absent that says something then. */
  lacking = true
  /** By field number of the source; null: of a field that is ignored. */
  private readonly slotsByNumber = new Map<number, Slot | null>()
  private readonly names: ByteKeys
  /** By the number of a name; null: of a field that is ignored. */
  private readonly slotsByName: (Slot | null)[] = []
  /** Slots that say something when they are absent, as bits. */
  readonly needed: Int32Array
  /** By oneof: its members. */
  private readonly oneofs: ReadonlyMap<number, readonly Slot[]>

  constructor(record: RecordType) {
    this.slots = record.fields.map(slotOf)
    this.oneofs = Map.groupBy(this.slots, ({ oneof }) => oneof)
    const words = 1 + (this.slots.length >> 5)
    this.present = new Int32Array(words)
    this.nulls = new Int32Array(words)
    this.needed = new Int32Array(words)
    for (const slot of this.slots) if (slot.field.mode === 'REQUIRED' || slot.standard) setBit(this.needed, slot.index)
    this.next = Int32Array.from({ length: this.slots.length + 1 }, (_, index) => index)
    this.foldsCase = record.origin === 'bigquery'
    this.names = new ByteKeys(this.foldsCase)
    for (const slot of this.slots) this.enter(slot.field.number, slot.jsonNames, slot)
    for (const { number, jsonNames } of record.ignored) this.enter(number, jsonNames, null)
  }

  /** Of the field that a name in JSON means: its slot; null: it is ignored; undefined: there is none. */
  find(bytes: Uint8Array, start: number, end: number): Slot | null | undefined {
    return this.slotsByName[this.names.find(bytes, start, end)]
  }

  /** The same of the field that a tag in a protobuf source means; undefined, too: it takes no values of the wire type. */
  slotOf(tag: number): Slot | null | undefined {
    const slot = this.slotsByNumber.get(tag >>> 3)
    const type = tag & 7
    return !slot || type === slot.sourceType || (type === LENGTH && slot.packable) ? slot : undefined
  }

  private enter(number: number, jsonNames: readonly string[], slot: Slot | null): void {
    this.slotsByNumber.set(number, slot)
    for (const name of jsonNames.map((text) => Buffer.from(text)))
      if (this.names.add(name, 0, name.length)) this.slotsByName.push(slot)
  }

  /** Nothing is present. */
  clear(): void {
    for (let i = 0; i < this.present.length; i++) this.present[i] = this.nulls[i] = 0
    this.progress[AFTER] = 0
    this.progress[AT] = SEPARATOR
  }

  has(slot: Slot): boolean {
    return hasBit(this.present, slot.index)
  }

  /** It came already, as a value or as null. */
  isNamed(slot: Slot): boolean {
    return this.has(slot) || hasBit(this.nulls, slot.index)
  }

  takeNull(slot: Slot): void {
    setBit(this.nulls, slot.index)
  }

  /** Takes a slot; false when it is taken, or when another member of its oneof is. */
  take(slot: Slot): boolean {
    if (slot.oneof < 0 ? this.has(slot) : this.oneofs.get(slot.oneof)?.some((other) => this.has(other))) return false
    setBit(this.present, slot.index)
    return true
  }

  /** The end of a message: writes what stands for its absent fields. Answers a required one that is missing. */
  close(out: RowBuffer): Slot | undefined {
    for (let word = 0; word < this.needed.length; word++) {
      let absent = (this.needed[word] as number) & ~(this.present[word] as number)
      while (absent !== 0) {
        const slot = this.slots[word * 32 + 31 - Math.clz32(absent & -absent)] as Slot
        if (slot.standard === undefined) return slot
        out.reserve(slot.standard.length)
        out.copy(slot.standard, 0, slot.standard.length)
        absent &= absent - 1
      }
    }
    return undefined
  }
}

function hasBit(bits: Int32Array, index: number): boolean {
  return (((bits[index >> 5] as number) >> (index & 31)) & 1) === 1
}

function setBit(bits: Int32Array, index: number): void {
  bits[index >> 5] = (bits[index >> 5] as number) | (1 << (index & 31))
}

const EMPTY = new Plan({ name: '', origin: 'proto', fields: [], ignored: [] })

/** Kinds that JSON shows as another one. */
const SAME_AS: Readonly<Partial<Record<ProtoKind, Op>>> = {
  sint32: 'int32',
  sfixed32: 'int32',
  fixed32: 'uint32',
  sint64: 'int64',
  sfixed64: 'int64',
  fixed64: 'uint64',
  // A message whose column is JSON.
  json: 'struct',
}

const COLUMNS: Readonly<Partial<Record<ColumnType, Op>>> = {
  STRING: 'string',
  BYTES: 'bytes',
  INT64: 'int64',
  FLOAT64: 'double',
  BOOL: 'bool',
  RECORD: 'message',
  JSON: 'json',
}

function opOf({ proto, type, attributes }: RecordField): Op {
  if (!proto) return attributes.maxLength === undefined || type !== 'STRING' ? (COLUMNS[type] ?? 'text') : 'text'
  const { kind } = proto
  if (kind === 'string' && type !== 'STRING') return 'text'
  return SAME_AS[kind] ?? kind
}

/** Kinds whose values are the same bytes in the row. */
const VERBATIM: ReadonlySet<string> = new Set('int64 uint64 int32 uint32 bool double float string bytes'.split(' '))

/** Any varint is a value of it. */
export const is64 = ({ op }: Slot): boolean => op === 'int64' || op === 'uint64'

/** Defaults that are not zero, false or empty. */
const STANDARDS: Readonly<Partial<Record<Op, string>>> = {
  duration: '0-0 0 0:0:0',
  timeofday: '00:00:00',
  struct: '{}',
  list: '[]',
  value: 'null',
}

/** The bytes of an implicit-presence field that is absent; undefined: absent is NULL. */
function standardOf(op: Op, tag: number, plan: Plan, names: EnumTable | undefined): Buffer | undefined {
  if (op === 'text' || op === 'date') return undefined
  const out = new RowBuffer(64)
  out.tag(tag)
  const text = STANDARDS[op]
  if (op === 'enum') names?.write(0, out)
  else if (op === 'message') {
    // A message without a required field has no empty form: as a map's value it is then missing.
    const inner = new RowBuffer(64)
    plan.clear()
    if (plan.close(inner)) return undefined
    out.lengthAndCopy(inner.bytes, 0, inner.length)
  } else if (text !== undefined) out.string(text)
  else out.copy(ZEROS, 0, ZERO_BYTES[tag & 7] ?? 1)
  return Buffer.from(out.slice())
}

const ZEROS = Buffer.alloc(8)
const ZERO_BYTES: Readonly<Record<number, number>> = { [FIXED64]: 8, [FIXED32]: 4 }
