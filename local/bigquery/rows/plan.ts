import type { BigQueryType } from '../types.ts'
import { CONVERSIONS, type Convert, enumName, type Family, setDouble } from './convert.ts'
import { columnDefault, protoDefault } from './defaults.ts'
import { decodeDescriptor, type FieldDescriptor, type MessageDescriptor, TypeNames } from './descriptor.ts'
import type { LayoutNode } from './layout.ts'
import { FIXED32, FIXED64, LENGTH, type Reader, VARINT } from './reader.ts'

/** How one message of a writer becomes columns: compiled once for a writer schema and a table. */
export interface MessagePlan {
  /** By field number; what is not there is skipped, as protobuf does with unknown fields. */
  readonly byNumber: ReadonlyMap<number, FieldPlan>
  readonly fields: readonly FieldPlan[]
  /** Number of the message instance that is being read; a field has been seen when its `seen` is the same. */
  stamp: number
}

export interface FieldPlan {
  readonly path: string
  readonly node: LayoutNode
  /** Sent as elements: the wire may also pack them. */
  readonly wireType: number
  readonly message: MessagePlan | undefined
  /** Brings the wire's value into the column's form; undefined: it is that already. */
  readonly convert: Convert | undefined
  /** Sets the value of an absent field; undefined: NULL. */
  readonly absent: ((reader: Reader) => void) | undefined
  seen: number
}

/** Why a writer schema does not fit a table. */
export class SchemaMismatch extends Error {
  /** Names of fields that the table does not have; empty: another mismatch. */
  readonly extraFields: readonly string[]

  constructor(message: string, extraFields: readonly string[] = []) {
    super(message)
    this.extraFields = extraFields
  }
}

/** FieldDescriptorProto.Type by number, with wire type and family. Groups (10) are not part of it. */
const PROTO: Readonly<Record<number, readonly [name: string, wireType: number, family: Family | 'message']>> = {
  1: ['double', FIXED64, 'double'],
  2: ['float', FIXED32, 'double'],
  3: ['int64', VARINT, 'int'],
  4: ['uint64', VARINT, 'uint64'],
  5: ['int32', VARINT, 'int'],
  6: ['fixed64', FIXED64, 'fixed64'],
  7: ['fixed32', FIXED32, 'int'],
  8: ['bool', VARINT, 'bool'],
  9: ['string', LENGTH, 'string'],
  11: ['message', LENGTH, 'message'],
  12: ['bytes', LENGTH, 'bytes'],
  13: ['uint32', VARINT, 'int'],
  14: ['enum', VARINT, 'enum'],
  15: ['sfixed32', FIXED32, 'int'],
  16: ['sfixed64', FIXED64, 'int'],
  17: ['sint32', VARINT, 'int'],
  18: ['sint64', VARINT, 'int'],
}

/** Columns whose absence means their default, by lower-case name, with the expression. */
export type Defaults = Readonly<Record<string, string>>

/**
 * Matches a writer schema (the bytes of a DescriptorProto) with a table. Throws a SchemaMismatch when the table has no
 * such field or cannot take its type.
 */
export function compilePlan(
  descriptor: Buffer,
  layout: readonly LayoutNode[],
  defaults: Defaults,
  now: () => number,
): MessagePlan {
  const root = decodeDescriptor(descriptor)
  return new Compiler(new TypeNames(root), defaults, now).message(root, layout, '')
}

class Compiler {
  readonly #types: TypeNames
  readonly #defaults: Defaults
  readonly #now: () => number

  constructor(types: TypeNames, defaults: Defaults, now: () => number) {
    this.#types = types
    this.#defaults = defaults
    this.#now = now
  }

