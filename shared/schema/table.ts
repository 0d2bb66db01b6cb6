import type { TableField } from './bigquery.ts'
import { type ColumnType, rowTypeOf } from './kinds.ts'
import { checkRecord, type RecordField, type RecordType } from './record.ts'
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
const EXTRA_DESCRIPTION = 'fields of the event that the schema does not have'

const METADATA: readonly (readonly [name: string, type: ColumnType, description?: string])[] = [
  ['source', 'STRING', 'the physical file that the event was read from'],
  ['position', 'INT64', 'byte offset of the event in its source'],
  ['size', 'INT64', 'bytes of the event in its source, delimiter included'],
  ['kafka_topic', 'STRING'],
  ['kafka_partition', 'INT64'],
  ['kafka_offset', 'INT64'],
  ['ingested_at', 'TIMESTAMP', 'when the row was made'],
]

/**
 * The record of a route's table: the event's columns, the metadata column, and `extra` when unknown fields are kept.
 * @throws UserError when the schema has a column of such a name already, or too many with them
 */
export function withMetadata(record: RecordType, metadata: string, keep: boolean): RecordType {
  const added = [metadataField(metadata, freeNumber(record, 1))]
  if (keep) added.push(column(EXTRA, 'JSON', freeNumber(record, 2), EXTRA_DESCRIPTION))
  const taken = new Set(record.fields.map((field) => field.name.toLowerCase()))
  for (const { name } of added) if (taken.has(name.toLowerCase())) throw nameTaken(record, name, name === metadata)
  if (keep && metadata.toLowerCase() === EXTRA) throw nameTaken(record, EXTRA, true)
  const row = { ...record, fields: [...record.fields, ...added] }
  checkRecord(row, `schema ${record.name} with the columns that Millrace adds`)
  return row
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
  const fields = METADATA.map(([name, type, description], index) => column(name, type, index + 1, description))
  const record: RecordType = { name, origin: 'bigquery', fields, ignored: [] }
  return { ...column(name, 'RECORD', number, 'where the event came from'), record }
}

function column(name: string, type: ColumnType, number: number, description?: string): RecordField {
  const attributes = description ? { description } : {}
  return { name, type, mode: 'NULLABLE', number, rowType: rowTypeOf(type), packed: false, attributes }
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
