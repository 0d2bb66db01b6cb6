import type { TableBody } from '../catalog/state.ts'

type Unit = 'HOUR' | 'DAY' | 'MONTH' | 'YEAR'

/** Whether the time at which a row came decides about its partition. */
export function isIngestionTime(body: TableBody): boolean {
  return body.timePartitioning !== undefined && body.timePartitioning.field === undefined
}

/** For tables that are partitioned by ingestion time: the start of the partition of a time, both in milliseconds. */
export function partitionStart(body: TableBody): ((ms: number) => number) | undefined {
  if (!isIngestionTime(body)) return undefined
  const unit = partitionUnit(body)
  return (ms) => truncate(new Date(ms), unit)
}

export function partitionUnit(body: TableBody): Unit {
  const type = body.timePartitioning?.type.toUpperCase()
  return type === 'HOUR' || type === 'MONTH' || type === 'YEAR' ? type : 'DAY'
}

function truncate(time: Date, unit: Unit): number {
  const month = unit === 'YEAR' ? 0 : time.getUTCMonth()
  const day = unit === 'DAY' || unit === 'HOUR' ? time.getUTCDate() : 1
  return Date.UTC(time.getUTCFullYear(), month, day, unit === 'HOUR' ? time.getUTCHours() : 0)
}
