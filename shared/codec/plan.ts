import type { ColumnType, ProtoSource, RecordField, RecordType } from '../schema/index.ts'
import { EnumTable } from './enums.ts'
import { ByteKeys } from './byte-keys.ts'
import { Keys } from './keys.ts'
import { RowBuffer } from './row-buffer.ts'
import { textWriterOf, type TextWriter } from './text-values.ts'
import { FIXED32, FIXED64, GROUP, LENGTH, scalarType } from './wire.ts'

/** What a slot's value is, for the switches of the walkers; the JSON walker's main loop writes those up to UINT32. */
export const Op = {
  BOOL: 0,
  DOUBLE: 1,
  INT64: 2,
  UINT64: 3,
  INT32: 4,
  UINT32: 5,
  STRING: 6,
  FLOAT: 7,
  BYTES: 8,
  MESSAGE: 9,
  ENUM: 10,
  TIMESTAMP: 11,
  DURATION: 12,
  DATE: 13,
  TIMEOFDAY: 14,
  FIELDMASK: 15,
  STRUCT: 16,
  LIST: 17,
  VALUE: 18,
  /** Any value of a JSON column. */
  JSON: 19,
  /** A text (or number) that slot.text reads. */
  TEXT: 20,
} as const

const SLOW = 99

const NO_KEYS = new ByteKeys()

/** One field, compiled: what both walkers need to write its column. */
export class Slot {
  readonly index: number
  readonly name: string
  readonly field: RecordField
  readonly proto: ProtoSource | undefined
  readonly op: number
  /** Tag in the row; that of the packed run for a packed field. */
  readonly tag: number
  readonly repeated: boolean
  readonly packed: boolean
  readonly map: boolean
  readonly oneof: number
  readonly required: boolean
  /** Tag and value that stand for an absent field; undefined: NULL. */
  readonly standard: Buffer | undefined
  readonly plan: Plan
  readonly text: TextWriter
  readonly enum: EnumTable | undefined
  /** The op of a field that is singular, in no oneof, its tag a single byte: for the walkers' main loops; else SLOW. */
  readonly fast: number
  /** JSON's null is a value of it. */
  readonly takesNull: boolean
  /** Wire type of its values, in a protobuf source (a message around a wrapped one), and in the row. */
  readonly scalarType: number
  readonly sourceType: number
  readonly rowType: number
  /** Several values may come in one length-delimited run. */
  readonly packable: boolean
  /** How a protobuf value is checked that the row takes as it is; -1: none is. */
  readonly verbatim: number
  /** Of a map: the keys that the event had. */
  readonly mapKeys: ByteKeys
  /** Bytes that a nested length took last time. */
  width = 1

  constructor(field: RecordField, index: number) {
    const { proto } = field
    this.index = index
    this.field = field
    this.name = field.name
    this.proto = proto
    this.op = opOf(field)
    this.repeated = field.mode === 'REPEATED'
    this.packed = field.packed
    this.map = proto?.map ?? false
    this.mapKeys = this.map ? new ByteKeys() : NO_KEYS
    this.oneof = proto?.oneof ?? -1
    this.rowType = field.packed ? LENGTH : scalarType(field.rowType)
    this.tag = field.number * 8 + this.rowType
    this.scalarType = scalarType(proto?.kind ?? 'string')
    this.sourceType = proto?.delimited ? GROUP : proto?.wrapper ? LENGTH : this.scalarType
    this.packable = this.repeated && this.sourceType !== LENGTH && this.sourceType !== GROUP
    this.verbatim = proto && !proto.wrapper && this.op !== Op.TEXT ? (VERBATIM[proto.kind] ?? -1) : -1
    this.plan = field.record ? new Plan(field.record) : EMPTY
    this.text = textWriterOf(field)
    this.enum = proto?.enum && new EnumTable(proto.enum, field.rowType === 'string')
    this.fast = !this.repeated && this.oneof < 0 && this.tag < 128 ? this.op : SLOW
    this.takesNull = this.op === Op.VALUE || this.enum?.nullValue === true
    this.standard = this.repeated || proto?.presence !== 'implicit' ? undefined : standardOf(this)
    this.required = field.mode === 'REQUIRED' && this.standard === undefined
  }

  /** Whether the field takes values of a wire type. */
  takes(type: number): boolean {
    return type === this.sourceType || (type === LENGTH && this.packable)
  }
}

/** A record, compiled. */
export class Plan {
  readonly slots: readonly Slot[]
  /** Slots that say something when they are absent. */
  readonly needed: readonly Slot[]
  /** By slot: the stamp of the message that had it last; negative: as null. */
  readonly seen: Int32Array
  readonly oneofs: Int32Array
  readonly keys: Keys
  readonly maps: readonly Slot[]
  /** By a tag of one byte: how the plain field is checked that the protobuf walker copies (-1: none), and its index. */
  readonly forms = new Int8Array(256).fill(-1)
  readonly places = new Int32Array(256)
  /** Numbers of fields without a column. */
  readonly ignored: ReadonlySet<number>
  private readonly slotsByNumber: ReadonlyMap<number, Slot>
  private readonly standardBytes: number
  private stamp = 0

