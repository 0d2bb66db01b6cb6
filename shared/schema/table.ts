import type { TableField } from './bigquery.ts'
import type { ColumnType, RowType } from './kinds.ts'
import type { RecordField, RecordType } from './record.ts'
import { UserError } from '../errors.ts'

const REST_NAMES: Readonly<Partial<Record<ColumnType, string>>> = {
  INT64: 'INTEGER',
  FLOAT64: 'FLOAT',
  BOOL: 'BOOLEAN',
}

/** The columns of a record in BigQuery's REST form (legacy names, as tables.get answers them). */
export function tableFields(record: RecordType): TableField[] {
  return record.fields.map((field) => ({
    name: field.name,
    type: REST_NAMES[field.type] ?? field.type,
    mode: field.mode,
    ...(field.record ? { fields: tableFields(field.record) } : {}),
    ...field.attributes,
  }))
}

/** The column that `unknown: keep` fills. */
export const EXTRA = 'extra'

const METADATA: readonly (readonly [string, ColumnType, RowType, string])[] = [
  ['source', 'STRING', 'string', 'the physical file that the event was read from'],
  ['position', 'INT64', 'int64', 'byte offset of the event in its source'],
  ['size', 'INT64', 'int64', 'bytes of the event in its source, delimiter included'],
  ['kafka_topic', 'STRING', 'string', ''],
  ['kafka_partition', 'INT64', 'int64', ''],
  ['kafka_offset', 'INT64', 'int64', ''],
  ['ingested_at', 'TIMESTAMP', 'int64', 'when the row was made'],
]

/**
 * The record of a route's table: the event's columns, the metadata column, and `extra` when unknown fields are kept.
 * @throws UserError when the schema has a column of such a name already
 */
export function withMetadata(record: RecordType, metadata: string, keep: boolean): RecordType {
  const added = [metadataField(metadata, freeNumber(record, 1)), ...(keep ? [extraField(freeNumber(record, 2))] : [])]
  const taken = new Set(record.fields.map((field) => field.name.toLowerCase()))
  for (const { name } of added) if (taken.has(name.toLowerCase())) throw nameTaken(record, name, name === metadata)
  if (keep && metadata.toLowerCase() === EXTRA) throw nameTaken(record, EXTRA, true)
  return { ...record, fields: [...record.fields, ...added] }
}

function nameTaken(record: RecordType, name: string, isMetadata: boolean): UserError {
  return new UserError(
    `schema ${record.name}: the column ${name} is one that Millrace adds`,
    isMetadata
      ? 'name the metadata column otherwise: metadata: NAME in the route'
      : 'write unknown: drop or unknown: reject in the route, or rename the column',
  )
}

function metadataField(name: string, number: number): RecordField {
  const fields = METADATA.map(([name, type, rowType, description], index) => {
    const attributes = description ? { description } : {}
    return { name, type, mode: 'NULLABLE' as const, number: index + 1, rowType, packed: false, attributes }
  })
  const record: RecordType = { name, origin: 'bigquery', fields, ignored: [] }
  const attributes = { description: 'where the event came from' }
  return { name, type: 'RECORD', mode: 'NULLABLE', number, rowType: 'message', packed: false, record, attributes }
}

function extraField(number: number): RecordField {
  const attributes = { description: 'fields of the event that the schema does not have' }
  return { name: EXTRA, type: 'JSON', mode: 'NULLABLE', number, rowType: 'string', packed: false, attributes }
}

const NUMBER_MAX = 536_870_911

/** The nth number above all of the record's that protobuf allows; below them when the top one is taken. */
function freeNumber(record: RecordType, nth: number): number {
  const taken = new Set([...record.fields, ...record.ignored].map((field) => field.number))
  const usable = (n: number) => !taken.has(n) && (n < 19_000 || n > 19_999)
  let candidate = [...taken].reduce((a, b) => Math.max(a, b), 0)
  const step = candidate + 1_002 > NUMBER_MAX ? -1 : 1
  for (let found = 0; found < nth; ) if (usable((candidate += step))) found++
  return candidate
}
