/** The protobuf type that carries a column in a row (Storage Write API, "data type conversions"). */
export type RowType = 'bool' | 'int64' | 'int32' | 'uint64' | 'double' | 'float' | 'string' | 'bytes' | 'message'

/** BigQuery's column types, by the names of GoogleSQL, and how each travels in a row when no source says otherwise. */
export const ROW_TYPES = {
  STRING: 'string',
  BYTES: 'bytes',
  INT64: 'int64',
  FLOAT64: 'double',
  BOOL: 'bool',
  TIMESTAMP: 'int64',
  DATE: 'int32',
  TIME: 'string',
  DATETIME: 'string',
  NUMERIC: 'string',
  BIGNUMERIC: 'string',
  JSON: 'string',
  GEOGRAPHY: 'string',
  INTERVAL: 'string',
  RECORD: 'message',
} as const satisfies Readonly<Record<string, RowType>>

/** A column's type by its name in GoogleSQL. */
export type ColumnType = keyof typeof ROW_TYPES

export const COLUMN_TYPES = Object.keys(ROW_TYPES)

/** The other names of types: those of legacy SQL, which the REST form prints, and aliases. */
const ALIASES: Readonly<Record<string, string>> = {
  INTEGER: 'INT64',
  FLOAT: 'FLOAT64',
  BOOLEAN: 'BOOL',
  DECIMAL: 'NUMERIC',
  BIGDECIMAL: 'BIGNUMERIC',
  STRUCT: 'RECORD',
}

/** A type by any of its names, in any case; undefined when BigQuery has none such. */
export function columnType(name: string): ColumnType | undefined {
  const upper = name.toUpperCase()
  const type = ALIASES[upper] ?? upper
  return Object.hasOwn(ROW_TYPES, type) ? (type as ColumnType) : undefined
}

/**
 * Protobuf's scalar types, and the well-known messages that become one column: column and row type of each. What BigQuery does
 * not take as it is (zigzag, fixed) becomes int64 or uint64.
 */
export const COLUMNS = {
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
} as const satisfies Readonly<Record<string, readonly [ColumnType, RowType]>>

/** What a field of a message is, as its column sees it. */
export type ProtoKind = keyof typeof COLUMNS

/** Messages that become one column. */
export const WELL_KNOWN: Readonly<Record<string, ProtoKind>> = {
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

/** Messages around one scalar, which make it nullable. */
export const WRAPPERS: Readonly<Record<string, ProtoKind>> = Object.fromEntries(
  ['Double', 'Float', 'Int64', 'UInt64', 'Int32', 'UInt32', 'Bool', 'String', 'Bytes'].map((name) => [
    `.google.protobuf.${name}Value`,
    name.toLowerCase() as ProtoKind,
  ]),
)

type RowTypes = Readonly<Partial<Record<ProtoKind, RowType>>>

const INTEGERS: RowTypes = Object.fromEntries(
  Object.entries(COLUMNS).flatMap(([kind, [type, rowType]]) => (type === 'INT64' ? [[kind, rowType]] : [])),
)
const FLOATS: RowTypes = { double: 'double', float: 'float' }
const TEXT: RowTypes = { string: 'string' }

/** What `type_override` may make of a source: the row type that then carries it. */
export const OVERRIDES: Readonly<Partial<Record<ColumnType, RowTypes>>> = {
  TIMESTAMP: { ...INTEGERS, string: 'int64' },
  DATE: { ...INTEGERS, string: 'int32' },
  DATETIME: { int64: 'int64', ...TEXT },
  TIME: { int64: 'int64', ...TEXT },
  NUMERIC: { ...INTEGERS, ...FLOATS, ...TEXT },
  BIGNUMERIC: { ...INTEGERS, uint64: 'uint64', fixed64: 'uint64', ...FLOATS, ...TEXT },
  INT64: { bool: 'int64', enum: 'int64' },
  BOOL: INTEGERS,
  BYTES: TEXT,
  GEOGRAPHY: TEXT,
  INTERVAL: TEXT,
  JSON: { ...TEXT, message: 'string' },
}