  constructor(record: RecordType) {
    this.slots = record.fields.map((field, index) => new Slot(field, index))
    this.maps = this.slots.filter((slot) => slot.map)
    this.needed = this.slots.filter((slot) => slot.required || slot.standard !== undefined)
    this.standardBytes = this.needed.reduce((sum, slot) => sum + (slot.standard?.length ?? 0), 0)
    this.seen = new Int32Array(this.slots.length)
    this.slotsByNumber = new Map(this.slots.map((slot) => [slot.field.number, slot]))
    for (const slot of this.slots.filter(({ fast }) => fast !== SLOW)) {
      this.forms[slot.tag] = slot.verbatim
      this.places[slot.tag] = slot.index
    }
    this.ignored = new Set(record.ignored.map((field) => field.number))
    this.keys = new Keys(record, this.slots)
    this.oneofs = new Int32Array(1 + this.slots.reduce((max, slot) => Math.max(max, slot.oneof), -1))
  }

  /** Takes a member of a oneof; false when another one is taken. */
  choose(oneof: number, stamp: number): boolean {
    if (this.oneofs[oneof] === stamp) return false
    this.oneofs[oneof] = stamp
    return true
  }

  /** The slot of a field number of the source. */
  slotOf(number: number): Slot | undefined {
    return this.slotsByNumber.get(number)
  }

  /** A fresh stamp: nothing is seen yet. */
  open(): number {
    if (this.stamp === 0x3fffffff) {
      this.seen.fill(0)
      this.oneofs.fill(0)
      this.stamp = 0
    }
    return ++this.stamp
  }

  /** The end of a message: writes what stands for its absent fields. Answers a required one that is missing. */
  close(stamp: number, out: RowBuffer): Slot | undefined {
    const { needed, seen } = this
    out.reserve(this.standardBytes)
    for (let i = 0; i < needed.length; i++) {
      const slot = needed[i] as Slot
      if (seen[slot.index] === stamp) continue
      if (slot.standard === undefined) return slot
      out.copy(slot.standard, 0, slot.standard.length)
    }
    return undefined
  }
}

const EMPTY = new Plan({ name: '', origin: 'proto', fields: [], ignored: [] })

/** Kinds that JSON shows as another one. */
const SAME_AS: Readonly<Record<string, keyof typeof Op>> = {
  sint32: 'INT32',
  sfixed32: 'INT32',
  fixed32: 'UINT32',
  sint64: 'INT64',
  sfixed64: 'INT64',
  fixed64: 'UINT64',
}

const COLUMNS: Readonly<Partial<Record<ColumnType, number>>> = {
  STRING: Op.STRING,
  BYTES: Op.BYTES,
  INT64: Op.INT64,
  FLOAT64: Op.DOUBLE,
  BOOL: Op.BOOL,
  RECORD: Op.MESSAGE,
  JSON: Op.JSON,
}

function opOf({ proto, type, attributes }: RecordField): number {
  if (!proto) return attributes.maxLength === undefined || type !== 'STRING' ? (COLUMNS[type] ?? Op.TEXT) : Op.TEXT
  if (proto.kind === 'string' && type !== 'STRING') return Op.TEXT
  return Op[SAME_AS[proto.kind] ?? (proto.kind.toUpperCase() as keyof typeof Op)]
}

/** Kinds whose values are the same bytes in the row, each as the one that is checked in the same way. */
const VERBATIM: Readonly<Partial<Record<ProtoSource['kind'], number>>> = {
  int64: Op.INT64,
  uint64: Op.INT64,
  int32: Op.INT32,
  uint32: Op.UINT32,
  bool: Op.BOOL,
  double: Op.DOUBLE,
  float: Op.FLOAT,
  string: Op.STRING,
  bytes: Op.BYTES,
}

/** Defaults that are not zero, false or empty. */
const STANDARDS: Readonly<Record<number, string>> = {
  [Op.DURATION]: '0-0 0 0:0:0',
  [Op.TIMEOFDAY]: '00:00:00',
  [Op.STRUCT]: '{}',
  [Op.JSON]: '{}',
  [Op.LIST]: '[]',
  [Op.VALUE]: 'null',
}

/** The bytes of an implicit-presence field that is absent; undefined: absent is NULL. */
function standardOf(slot: Slot): Buffer | undefined {
  const { op, plan } = slot
  if (op === Op.TEXT || op === Op.DATE) return undefined
  const out = new RowBuffer(64)
  out.tag(slot.tag)
  const text = STANDARDS[op]
  if (op === Op.ENUM) slot.enum?.write(0, out)
  else if (op === Op.MESSAGE) {
    // A message without a required field has no empty form: as a map's value it is then missing.
    const inner = new RowBuffer(64)
    if (plan.close(-1, inner)) return undefined
    out.lengthAndCopy(inner.bytes, 0, inner.length)
  } else if (text !== undefined) out.lengthAndCopy(Buffer.from(text), 0, text.length)
  else out.copy(ZEROS, 0, slot.rowType === FIXED64 ? 8 : slot.rowType === FIXED32 ? 4 : 1)
  return Buffer.from(out.bytes.subarray(0, out.length))
}

const ZEROS = Buffer.alloc(8)
