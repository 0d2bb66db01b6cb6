import { recordFromTableSchema, type TableField } from './bigquery.ts'
import type { ColumnType } from './kinds.ts'
import { checkRecord, type RecordType } from './record.ts'
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

const METADATA: readonly TableField[] = [
  { name: 'source', type: 'STRING', description: 'the physical file that the event was read from' },
  { name: 'position', type: 'INT64', description: 'byte offset of the event in its source' },
  { name: 'size', type: 'INT64', description: 'bytes of the event in its source, delimiter included' },
  { name: 'kafka_topic', type: 'STRING' },
  { name: 'kafka_partition', type: 'INT64' },
  { name: 'kafka_offset', type: 'INT64' },
  { name: 'ingested_at', type: 'TIMESTAMP', description: 'when the row was made' },
]

/**
 * The record of a route's table: the event's columns, the metadata column, and `extra` when unknown fields are kept.
 * @throws UserError when the schema has a column of such a name already, or too many with them
 */
export function withMetadata(record: RecordType, metadata: string, keep: boolean): RecordType {
  const columns: TableField[] = [
    { name: metadata, type: 'RECORD', description: 'where the event came from', fields: METADATA },
  ]
  if (keep) columns.push({ name: EXTRA, type: 'JSON', description: EXTRA_DESCRIPTION })
  const { fields } = recordFromTableSchema(columns, record.name, 'added columns')
  const added = fields.map((field, index) => ({ ...field, number: freeNumber(record, index + 1) }))
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
