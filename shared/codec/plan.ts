import type { ColumnType, ProtoSource, RecordField, RecordType } from '../schema/index.ts'
import { EnumTable } from './enums.ts'
import { KeySet } from './key-set.ts'
import { Keys } from './keys.ts'
import { sourceType } from './source-type.ts'
import { TEXT_WRITERS, type TextWriter } from './text-values.ts'

/** What a slot's value is, for the switches of the walkers. */
export const Op = {
  STRING: 0,
  BYTES: 1,
  INT64: 2,
  INT32: 3,
  UINT32: 4,
  UINT64: 5,
  DOUBLE: 6,
  FLOAT: 7,
  BOOL: 8,
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
  /** A field that has no column: checked and skipped. */
  IGNORED: 21,
} as const

const VARINT = 0
const FIXED64 = 1
const LENGTH = 2
const GROUP = 3
const FIXED32 = 5

/** Field numbers that are found in an array. */
const LOW_NUMBERS = 64

const NO_KEYS = new KeySet()

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
  /** Whether the JSON walker's main loop writes it. */
  readonly fast: number
  /** JSON's null is a value of it. */
  readonly takesNull: boolean
  /** Wire type in a protobuf source, and in the row. */
  readonly sourceType: number
  readonly rowType: number
  /** Several values may come in one length-delimited run. */
  readonly packable: boolean
  /** How a protobuf value is checked that the row takes as it is; -1: none is. */
  readonly verbatim: number
  /** Whether the protobuf walker's main loop copies it, and how it finds its end. */
  readonly quick: number
  /** Of a map: the keys that the event had. */
  readonly mapKeys: KeySet
  /** Bytes that a nested length took last time. */
  width = 1

  constructor(field: RecordField, index: number) {
    this.index = index
    this.field = field
    this.name = field.name
    this.proto = field.proto
    this.op = opOf(field)
    this.repeated = field.mode === 'REPEATED'
    this.packed = field.packed
    this.map = field.proto?.map ?? false
    this.mapKeys = this.map ? new KeySet() : NO_KEYS
    this.oneof = field.proto?.oneof ?? -1
    this.tag = field.number * 8 + (field.packed ? LENGTH : wireType(field))
    this.sourceType = field.proto ? sourceType(field.proto) : -1
    this.packable = this.repeated && this.sourceType !== LENGTH && this.sourceType !== GROUP
    this.rowType = field.packed ? LENGTH : wireType(field)
    this.verbatim = verbatimOf(field)
    this.quick = this.repeated || this.oneof >= 0 || this.tag > 127 ? 0 : (QUICK[this.verbatim] ?? 0)
    this.plan = field.record ? new Plan(field.record) : EMPTY
    this.text = TEXT_WRITERS[field.type === 'RECORD' ? 'STRING' : field.type]
    this.enum = field.proto?.enum && new EnumTable(field.proto.enum, field.rowType === 'string')
    this.fast = fastOf(this)
    this.takesNull = this.op === Op.VALUE || this.enum?.nullValue === true
    this.standard = this.repeated ? undefined : standardOf(field, this)
    this.required = field.mode === 'REQUIRED' && this.standard === undefined
  }
}

/** A record, compiled. */
export class Plan {
  readonly record: RecordType
  /** Names without regard to case, numbers as text: BigQuery's own loading, as against protobuf's JSON. */
  readonly lenient: boolean
  readonly slots: readonly Slot[]
  /** Slots that say something when they are absent. */
  readonly needed: readonly Slot[]
  /** By slot: the stamp of the message that had it last; negative: as null. */
  readonly seen: Int32Array
  readonly oneofs: Int32Array
  readonly keys: Keys
  readonly maps: readonly Slot[]
  /** By the single byte of a tag: fields whose common values the protobuf walker copies in its main loop. */
  readonly near: (Slot | undefined)[] = []
  private readonly slotsByNumber = new Map<number, Slot>()
  private readonly low: (Slot | undefined)[] = Array.from({ length: LOW_NUMBERS })
  stamp = 0

  constructor(record: RecordType) {
    this.record = record
    this.lenient = record.origin === 'bigquery'
    this.slots = record.fields.map((field, index) => new Slot(field, index))
    this.maps = this.slots.filter((slot) => slot.map)
    this.needed = this.slots.filter((slot) => slot.required || slot.standard !== undefined)
    this.seen = new Int32Array(this.slots.length)
    for (let byte = 0; byte < 256; byte++) this.near.push(undefined)
    for (const slot of this.slots) {
      this.slotsByNumber.set(slot.field.number, slot)
      if (slot.field.number < LOW_NUMBERS) this.low[slot.field.number] = slot
      if (slot.quick > 0) this.near[slot.tag] = slot
    }
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
    return number < LOW_NUMBERS ? this.low[number] : this.slotsByNumber.get(number)
  }

