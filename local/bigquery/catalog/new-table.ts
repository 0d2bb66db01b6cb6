import { randomBytes } from 'node:crypto'
import type { Table, TableBody } from './state.ts'

/** A table made now, with an identity of its own. */
export function newTable(
  name: { project: string; dataset: string; table: string },
  body: TableBody,
  nowMs: number,
): Table {
  const { project, dataset, table } = name
  return { uid: randomBytes(10).toString('hex'), project, dataset, table, createdMs: nowMs, modifiedMs: nowMs, body }
}
