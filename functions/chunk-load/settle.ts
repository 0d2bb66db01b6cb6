import type { ObjectView, Ranges } from '../../shared/chunks/index.ts'
import { tableId } from '../../shared/config/index.ts'
import { beside, defaultStream, encodeFixedRow, SOURCES } from '../../shared/warehouse/index.ts'
import type { Environment } from './environment.ts'
import type { Plan } from './plan.ts'

/** Adds the chunk's row to `millrace_sources`: at least once, its view shows one. */
export async function recordSource(
  { warehouse, config }: Environment,
  plan: Plan,
  object: ObjectView,
  read: { events: number; end: number },
): Promise<void> {
  const { chunk, route } = plan
  const row = encodeFixedRow(SOURCES, {
    source: plan.source,
    agent: chunk?.agent,
    route: route.name,
    path: chunk?.path ?? `gs://${config.bucket}/${object.name}`,
    start: plan.start,
    size: chunk ? plan.size : read.end,
    events: chunk?.events ?? read.events,
    object: object.name,
    generation: Number(object.generation),
    ranges: JSON.stringify(chunk ? plan.ranges : [[0, read.end]]),
    finished_at: object.createdMs * 1000,
  })
  const appender = warehouse.openAppender(defaultStream(beside(route.table, SOURCES.name)), SOURCES.descriptor)
  try {
    const answer = await appender.append(row, undefined)
    if (answer.kind !== 'written') throw new Error(`${SOURCES.name}: ${answer.kind}`)
  } finally {
    appender.close()
  }
}

/**
 * Whether the table has a row that this chunk carried: of its source, within its ranges and without a Kafka topic, because what
 * Kafka carried of the same source does not count.
 */
export async function carriesRow({ warehouse }: Environment, plan: Plan): Promise<boolean> {
  const { route, source } = plan
  const m = route.metadata
  const { everyRow = 'TRUE' } = (await warehouse.findTable(route.table)) ?? {}
  const sql = `SELECT 1 AS one FROM \`${tableId(route.table)}\` AS t
WHERE t.${m}.source = @source AND t.${m}.kafka_topic IS NULL AND (${within(`t.${m}.position`, plan.ranges)}) AND ${everyRow} LIMIT 1`
  for await (const _row of warehouse.query(sql, { source })) return true
  return false
}

function within(position: string, ranges: Ranges): string {
  if (ranges === 'undecided' || ranges.length === 0) return 'FALSE'
  const until = (to: number) => Math.min(to, Number.MAX_SAFE_INTEGER)
  return ranges.map(([from, to]) => `${position} >= ${from} AND ${position} < ${until(to)}`).join(' OR ')
}
