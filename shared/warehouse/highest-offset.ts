import { tableId } from '../config/index.ts'
import { type StreamName, tableOfStream } from './streams.ts'
import type { Warehouse } from './warehouse.ts'

/** Rows of one partition: Kafka offsets in [from, below), ingested at or after `since` (milliseconds since 1970). */
export interface RowRange {
  readonly topic: string
  readonly partition: number
  readonly from: number
  readonly below: number
  readonly since: number
}

/**
 * The highest Kafka offset among these rows in the stream's own table, which need not be the route's any more, nor have its name for the
 * metadata column; null: there is none, or no such table.
 */
export async function highestOffset(
  warehouse: Warehouse,
  stream: StreamName,
  { since, ...range }: RowRange,
): Promise<number | null> {
  const table = tableOfStream(stream)
  const columns = (await warehouse.tableFields(table)) ?? []
  let found: number | null = null
  for (const { name: m, fields = [] } of columns) {
    if (!fields.some(({ name }) => name === 'kafka_offset')) continue
    const sql = `SELECT MAX(${m}.kafka_offset) AS highest FROM \`${tableId(table)}\`
      WHERE ${m}.kafka_topic = @topic AND ${m}.kafka_partition = @partition
        AND ${m}.kafka_offset >= @from AND ${m}.kafka_offset < @below AND ${m}.ingested_at >= @since`
    for await (const { highest } of warehouse.query(sql, { ...range, since: new Date(since) })) {
      if (highest !== undefined) found = Math.max(found ?? 0, Number(highest))
    }
  }
  return found
}
