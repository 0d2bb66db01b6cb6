import { type Route, type TableName, tableId } from '../config/index.ts'
import { beside, DEAD_LETTERS, SOURCES } from './fixed-tables.ts'

/** A view that Millrace keeps beside its tables, which are written at least once. */
export interface ViewSpec {
  readonly name: TableName
  readonly description: string
  readonly sql: string
}

/** A route whose table is there, and the condition without which that refuses to be asked (FoundTable). */
export type RouteTable = Route & { readonly everyRow: string }

/** Dead letters that have no row, each once. */
export const DEAD_LETTERS_VIEW = 'millrace_dead_letters_open'
/** Finished sources, each once. */
export const SOURCES_VIEW = 'millrace_sources_once'

/** One row for each object, however often it was written. */
export function sourcesView(table: TableName): ViewSpec {
  return {
    name: beside(table, SOURCES_VIEW),
    description: 'Finished sources, each once.',
    sql: `SELECT * FROM \`${tableId(beside(table, SOURCES.name))}\`
WHERE TRUE
QUALIFY ROW_NUMBER() OVER (PARTITION BY object, generation ORDER BY finished_at) = 1`,
  }
}

/** One row for each coordinates, beside the table of a route that is written at least once. */
export function onceView({ table, metadata, everyRow }: RouteTable): ViewSpec {
  return {
    name: beside(table, `${table.table}_once`),
    description: `The rows of ${table.table}, which is written at least once, each once.`,
    sql: `SELECT * FROM \`${tableId(table)}\`\nWHERE ${everyRow}\n${onceEach(`\`${metadata}\``, 'ingested_at')}`,
  }
}

/** One letter for each coordinates, and none that has a row: newer code may have made one of the same event. */
export function deadLettersView(routes: readonly RouteTable[], table: TableName): ViewSpec {
  return {
    name: beside(table, DEAD_LETTERS_VIEW),
    description: 'Events that have no row, each once.',
    sql: `SELECT d.* FROM \`${tableId(beside(table, DEAD_LETTERS.name))}\` AS d
WHERE TRUE${routes.map(withoutRowIn).join('')}\n${onceEach('d', 'failed_at')}`,
  }
}

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

function withoutRowIn({ table, metadata: m, everyRow }: RouteTable): string {
  const rows = `SELECT 1 FROM \`${tableId(table)}\` AS r WHERE ${everyRow} AND`
  return `
  AND NOT EXISTS (${rows} r.${m}.source = d.source AND r.${m}.position = d.position)
  AND (d.source IS NOT NULL OR NOT EXISTS (${rows} r.${m}.kafka_topic = d.kafka_topic
    AND r.${m}.kafka_partition = d.kafka_partition AND r.${m}.kafka_offset = d.kafka_offset))`
}
