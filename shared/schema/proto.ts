import protobuf, { type Field, type Type } from 'protobufjs'
import { UserError } from '../errors.ts'
import { attributesOf } from './bigquery.ts'
import { COLUMN_TYPES, COLUMNS, columnType, OVERRIDES, type ProtoKind, WELL_KNOWN, WRAPPERS } from './kinds.ts'
import type { ColumnType, RowType } from './kinds.ts'
import {
  COLUMNS_MAX,
  DEPTH_MAX,
  type IgnoredField,
  type ProtoSource,
  type RecordField,
  type RecordType,
} from './record.ts'

/**
 * A message of a `.proto` file as a record: columns by the tables of kinds.ts, maps as REPEATED RECORD<key, value>, the
 * point of recursion as JSON, options of protoc-gen-bq-schema obeyed.
 * @throws UserError that names the field
 */
export function recordFromMessage(type: Type, where: string): RecordType {
  return { ...new Converter(where).record(type, []), indexes: indexesOf(type) }
}

/** As Confluent's Java serializer counts: messages of the same file only, entries of maps not. */
function indexesOf(type: Type): number[] {
  const { parent, filename } = type
  const messages = (parent?.nestedArray ?? []).filter(
    (object) => object instanceof protobuf.Type && object.filename === filename,
  )
  return [...(parent instanceof protobuf.Type ? indexesOf(parent) : []), messages.indexOf(type)]
}

/** Row types whose values have a length before them: they are never packed. */
const SIZED: readonly RowType[] = ['string', 'bytes', 'message']

/** What a field's value becomes, wherever it stands. */
type Value = Pick<RecordField, 'type' | 'rowType' | 'packed' | 'record'> & { readonly proto: ProtoSource }

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
    const place = `${this.where}: field ${path.map((type) => type.name).join('.')}.${field.name}`
    if (++this.columns > COLUMNS_MAX) {
      throw new UserError(`${place}: more than ${COLUMNS_MAX} columns`, 'BigQuery allows no more')
    }
    if (field instanceof protobuf.MapField) return { ...common(field, options, jsonNames), ...this.map(field, path) }
    const natural = kindOf(field, path)
    const value = this.value(field, path, natural, overrideOf(options, natural, place))
    return isEmpty(value) ? undefined : { ...common(field, options, jsonNames), ...value }
  }

  private value(field: Field, path: readonly Type[], natural: ProtoKind, override?: Override): Value {
    const message = messageOf(field)
    const kind = override && natural === 'message' ? 'json' : natural
    const [type, rowType] = override ?? COLUMNS[kind]
    return {
      type,
      rowType,
      packed: field.packed && field.repeated && !message && !SIZED.includes(rowType),
      proto: protoSource(field, kind),
      record: kind === 'message' && message ? this.record(message, path) : undefined,
    }
  }

  private map(field: Field & protobuf.MapField, path: readonly Type[]): Value {
    const natural = this.value(field, path, kindOf(field, path))
    const value = isEmpty(natural) ? this.value(field, path, 'json') : natural
    const kind = field.keyType as ProtoKind
    const [type, rowType] = COLUMNS[kind]
    const key = { type, rowType, packed: false, proto: { kind, ...ENTRY } }
    const fields = [
      entryField('key', 1, key),
      entryField('value', 2, { ...value, proto: { ...value.proto, ...ENTRY } }),
    ]
    return {
      type: 'RECORD',
      rowType: 'message',
      packed: false,
      proto: { ...protoSource(field, 'message'), wrapper: false, map: true },
      record: { name: field.name, origin: 'proto', fields, ignored: [] },
    }
  }
}

/** Key and value of a map are known by their numbers alone, and are their defaults when they are absent. */
const ENTRY = { jsonNames: [], presence: 'implicit', oneof: -1, map: false } as const

function entryField(name: string, number: number, value: Value): RecordField {
  return { name, number, mode: 'NULLABLE', attributes: {}, ...value }
}

function messageOf({ resolvedType }: Field): Type | undefined {
  return resolvedType instanceof protobuf.Type ? resolvedType : undefined
}

