import { tableId } from '../config/index.ts'
import type { Call } from './protocol/events.ts'
import { tableOfStream } from './streams.ts'
import type { Warehouse } from './warehouse.ts'

/** By these Millrace's own column is known, whatever its name: an event may have a record of its own with some of them. */
const ASKED = ['kafka_topic', 'kafka_partition', 'kafka_offset', 'ingested_at']

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
  for (const { name, fields = [] } of columns) {
    if (!ASKED.every((asked) => fields.some((field) => field.name === asked))) continue
    const m = `\`${name}\``
    const sql = `SELECT MAX(${m}.kafka_offset) AS highest FROM \`${tableId(table)}\`
      WHERE ${m}.kafka_topic = @topic AND ${m}.kafka_partition = @partition
        AND ${m}.kafka_offset >= @from AND ${m}.kafka_offset < @below AND ${m}.ingested_at >= @since AND ${everyRow}`
    for await (const { highest } of warehouse.query(sql, parameters))
      if (highest !== undefined) found = Math.max(found ?? 0, Number(highest))
  }
  return found
}
