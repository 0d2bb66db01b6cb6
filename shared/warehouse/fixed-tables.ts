import { type Route, type TableName, tableId } from '../config/index.ts'
import { descriptorOf, recordFromTableSchema, type TableField } from '../schema/index.ts'
import type { TableSpec, ViewSpec } from './table-spec.ts'
import { field, varint } from './wire.ts'

/** A table whose columns Millrace defines itself: scalars only, all nullable. */
export interface FixedTable extends TableSpec {
  readonly name: string
  /** Self-contained descriptor of its rows: field n is column n. */
  readonly descriptor: object
}

export type FixedValue = string | number | Uint8Array | null | undefined

/** DESIGN section 11. */
export const DEAD_LETTERS: FixedTable = fixedTable(
  'millrace_dead_letters',
  'Events that could not become rows. Written at least once: read millrace_dead_letters_open.',
  `route STRING, reason STRING, field STRING, message STRING, bytes BYTES, source STRING, position INT64, size INT64,
  kafka_topic STRING, kafka_partition INT64, kafka_offset INT64, object STRING, failed_at TIMESTAMP`,
)

/** One row for each finished source, or part of one, that chunk-load has met. Written at least once. */
export const SOURCES: FixedTable = fixedTable(
  'millrace_sources',
  'Finished sources and where they end. Written at least once: read millrace_sources_once.',
  `source STRING, agent STRING, route STRING, path STRING, start INT64, size INT64, events INT64, object STRING,
  generation INT64, ranges JSON, finished_at TIMESTAMP`,
)

export const DEAD_LETTERS_VIEW = 'millrace_dead_letters_open'
export const SOURCES_VIEW = 'millrace_sources_once'

/** The fixed table or view of that name beside a route's table. */
export const beside = (table: TableName, name: string): TableName => ({ ...table, table: name })

/** One row for each object, however often it was written. */
export function sourcesView(dataset: TableName): ViewSpec {
  return {
    description: 'Finished sources, each once.',
    sql: `SELECT * FROM \`${tableId(beside(dataset, SOURCES.name))}\`
WHERE TRUE
QUALIFY ROW_NUMBER() OVER (PARTITION BY object, generation ORDER BY finished_at) = 1`,
  }
}

/** Beside the table of a route that is written at least once. */
export const onceViewOf = (table: TableName): TableName => ({ ...table, table: `${table.table}_once` })

/** The first of those that share their coordinates: source and position, or else those in Kafka. Those that have none are all there. */
function onceEach(row: string, orderedBy: string): string {
  const inKafka = ['kafka_topic', 'kafka_partition', 'kafka_offset'].map(
    (name) => `IF(${row}.source IS NULL, ${row}.${name}, NULL)`,
  )
  return `QUALIFY (${row}.source IS NULL AND ${row}.kafka_offset IS NULL) OR ROW_NUMBER() OVER (
  PARTITION BY ${row}.source, ${row}.position, ${inKafka.join(', ')}
  ORDER BY ${row}.${orderedBy}
) = 1`
}

/** One row for each coordinates. */
export function onceView({ table, metadata }: Route): ViewSpec {
  return {
    description: `The rows of ${table.table}, which is written at least once, each once.`,
    sql: `SELECT * FROM \`${tableId(table)}\`\nWHERE TRUE\n${onceEach(metadata, 'ingested_at')}`,
  }
}

/** One letter for each coordinates, and none that has a row: newer code may have made one of the same event. */
export function deadLettersView(routes: readonly Route[], dataset: TableName): ViewSpec {
  return {
    description: 'Events that have no row, each once.',
    sql: `SELECT d.* FROM \`${tableId(beside(dataset, DEAD_LETTERS.name))}\` AS d
WHERE TRUE${routes.map(withoutRowIn).join('')}\n${onceEach('d', 'failed_at')}`,
  }
}

export const inSameDataset = (a: TableName, b: TableName): boolean => a.project === b.project && a.dataset === b.dataset

function withoutRowIn({ table, metadata: m }: Route): string {
  const rows = `SELECT 1 FROM \`${tableId(table)}\` AS r WHERE`
  return `
  AND NOT EXISTS (${rows} r.${m}.source = d.source AND r.${m}.position = d.position)
  AND (d.source IS NOT NULL OR NOT EXISTS (${rows} r.${m}.kafka_topic = d.kafka_topic
    AND r.${m}.kafka_partition = d.kafka_partition AND r.${m}.kafka_offset = d.kafka_offset))`
}

/** @param columns as in SQL; the last one is what the table is partitioned by */
function fixedTable(name: string, description: string, columns: string): FixedTable {
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