  message(message: MessageDescriptor, nodes: readonly LayoutNode[], scope: string): MessagePlan {
    const writers = new Map(message.fields.map((field) => [field.name.toLowerCase(), field]))
    const known = new Set(nodes.map((node) => node.name.toLowerCase()))
    const extra = message.fields
      .filter((field) => !known.has(field.name.toLowerCase()))
      .map((field) => scope + field.name)
    if (extra.length > 0) {
      const names = extra.map((name) => `'${name}'`).join(', ')
      throw new SchemaMismatch(`Input schema has more fields than BigQuery schema, extra fields: ${names}`, extra)
    }
    const byNumber = new Map<number, FieldPlan>()
    const fields = nodes.map((node) => {
      const writer = writers.get(node.name.toLowerCase())
      const plan = writer ? this.#field(writer, node, scope) : this.#missing(node, scope)
      if (writer) byNumber.set(writer.number, plan)
      return plan
    })
    return { byNumber, fields, stamp: 0 }
  }

  #missing(node: LayoutNode, scope: string): FieldPlan {
    const path = scope + node.name
    return {
      path,
      node,
      wireType: -1,
      message: undefined,
      convert: undefined,
      absent: this.#default(node, path),
      seen: 0,
    }
  }

  #default(node: LayoutNode, path: string): ((reader: Reader) => void) | undefined {
    const expression = this.#defaults[path.toLowerCase()]
    return expression === undefined || node.repeated ? undefined : columnDefault(expression, node.type, this.#now)
  }

  #field(writer: FieldDescriptor, node: LayoutNode, scope: string): FieldPlan {
    const path = scope + node.name
    const proto = PROTO[writer.type]
    if (proto === undefined || writer.repeated !== node.repeated)
      throw mismatch(path, proto?.[0] ?? 'group', writer, node)
    const [name, wireType, family] = proto
    const base = { path, node, wireType, seen: 0 }
    if (node.type === 'RECORD') {
      const inner = family === 'message' ? this.#types.message(writer) : undefined
      if (inner === undefined) throw mismatch(path, name, writer, node)
      return { ...base, message: this.message(inner, node.children, `${path}.`), convert: undefined, absent: undefined }
    }
    const plain = this.#convert(writer, node.type)
    if (plain === undefined) throw mismatch(path, name, writer, node)
    const { limit } = node
    const convert: Convert = limit === undefined ? plain : (reader) => plain(reader) || limit(reader)
    const absent = protoDefault(writer, family, convert, this.#enumNumber(writer)) ?? this.#default(node, path)
    return { ...base, message: undefined, convert: convert === AS_IT_IS ? undefined : convert, absent }
  }

  #convert(writer: FieldDescriptor, type: Exclude<BigQueryType, 'RECORD'>): Convert | undefined {
    const [, , family] = PROTO[writer.type] ?? ['', 0, 'message']
    if (family === 'message') return this.#convertMessage(writer, type)
    if (family === 'enum' && type === 'STRING') return this.#enumNames(writer)
    const convert = CONVERSIONS[type][family]
    if (convert === undefined) return undefined
    const normal = normaliser(writer.type)
    if (convert === CONVERSIONS.INT64.int) return normal ?? AS_IT_IS
    return normal === undefined ? convert : (reader) => normal(reader) || convert(reader)
  }

  #enumNumber(writer: FieldDescriptor): (name: string) => number | undefined {
    return (name) => this.#types.enum(writer)?.values.find((value) => value.name === name)?.number
  }

  #enumNames(writer: FieldDescriptor): Convert | undefined {
    const found = this.#types.enum(writer)
    // The first name of a number is its canonical one; later ones are aliases.
    const values = [...(found?.values ?? [])].reverse()
    return found && enumName(new Map(values.map(({ name, number }) => [number, Buffer.from(name)])))
  }

  /** Timestamp, Duration and the wrappers: inlined, or by their well-known name alone. */
  #convertMessage(writer: FieldDescriptor, type: Exclude<BigQueryType, 'RECORD'>): Convert | undefined {
    const fields = this.#types
      .message(writer)
      ?.fields.map((field) => field.name)
      .join()
    const wellKnown = /google[._]protobuf[._](\w+)$/.exec(writer.typeName)?.[1]
    if (fields === 'seconds,nanos' || wellKnown === 'Timestamp' || wellKnown === 'Duration') {
      return CONVERSIONS[type].timestamp ?? CONVERSIONS[type].duration
    }
    const value = this.#types.message(writer)?.fields
    const inner = value?.length === 1 && value[0]?.name === 'value' ? value[0] : wrapperValue(wellKnown)
    if (inner === undefined || inner.type === 11) return undefined
    const convert = this.#convert(inner, type)
    return convert && unwrap(inner, convert)
  }
}

