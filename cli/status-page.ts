import { isUnreachable, type Position, type StatusReport, type Unreachable } from '../shared/status/report.ts'
import { layOut } from './table.ts'

type Row = Readonly<Record<string, unknown>>

/** Rows of a part that are shown; `--json` has all. */
const ROWS_MAX = 30

/** A status for people: a heading and a table for each part, and what is wrong at the end. */
export function pageOf(
  { agent, positions, consumer, chunks, dead_letters }: StatusReport,
  wrong: readonly string[],
): string {
  const parts = [
    section('agent here', agent, ({ agent, in_touch, lag_bytes, lag_seconds, open }) => [
      `${agent}: ${in_touch ? 'in touch with Kafka' : 'not in touch with Kafka'}, behind by ${lag_bytes} bytes and ${lag_seconds} s`,
      open
        .toSorted((a, b) => b.lag_bytes - a.lag_bytes)
        .map(({ chunks, ...source }) => ({ ...source, chunk: chunks.at(-1) })),
    ]),
    section('agents in Kafka', positions, (all) => ['', agentRows(all)]),
    section('consumer', consumer, ({ group, members, partitions }) => [
      `${group}: ${members} members`,
      partitions.toSorted((a, b) => b.lag - a.lag),
    ]),
    section('chunks', chunks, ({ since, seen, undecided, waiting, failed, listed, cut }) => [
      `${seen} since ${since}: ${undecided} undecided, ${waiting} not committed, ${failed} failed${cut ? `; more than are looked at, cut at ${cut}` : ''}`,
      listed,
    ]),
    section('dead letters of the last day', dead_letters, (counts) => [counts.length > 0 ? '' : 'none', counts]),
  ]
  const verdict = wrong.length > 0 ? `wrong:\n${wrong.map((what) => `  ${what}\n`).join('')}` : 'all well\n'
  return `${parts.join('')}${verdict}`
}

function section<T extends object>(
  title: string,
  part: T | Unreachable | undefined,
  show: (part: T) => readonly [about: string, rows: readonly object[]],
): string {
  if (part === undefined) return ''
  if (isUnreachable(part)) return `${title}\n  cannot be asked: ${part.unreachable}\n\n`
  const [about, rows] = show(part)
  const table = rows.length > 0 ? layOut(rows.slice(0, ROWS_MAX) as Row[]) : ''
  const more = rows.length > ROWS_MAX ? `... and ${rows.length - ROWS_MAX} more: --json has all\n` : ''
  const lines = `${about ? `${about}\n` : ''}${table}${more}`
  return `${title}\n${lines.replaceAll(/^(?=.)/gm, '  ')}\n`
}

/** A line for each agent and topic: its sources are too many. */
function agentRows(positions: readonly Position[]): Row[] {
  const groups = Map.groupBy(positions, ({ agent, topic }) => `${agent} ${topic}`)
  return Array.from(groups.values(), (group) => {
    const { agent, topic } = group[0]!
    const [gone, known] = [true, false].map((retired) => group.filter((entry) => entry.retired === retired)) as [
      Position[],
      Position[],
    ]
    return {
      agent,
      topic,
      sources: known.length,
      finished: known.filter(({ size }) => size !== undefined).length,
      retired: gone.length,
      bytes: group.reduce((sum, { position }) => sum + position, 0),
    }
  })
}
