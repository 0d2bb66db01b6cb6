import type { TableName } from '../config/index.ts'
import { descriptorOf, recordFromTableSchema, type TableField } from '../schema/index.ts'
import { field, varint } from './wire.ts'

/** A table whose columns Millrace defines itself: scalars only, all nullable. Field n of its rows' descriptor is column n. */
type FixedTable = ReturnType<typeof fixedTable>

/** What a column takes. */
type FixedValue = string | number | Uint8Array | null | undefined

/** DESIGN section 11. */
export const DEAD_LETTERS = fixedTable(
  'millrace_dead_letters',
  'Events that could not become rows. Written at least once: read millrace_dead_letters_open.',
  `route STRING, reason STRING, field STRING, message STRING, bytes BYTES, source STRING, position INT64, size INT64,
  kafka_topic STRING, kafka_partition INT64, kafka_offset INT64, object STRING, failed_at TIMESTAMP`,
)

/** One row for each finished source, or part of one, that chunk-load has met. Written at least once. */
export const SOURCES = fixedTable(
  'millrace_sources',
  'Finished sources and where they end. Written at least once: read millrace_sources_once.',
  `source STRING, agent STRING, route STRING, path STRING, start INT64, size INT64, events INT64, object STRING,
  generation INT64, ranges JSON, finished_at TIMESTAMP`,
)

/** The fixed table or view of that name beside a route's table. */
export const beside = (table: TableName, name: string): TableName => ({ ...table, table: name })

/** @param columns as in SQL; the last one is what the table is partitioned by */
function fixedTable(name: string, description: string, columns: string) {
  const fields = columns.split(/,\s+/).map((column): TableField => {
    const [called = '', type = ''] = column.split(' ')
    return { name: called, type }
  })
  const partition = { by: 'day', field: fields.at(-1)?.name } as const
  return { name, description, fields, partition, descriptor: descriptorOf(recordFromTableSchema(fields, name, name)) }
}

/** One entry of ProtoRows: field 1, length, row. Numbers are integers from 0 on, timestamps micros; null and undefined become NULL. */
export function encodeFixedRow(table: FixedTable, row: Readonly<Record<string, FixedValue>>): Buffer {
  const cells = table.fields.flatMap(({ name }, index) => {
    const value = row[name]
    if (typeof value === 'number') return [varint((index + 1) * 8), varint(value)]
    return value === null || value === undefined ? [] : field(index + 1, Buffer.from(value))
  })
  return field(1, Buffer.concat(cells))
}