/** Marks a value that needs no conversion, so that the walk need not call anything. */
const AS_IT_IS: Convert = () => ''

/** The wire's bits of each integer type and of float, as signed 64 bits or as a double. */
function normaliser(protoType: number): Convert | undefined {
  switch (PROTO[protoType]?.[0]) {
    case 'int32':
    case 'enum':
    case 'sfixed32':
      return (reader) => set(reader, reader.lo, (reader.lo | 0) < 0 ? 0xffff_ffff : 0)
    case 'uint32':
      return (reader) => set(reader, reader.lo, 0)
    case 'sint32':
      return (reader) => {
        const value = (reader.lo >>> 1) ^ -(reader.lo & 1)
        return set(reader, value >>> 0, value < 0 ? 0xffff_ffff : 0)
      }
    case 'sint64':
      return (reader) => {
        const mask = -(reader.lo & 1)
        const lo = (reader.lo >>> 1) | (reader.hi << 31)
        return set(reader, (lo ^ mask) >>> 0, ((reader.hi >>> 1) ^ mask) >>> 0)
      }
    case 'float':
      return (reader) => {
        floatBits.setUint32(0, reader.lo)
        setDouble(reader, floatBits.getFloat32(0))
        return ''
      }
    default:
      return undefined
  }
}

const floatBits = new DataView(new ArrayBuffer(4))

function set(reader: Reader, lo: number, hi: number): string {
  reader.lo = lo
  reader.hi = hi
  return ''
}

const WRAPPER_TYPES: Readonly<Record<string, number>> = {
  DoubleValue: 1,
  FloatValue: 2,
  Int64Value: 3,
  UInt64Value: 4,
  Int32Value: 5,
  BoolValue: 8,
  StringValue: 9,
  BytesValue: 12,
  UInt32Value: 13,
}

function wrapperValue(wellKnown: string | undefined): FieldDescriptor | undefined {
  const type = WRAPPER_TYPES[wellKnown ?? '']
  return type === undefined
    ? undefined
    : { name: 'value', number: 1, type, repeated: false, typeName: '', scope: '', defaultValue: undefined }
}

const EMPTY = Buffer.alloc(0)

/** Reads the single field of a wrapper message; without it the value is the type's zero. */
function unwrap(inner: FieldDescriptor, convert: Convert): Convert {
  const wireType = PROTO[inner.type]?.[1] ?? VARINT
  return (reader) => {
    const { pos, end, from, to } = reader
    let [lo, hi, valueFrom, valueTo] = [0, 0, 0, 0]
    reader.pos = from
    reader.end = to
    while (reader.pos < to && reader.varint()) {
      const tag = reader.lo
      const mine = tag >>> 3 === inner.number && (tag & 7) === wireType
      if (!(mine ? readRaw(reader, wireType) : reader.skip(tag & 7))) return 'Invalid wrapper message'
      if (mine) [lo, hi, valueFrom, valueTo] = [reader.lo, reader.hi, reader.from, reader.to]
    }
    Object.assign(reader, { pos, end, lo, hi, from: valueFrom, to: valueTo })
    if (valueTo === 0) reader.setBytes(EMPTY)
    return convert(reader)
  }
}

/** Reads a value of the given wire type into the reader. */
export function readRaw(reader: Reader, wireType: number): boolean {
  if (wireType === VARINT) return reader.varint()
  if (wireType === LENGTH) return reader.bytes()
  return wireType === FIXED64 ? reader.fixed64() : reader.fixed32()
}

function mismatch(path: string, proto: string, writer: FieldDescriptor, node: LayoutNode): SchemaMismatch {
  const modes = `${writer.repeated ? 'repeated ' : ''}${proto}`
  const type = `${node.repeated ? 'REPEATED ' : ''}${node.type === 'INT64' ? 'INTEGER' : node.type}`
  return new SchemaMismatch(
    `The proto field mismatched with BigQuery field at ${path}, the proto field type ${modes}, BigQuery field type ${type}`,
  )
}
