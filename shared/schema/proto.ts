import protobuf, { type Field, type FieldBase, type MapField, type Type } from 'protobufjs'

import { UserError } from '../errors.ts'
import { columnType, ROW_TYPES } from './bigquery.ts'
import type {
  ColumnAttributes,
  ColumnType,
  EnumNames,
  IgnoredField,
  ProtoKind,
  RecordField,
  RecordType,
  RowType,
} from './record.ts'
import { COLUMNS_MAX, DEPTH_MAX } from './record.ts'

/** Column and row type of each kind of source; what BigQuery does not take as it is (zigzag, fixed) becomes int64 or uint64. */
const COLUMNS: Readonly<Record<ProtoKind, readonly [ColumnType, RowType]>> = {
  double: ['FLOAT64', 'double'],
  float: ['FLOAT64', 'float'],
  int32: ['INT64', 'int64'],
  int64: ['INT64', 'int64'],
  uint32: ['INT64', 'int64'],
  uint64: ['NUMERIC', 'uint64'],
  sint32: ['INT64', 'int64'],
  sint64: ['INT64', 'int64'],
  fixed32: ['INT64', 'int64'],
  fixed64: ['NUMERIC', 'uint64'],
  sfixed32: ['INT64', 'int64'],
  sfixed64: ['INT64', 'int64'],
  bool: ['BOOL', 'bool'],
  string: ['STRING', 'string'],
  bytes: ['BYTES', 'bytes'],
  enum: ['STRING', 'string'],
  message: ['RECORD', 'message'],
  timestamp: ['TIMESTAMP', 'int64'],
  duration: ['INTERVAL', 'string'],
  date: ['DATE', 'int32'],
  timeofday: ['TIME', 'string'],
  fieldmask: ['STRING', 'string'],
  struct: ['JSON', 'string'],
  value: ['JSON', 'string'],
  list: ['JSON', 'string'],
  json: ['JSON', 'string'],
}

const WELL_KNOWN: Readonly<Record<string, ProtoKind>> = {
  '.google.protobuf.Timestamp': 'timestamp',
  '.google.protobuf.Duration': 'duration',
  '.google.protobuf.FieldMask': 'fieldmask',
  '.google.protobuf.Struct': 'struct',
  '.google.protobuf.Value': 'value',
  '.google.protobuf.ListValue': 'list',
  '.google.protobuf.Any': 'json',
  '.google.protobuf.Empty': 'json',
  '.google.type.Date': 'date',
  '.google.type.TimeOfDay': 'timeofday',
}

const WRAPPERS: Readonly<Record<string, ProtoKind>> = {
  '.google.protobuf.DoubleValue': 'double',
  '.google.protobuf.FloatValue': 'float',
  '.google.protobuf.Int64Value': 'int64',
  '.google.protobuf.UInt64Value': 'uint64',
  '.google.protobuf.Int32Value': 'int32',
  '.google.protobuf.UInt32Value': 'uint32',
  '.google.protobuf.BoolValue': 'bool',
  '.google.protobuf.StringValue': 'string',
  '.google.protobuf.BytesValue': 'bytes',
}

const INTEGERS: readonly ProtoKind[] = [
  'int32',
  'int64',
  'uint32',
  'sint32',
  'sint64',
  'fixed32',
  'sfixed32',
  'sfixed64',
]

/** What `type_override` may make of a source: the row carries the value in the type of the second place. */
const OVERRIDES: Readonly<Partial<Record<ColumnType, readonly (readonly [readonly ProtoKind[], RowType])[]>>> = {
  TIMESTAMP: [
    [INTEGERS, 'int64'],
    [['string'], 'int64'],
  ],
  DATE: [
    [INTEGERS, 'int64'],
    [['string'], 'int32'],
  ],
  DATETIME: [
    [['int64'], 'int64'],
    [['string'], 'string'],
  ],
  TIME: [
    [['int64'], 'int64'],
    [['string'], 'string'],
  ],
  NUMERIC: [
    [INTEGERS, 'int64'],
    [['double'], 'double'],
    [['float'], 'float'],
    [['string'], 'string'],
  ],
  BIGNUMERIC: [
    [INTEGERS, 'int64'],
    [['uint64', 'fixed64'], 'uint64'],
    [['double'], 'double'],
    [['float'], 'float'],
    [['string'], 'string'],
  ],
  INT64: [
    [['bool'], 'int64'],
    [['enum'], 'int64'],
  ],
  BOOL: [[INTEGERS, 'int64']],
  BYTES: [[['string'], 'string']],
  GEOGRAPHY: [[['string'], 'string']],
  INTERVAL: [[['string'], 'string']],
  JSON: [
    [['string'], 'string'],
    [['message'], 'string'],
  ],
}

