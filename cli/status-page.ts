import type { Position, StatusReport } from '../shared/status/report.ts'
import { layOut } from './table.ts'

type Row = Readonly<Record<string, unknown>>

/** Rows of a part that are shown; `--json` has all. */
const ROWS_MAX = 30

/** A status for people: a heading and a table for each part, and what is wrong at the end. */
export function pageOf({ unreachable, ...report }: StatusReport, wrong: readonly string[]): string {
  const { agent, positions, consumer, chunks, dead_letters } = report
  const parts = [
    agent &&
      section(
        `agent here: ${agent.agent}, ${agent.in_touch ? '' : 'not '}in touch with Kafka, behind by ${agent.lag_bytes} bytes and ${agent.lag_seconds} s`,
        agent.open
          .toSorted((a, b) => b.lag_bytes - a.lag_bytes)
          .map(({ chunks, ...source }) => ({ ...source, chunk: chunks.at(-1) })),
      ),
    positions && section('agents in Kafka', agentRows(positions)),
    consumer &&
      section(
        `consumer: group ${consumer.group}, members: ${consumer.members}`,
        consumer.partitions.toSorted((a, b) => b.lag - a.lag),
      ),
    chunks &&
      section(
        `chunks since ${chunks.since}: ${chunks.seen}, of these ${chunks.undecided} undecided, ${chunks.waiting} not committed, ${chunks.failed} failed${chunks.cut ? `; more than are looked at, cut at ${chunks.cut}` : ''}`,
        chunks.listed,
      ),
    dead_letters && section('dead letters of the last day', dead_letters),
    ...Object.entries(unreachable).map(([name, reason]) => `${name} cannot be asked: ${reason}\n\n`),
  ]
  const verdict = wrong.length > 0 ? `wrong:\n${wrong.map((what) => `  ${what}\n`).join('')}` : 'all well\n'
  return `${parts.filter((part) => part !== undefined).join('')}${verdict}`
}

function section(title: string, rows: readonly object[]): string {
  const table = rows.length > 0 ? layOut(rows.slice(0, ROWS_MAX) as Row[]) : 'none\n'
  const more = rows.length > ROWS_MAX ? `... and ${rows.length - ROWS_MAX} more: --json has all\n` : ''
  return `${title}\n${`${table}${more}`.replaceAll(/^(?=.)/gm, '  ')}\n`
}

/** A line for each agent and topic: its sources are too many. */
function agentRows(positions: readonly Position[]): Row[] {
  const groups = Map.groupBy(positions, ({ agent, topic }) => `${agent} ${topic}`)
  return Array.from(groups.values(), (group) => {
    const { agent, topic } = group[0]!
    const known = group.filter(({ retired }) => !retired)
    const finished = known.filter(({ size }) => size !== undefined).length
    const bytes = group.reduce((sum, { position }) => sum + position, 0)
    return { agent, topic, sources: known.length, finished, retired: group.length - known.length, bytes }
  })
}
