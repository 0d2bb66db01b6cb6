import { storageRoot } from '../rows/descriptor.ts'
import { canonicalType, modeOf, type TableField } from '../types.ts'

/** Messages of google.cloud.bigquery.storage.v1 as plain objects, as far as this server reads and writes them. */
export interface Timestamp {
  seconds: number
  nanos: number
}

export interface WriteStreamMessage {
  name: string
  type: number
  createTime?: Timestamp
  commitTime?: Timestamp
  tableSchema?: TableSchemaMessage
  location?: string
  writeMode?: number
}

export interface TableSchemaMessage {
  fields: FieldMessage[]
}

interface FieldMessage {
  name: string
  type: number
  mode: number
  fields?: FieldMessage[]
  description?: string
  defaultValueExpression?: string
}

export interface StorageError {
  code: StorageErrorCode
  entity: string
  message: string
}

export const STORAGE_ERROR_CODES = {
  STORAGE_ERROR_CODE_UNSPECIFIED: 0,
  TABLE_NOT_FOUND: 1,
  STREAM_ALREADY_COMMITTED: 2,
  STREAM_NOT_FOUND: 3,
  INVALID_STREAM_TYPE: 4,
  INVALID_STREAM_STATE: 5,
  STREAM_FINALIZED: 6,
  SCHEMA_MISMATCH_EXTRA_FIELDS: 7,
  OFFSET_ALREADY_EXISTS: 8,
  OFFSET_OUT_OF_RANGE: 9,
} as const
export type StorageErrorCode = keyof typeof STORAGE_ERROR_CODES

/** Encodes and decodes a message type of the service. int64 fields are numbers, enums are numbers. */
export function codec<T extends object>(name: string): { encode(value: T): Buffer; decode(bytes: Buffer): T } {
  const type = storageRoot.lookupType(name)
  return {
    encode: (value) => Buffer.from(type.encode(type.create(value)).finish()),
    decode: (bytes) => type.toObject(type.decode(bytes), { longs: Number, defaults: true }) as T,
  }
}

const v1 = (name: string) => `google.cloud.bigquery.storage.v1.${name}`
const storageError = codec<{ code: number; entity: string; errorMessage: string }>(v1('StorageError'))
export const rpcStatus = codec<StatusMessage>('google.rpc.Status')
export const appendRowsResponse = codec<AppendRowsResponse>(v1('AppendRowsResponse'))
export const writeStream = codec<WriteStreamMessage>(v1('WriteStream'))

export interface StatusMessage {
  code: number
  message: string
  details?: { type_url: string; value: Buffer }[]
}

export interface AppendRowsResponse {
  appendResult?: { offset?: { value: number } }
  error?: StatusMessage
  rowErrors?: { index: number; code: number; message: string }[]
  updatedSchema?: TableSchemaMessage
  writeStream?: string
}

export function storageErrorMessage({ code, entity, message }: StorageError): {
  code: number
  entity: string
  errorMessage: string
} {
  return { code: STORAGE_ERROR_CODES[code], entity, errorMessage: message }
}

/** google.rpc.Status with a StorageError as its detail, as the service packs it. */
export function statusMessage(code: number, message: string, error?: StorageError): StatusMessage {
  if (error === undefined) return { code, message }
  const value = storageError.encode(storageErrorMessage(error))
  return { code, message, details: [{ type_url: `type.googleapis.com/${v1('StorageError')}`, value }] }
}

const FIELD_TYPES: Readonly<Record<string, number>> = {
  STRING: 1,
  INT64: 2,
  FLOAT64: 3,
  RECORD: 4,
  BYTES: 5,
  BOOL: 6,
  TIMESTAMP: 7,
  DATE: 8,
  TIME: 9,
  DATETIME: 10,
  GEOGRAPHY: 11,
  NUMERIC: 12,
  BIGNUMERIC: 13,
  INTERVAL: 14,
  JSON: 15,
}
const FIELD_MODES = { NULLABLE: 1, REQUIRED: 2, REPEATED: 3 } as const

/** A table's schema in the form of the Storage API. */
export function tableSchemaMessage(fields: readonly TableField[]): TableSchemaMessage {
  return {
    fields: fields.map((field) => ({
      name: field.name,
      type: FIELD_TYPES[canonicalType(field.type) ?? ''] ?? 0,
      mode: FIELD_MODES[modeOf(field)],
      ...(field.fields && { fields: tableSchemaMessage(field.fields).fields }),
      ...(field.description !== undefined && { description: field.description }),
      ...(field.defaultValueExpression !== undefined && { defaultValueExpression: field.defaultValueExpression }),
    })),
  }
}

/** Microseconds or milliseconds since 1970 as a Timestamp. */
export function timestampOfMs(ms: number): Timestamp {
  return { seconds: Math.floor(ms / 1000), nanos: Math.floor((ms % 1000) * 1e6) }
}
