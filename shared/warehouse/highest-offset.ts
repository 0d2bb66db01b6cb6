import { tableId } from '../config/index.ts'
import type { Call } from './protocol/events.ts'
import { tableOfStream } from './streams.ts'
import type { Warehouse } from './warehouse.ts'

/**
 * The highest Kafka offset among the rows that are asked for in the stream's own table, which need not be the route's any more, nor have its name for the
 * metadata column; null: there is none, or no such table.
 */
export async function highestOffset(
  warehouse: Warehouse,
  { topic, partition }: { readonly topic: string; readonly partition: number },
  { stream, from, below, since }: Call & { kind: 'ask' },
): Promise<number | null> {
  const table = tableOfStream(stream)
  const { fields: columns = [], everyRow } = (await warehouse.findTable(table)) ?? {}
  const parameters = { topic, partition, from, below, since: new Date(since) }
  let found: number | null = null
  for (const { name: m, fields = [] } of columns) {
    if (!fields.some(({ name }) => name === 'kafka_offset')) continue
    const sql = `SELECT MAX(${m}.kafka_offset) AS highest FROM \`${tableId(table)}\`
      WHERE ${m}.kafka_topic = @topic AND ${m}.kafka_partition = @partition
        AND ${m}.kafka_offset >= @from AND ${m}.kafka_offset < @below AND ${m}.ingested_at >= @since AND ${everyRow}`
    for await (const { highest } of warehouse.query(sql, parameters)) {
      if (highest !== undefined) found = Math.max(found ?? 0, Number(highest))
    }
  }
  return found
}