/**
 * A message of a `.proto` file as a record: columns by the table above, maps as REPEATED RECORD<key, value>, the point
 * of recursion as JSON, options of protoc-gen-bq-schema obeyed.
 * @throws UserError that names the field
 */
export function recordFromMessage(type: Type, where: string): RecordType {
  return new Converter(where).record(type, [])
}

class Converter {
  private columns = 0
  private readonly where: string

  constructor(where: string) {
    this.where = where
  }

  record(type: Type, above: readonly Type[]): RecordType {
    const path = [...above, type]
    const jsonNames = optionsOf(type, 'bigquery_opts')['use_json_names'] === true
    const fields: RecordField[] = []
    const ignored: IgnoredField[] = []
    for (const field of type.fieldsArray) {
      const converted = this.field(field, path, jsonNames)
      if (converted) fields.push(converted)
      else ignored.push({ number: field.id, jsonNames: jsonNamesOf(field) })
    }
    return { name: type.name, origin: 'proto', fields, ignored }
  }

  private field(field: Field, path: readonly Type[], jsonNames: boolean): RecordField | undefined {
    const options = optionsOf(field, 'bigquery')
    if (options['ignore'] === true) return undefined
    this.columns++
    const place = `${this.where}: field ${path.map((type) => type.name).join('.')}.${field.name}`
    if (this.columns > COLUMNS_MAX)
      throw new UserError(`${place}: more than ${COLUMNS_MAX} columns`, 'BigQuery allows no more')
    if (field instanceof protobuf.MapField) return this.mapField(field, path, options, jsonNames)
    const nested = field.resolvedType && !(field.resolvedType instanceof protobuf.Enum) ? field.resolvedType : undefined
    const wrapped = nested && WRAPPERS[nested.fullName]
    const natural = wrapped ?? this.kindOf(field, nested, path)
    const override = overrideOf(options, natural, place)
    const kind = override && natural === 'message' ? 'json' : natural
    const record = kind === 'message' && nested ? this.record(nested, path) : undefined
    if (record && record.fields.length === 0) return undefined
    const [type, rowType] = override ?? COLUMNS[kind]
    const proto = {
      kind,
      wrapper: wrapped !== undefined,
      ...protoBase(field, kind),
      ...(isJson(kind) && nested ? { message: nested } : {}),
    }
    return {
      ...common(field, options, jsonNames),
      type,
      rowType,
      packed: field.packed && field.repeated && nested === undefined && isNumeric(rowType),
      proto,
      ...(record ? { record } : {}),
    }
  }

  private kindOf(field: FieldBase, nested: Type | undefined, path: readonly Type[]): ProtoKind {
    if (!nested) return field.resolvedType ? 'enum' : (field.type as ProtoKind)
    const known = WELL_KNOWN[nested.fullName]
    if (known) return known
    return path.includes(nested) || path.length > DEPTH_MAX || nested.fieldsArray.length === 0 ? 'json' : 'message'
  }

  private mapField(field: MapField, path: readonly Type[], options: Options, jsonNames: boolean): RecordField {
    const value = this.mapValue(field, path)
    const [type, rowType] = COLUMNS[field.keyType as ProtoKind]
    const keyProto = {
      kind: field.keyType as ProtoKind,
      wrapper: false,
      jsonNames: [],
      presence: 'implicit' as const,
      oneof: -1,
      map: false,
      delimited: false,
    }
    const key = {
      name: 'key',
      type,
      mode: 'NULLABLE' as const,
      number: 1,
      rowType,
      packed: false,
      attributes: {},
      proto: keyProto,
    }
    const record: RecordType = { name: field.name, origin: 'proto', fields: [key, value], ignored: [] }
    const proto = { kind: 'message' as const, wrapper: false, ...protoBase(field, 'message'), map: true }
    return {
      ...common(field, options, jsonNames),
      type: 'RECORD',
      mode: 'REPEATED',
      rowType: 'message',
      packed: false,
      record,
      proto,
    }
  }