function kindOf(field: Field, path: readonly Type[]): ProtoKind {
  const message = messageOf(field)
  if (!message) return field.resolvedType ? 'enum' : (field.type as ProtoKind)
  const known = WRAPPERS[message.fullName] ?? WELL_KNOWN[message.fullName]
  if (known) return known
  return path.includes(message) || path.length > DEPTH_MAX || message.fieldsArray.length === 0 ? 'json' : 'message'
}

/** A message of which all fields are ignored: BigQuery has no RECORD without columns. */
function isEmpty({ record }: Value): boolean {
  return record?.fields.length === 0
}

type Options = Readonly<Record<string, unknown>>

/** The option message `(gen_bq_schema.NAME)`, in both ways of writing it; that of an extension is where it is declared. */
function optionsOf(object: Field | Type, name: string): Options {
  const key = `(gen_bq_schema.${name})`
  const declared = (object instanceof protobuf.Field && object.declaringField) || object
  const parsed = (declared.parsedOptions ?? []) as readonly Readonly<Record<string, unknown>>[]
  return Object.assign({}, ...parsed.map((option) => option[key] ?? {})) as Options
}

function textOf(options: Options, key: string): string | undefined {
  const value = options[key]
  return typeof value === 'string' && value !== '' ? value : undefined
}

function protoSource(field: Field, kind: ProtoKind): ProtoSource {
  const { partOf, parent, resolvedType } = field
  const inOneof = partOf && !partOf.isProto3Optional && parent instanceof protobuf.Type
  const message = messageOf(field)
  return {
    kind,
    wrapper: message !== undefined && message.fullName in WRAPPERS,
    jsonNames: jsonNamesOf(field),
    presence: presenceOf(field, kind),
    oneof: inOneof ? parent.oneofsArray.indexOf(partOf) : -1,
    delimited: field.delimited,
    enum: resolvedType instanceof protobuf.Enum ? resolvedType.values : undefined,
    nullValue: resolvedType?.fullName === '.google.protobuf.NullValue',
    message: COLUMNS[kind][0] === 'JSON' ? message : undefined,
  }
}

function presenceOf(field: Field, kind: ProtoKind): ProtoSource['presence'] {
  if (field.repeated || field.map) return 'explicit'
  if (field.required) return 'required'
  if (field.partOf || field.hasPresence) return 'explicit'
  return field.resolvedType === null || kind === 'enum' ? 'implicit' : 'explicit'
}

function common(field: Field, options: Options, jsonNames: boolean) {
  const required = field.required || options['require'] === true
  const mode = field.repeated || field.map ? 'REPEATED' : required ? 'REQUIRED' : 'NULLABLE'
  const own = field.declaringField ?? field
  const name = textOf(options, 'name') ?? (jsonNames ? (own.jsonName ?? own.name) : own.name)
  const tag = textOf(options, 'policy_tags')
  const attributes = attributesOf({
    description: options['description'] ?? field.comment,
    policyTags: tag && { names: [tag] },
    defaultValueExpression: options['default_value_expression'],
  })
  return { name, mode, number: field.id, attributes } as const
}

type Override = readonly [ColumnType, RowType]

function overrideOf(options: Options, kind: ProtoKind, place: string): Override | undefined {
  const name = textOf(options, 'type_override')
  if (name === undefined) return undefined
  const type = columnType(name)
  if (!type) {
    const fix = `use one of ${COLUMN_TYPES.join(', ')}`
    throw new UserError(`${place}: type_override ${name} is no type of BigQuery`, fix)
  }
  if (COLUMNS[kind][0] === type) return undefined
  const rowType = OVERRIDES[type]?.[kind]
  if (rowType) return [type, rowType]
  const fix = 'change the type of the field, or leave the override out'
  throw new UserError(`${place}: type_override ${name} is not possible for ${kind}`, fix)
}

/** An extension goes by its full name in brackets. */
function jsonNamesOf(field: Field): string[] {
  if (field.declaringField) return [`[${field.declaringField.fullName.slice(1)}]`]
  return [...new Set([field.jsonName ?? field.name, field.name])]
}