  isIgnored(number: number): boolean {
    return this.record.ignored.some((field) => field.number === number)
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
}

const EMPTY = new Plan({ name: '', origin: 'proto', fields: [], ignored: [] })

export const FAST_STRING = 1
export const FAST_INTEGER = 2
export const FAST_LONG = 3
export const FAST_DOUBLE = 4
export const FAST_BOOL = 5

function fastOf(slot: Slot): number {
  if (slot.repeated || slot.oneof >= 0 || slot.tag > 127) return 0
  if (slot.op === Op.STRING) return FAST_STRING
  if (slot.op === Op.DOUBLE) return FAST_DOUBLE
  if (slot.op === Op.BOOL) return FAST_BOOL
  if (slot.op === Op.INT64 || slot.op === Op.UINT64) return FAST_LONG
  return slot.op >= Op.INT64 && slot.op <= Op.UINT64 ? FAST_INTEGER : 0
}

const KINDS: Readonly<Partial<Record<ProtoSource['kind'], number>>> = {
  string: Op.STRING,
  bytes: Op.BYTES,
  int32: Op.INT32,
  sint32: Op.INT32,
  sfixed32: Op.INT32,
  uint32: Op.UINT32,
  fixed32: Op.UINT32,
  int64: Op.INT64,
  sint64: Op.INT64,
  sfixed64: Op.INT64,
  uint64: Op.UINT64,
  fixed64: Op.UINT64,
  double: Op.DOUBLE,
  float: Op.FLOAT,
  bool: Op.BOOL,
  message: Op.MESSAGE,
  enum: Op.ENUM,
  timestamp: Op.TIMESTAMP,
  duration: Op.DURATION,
  date: Op.DATE,
  timeofday: Op.TIMEOFDAY,
  fieldmask: Op.FIELDMASK,
  struct: Op.STRUCT,
  list: Op.LIST,
  value: Op.VALUE,
  json: Op.JSON,
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

function opOf(field: RecordField): number {
  const { proto } = field
  if (!proto) return COLUMNS[field.type] ?? Op.TEXT
  if (proto.kind === 'string' && field.type !== 'STRING') return Op.TEXT
  return KINDS[proto.kind] ?? Op.TEXT
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

export const QUICK_TEXT = 1
export const QUICK_VARINT = 2
export const QUICK_LONG = 3
export const QUICK_BOOL = 4
export const QUICK_DOUBLE = 5
export const QUICK_FLOAT = 6

const QUICK: Readonly<Record<number, number>> = {
  [Op.STRING]: QUICK_TEXT,
  [Op.INT32]: QUICK_VARINT,
  [Op.UINT32]: QUICK_VARINT,
  [Op.INT64]: QUICK_LONG,
  [Op.BOOL]: QUICK_BOOL,
  [Op.DOUBLE]: QUICK_DOUBLE,
  [Op.FLOAT]: QUICK_FLOAT,
}

function verbatimOf(field: RecordField): number {
  if (!field.proto || field.proto.wrapper || opOf(field) === Op.TEXT) return -1
  return VERBATIM[field.proto.kind] ?? -1
}

function wireType(field: RecordField): number {
  if (field.rowType === 'double') return FIXED64
  if (field.rowType === 'float') return FIXED32
  return field.rowType === 'string' || field.rowType === 'bytes' || field.rowType === 'message' ? LENGTH : VARINT
}

/** The bytes of an implicit-presence field that is absent; undefined: absent is NULL. */
function standardOf(field: RecordField, slot: Slot): Buffer | undefined {
  if (field.proto?.presence !== 'implicit') return undefined
  const value = standardValue(field, slot)
  return value && Buffer.concat([varint(slot.tag), value])
}

function standardValue(field: RecordField, slot: Slot): Buffer | undefined {
  if (slot.op === Op.TEXT) return undefined
  if (slot.op === Op.ENUM && field.rowType === 'string')
    return withLength(Buffer.from(field.proto?.enum?.names.get(0) ?? '0'))
  if (slot.op === Op.DURATION) return withLength(Buffer.from('0-0 0 0:0:0'))
  if (slot.op === Op.TIMEOFDAY) return withLength(Buffer.from('00:00:00'))
  if (slot.op === Op.STRUCT || slot.op === Op.JSON) return withLength(Buffer.from('{}'))
  if (slot.op === Op.LIST) return withLength(Buffer.from('[]'))
  if (slot.op === Op.VALUE) return withLength(Buffer.from('null'))
  if (slot.op === Op.DATE) return undefined
  if (slot.op === Op.MESSAGE) return standardMessage(slot.plan)
  return Buffer.alloc(field.rowType === 'double' ? 8 : field.rowType === 'float' ? 4 : 1)
}

// A message without a required field has no empty form: as a map's value it is then missing.
function standardMessage(plan: Plan): Buffer | undefined {
  if (plan.needed.some((slot) => slot.required)) return undefined
  return withLength(Buffer.concat(plan.needed.map((slot) => slot.standard ?? Buffer.alloc(0))))
}

function withLength(bytes: Buffer): Buffer {
  return Buffer.concat([varint(bytes.length), bytes])
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest])
    bytes.push((rest % 128) + 128)
  }
}