  private mapValue(field: MapField, path: readonly Type[]): RecordField {
    const nested = field.resolvedType && !(field.resolvedType instanceof protobuf.Enum) ? field.resolvedType : undefined
    const wrapped = nested && WRAPPERS[nested.fullName]
    const natural = wrapped ?? this.kindOf(field, nested, path)
    const record = natural === 'message' && nested ? this.record(nested, path) : undefined
    const empty = record !== undefined && record.fields.length === 0
    const kind = empty ? 'json' : natural
    const [type, rowType] = COLUMNS[kind]
    const proto = {
      ...protoBase(field, kind),
      kind,
      wrapper: wrapped !== undefined,
      presence: 'implicit' as const,
      jsonNames: [],
      map: false,
      oneof: -1,
      ...(isJson(kind) && nested ? { message: nested } : {}),
    }
    const base = {
      name: 'value',
      type,
      mode: 'NULLABLE' as const,
      number: 2,
      rowType,
      packed: false,
      attributes: {},
      proto,
    }
    return record && !empty ? { ...base, record } : base
  }
}

type Options = Readonly<Record<string, unknown>>

/** The option message `(gen_bq_schema.NAME)`, in both ways of writing it. */
function optionsOf(object: FieldBase | Type, name: string): Options {
  const key = `(gen_bq_schema.${name})`
  const parsed = (object.parsedOptions ?? []) as readonly Readonly<Record<string, unknown>>[]
  return Object.assign({}, ...parsed.map((option) => option[key] ?? {})) as Options
}

function protoBase(field: Field | MapField, kind: ProtoKind) {
  const { partOf, parent } = field
  const oneof =
    partOf && !partOf.isProto3Optional && parent instanceof protobuf.Type ? parent.oneofsArray.indexOf(partOf) : -1
  return {
    jsonNames: jsonNamesOf(field),
    presence: presenceOf(field, kind),
    oneof,
    map: false,
    delimited: field instanceof protobuf.Field && field.delimited,
    ...(field.resolvedType instanceof protobuf.Enum ? { enum: enumNames(field.resolvedType) } : {}),
  }
}

function presenceOf(field: Field | MapField, kind: ProtoKind): 'implicit' | 'explicit' | 'required' {
  if (!(field instanceof protobuf.Field) || field.repeated) return 'explicit'
  if (field.required) return 'required'
  if (field.partOf || field.hasPresence) return 'explicit'
  const scalar = field.resolvedType === null || kind === 'enum'
  return scalar ? 'implicit' : 'explicit'
}

function common(field: Field | MapField, options: Options, jsonNames: boolean) {
  const required = (field instanceof protobuf.Field && field.required) || options['require'] === true
  const mode = field.repeated || field.map ? 'REPEATED' : required ? 'REQUIRED' : 'NULLABLE'
  const name =
    typeof options['name'] === 'string' && options['name'] !== ''
      ? options['name']
      : jsonNames
        ? (field.jsonName ?? field.name)
        : field.name
  return { name, mode, number: field.id, attributes: attributes(field, options) } as const
}

function attributes(field: FieldBase, options: Options): ColumnAttributes {
  const description = options['description'] ?? field.comment ?? undefined
  const tags = options['policy_tags']
  const standard = options['default_value_expression']
  return {
    ...(typeof description === 'string' && description !== '' ? { description } : {}),
    ...(typeof tags === 'string' && tags !== '' ? { policyTags: { names: [tags] } } : {}),
    ...(typeof standard === 'string' && standard !== '' ? { defaultValueExpression: standard } : {}),
  }
}

function overrideOf(options: Options, kind: ProtoKind, place: string): readonly [ColumnType, RowType] | undefined {
  const name = options['type_override']
  if (typeof name !== 'string' || name === '') return undefined
  const type = columnType(name)
  if (!type)
    throw new UserError(
      `${place}: type_override ${name} is no type of BigQuery`,
      `use one of ${Object.keys(ROW_TYPES).join(', ')}`,
    )
  if (COLUMNS[kind][0] === type) return undefined
  const found = OVERRIDES[type]?.find(([kinds]) => kinds.includes(kind))
  if (!found)
    throw new UserError(
      `${place}: type_override ${name} is not possible for ${kind}`,
      'change the type of the field, or leave the override out',
    )
  return [type, found[1]]
}

function jsonNamesOf(field: FieldBase): string[] {
  return [...new Set([field.jsonName ?? field.name, field.name])]
}

function enumNames(type: protobuf.Enum): EnumNames {
  const names = new Map<number, string>()
  for (const [name, number] of Object.entries(type.values)) if (!names.has(number)) names.set(number, name)
  return {
    numbers: new Map(Object.entries(type.values)),
    names,
    nullValue: type.fullName === '.google.protobuf.NullValue',
  }
}

function isNumeric(rowType: RowType): boolean {
  return rowType !== 'string' && rowType !== 'bytes' && rowType !== 'message'
}

function isJson(kind: ProtoKind): boolean {
  return COLUMNS[kind][0] === 'JSON'
}
