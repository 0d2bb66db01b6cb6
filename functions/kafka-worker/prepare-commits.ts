import type { Config } from '../../shared/config/index.ts'
import { UserError } from '../../shared/errors.ts'
import {
  type Committed,
  commitFor,
  countMembers,
  type KafkaClient,
  keyOf,
  type Membership,
  type PartitionCommit,
  type PartitionOffsets,
  readCommits,
  type TopicPartition,
} from '../../shared/kafka/index.ts'
import type { Log } from '../../shared/telemetry/index.ts'
import { EMPTY_LOG, encodeLog, parseMetadata } from '../../shared/warehouse/protocol/log.ts'

export type Mode = 'worker' | 'drain'

/** The consumer group of an installation and mode. */
export const groupOf = (config: Config, mode: Mode): string => `millrace.${config.name}.${mode}`

const OTHER = { worker: 'drain', drain: 'worker' } as const
type Content = Pick<PartitionCommit, 'offset' | 'metadata'>

/** @throws UserError when the other mode's consumer runs: both would write the same events */
export async function refuseBothModes(kafka: KafkaClient, config: Config, mode: Mode): Promise<void> {
  const other = groupOf(config, OTHER[mode])
  if ((await countMembers(kafka, other)) === 0) return
  throw new UserError(
    `a ${OTHER[mode]} of ${config.name} is running (members of the group ${other}), so no ${mode} may`,
    `end it first, or wait until it has ended; consumer.mode says which of the two is meant`,
  )
}

/**
 * The commits that a new generation goes on from, of its partitions: takes over what the other mode's group has left, and gives partitions that were
 * added to a topic which the group reads already a commit at their start, whatever the route's `from`. Offset -1: there is none, and the metadata are those
 * that the first one is to go on from.
 * docs/protocols/kafka-to-bigquery.md, "Another mode". Rejects while the other mode's group has members.
 */
export async function prepareCommits(
  kafka: KafkaClient,
  config: Config,
  mode: Mode,
  membership: Membership,
  offsets: readonly PartitionOffsets[],
  log: Log,
): Promise<Committed[]> {
  // Again, now that the other mode can see this member: of two that begin at once, at most one goes on.
  await refuseBothModes(kafka, config, mode)
  const other = groupOf(config, OTHER[mode])
  const [own, others] = await Promise.all([membership.readCommits(), readCommits(kafka, other, membership.partitions)])
  const choices = own.map((commit, index) => chooseCommit(commit, others[index]!))
  const marks = choices.flatMap(({ mark }) => mark ?? [])
  if (marks.length > 0) await commitFor(kafka, other, marks)
  const inherited = choices.flatMap(({ copy }) => copy ?? [])
  if (inherited.length > 0)
    log.warn({ group: other, partitions: inherited.length }, 'goes on where the other mode ended')
  const without = own.filter(({ offset }, index) => offset < 0 && !choices[index]!.copy)
  const all = without.length > 0 ? [membership.group, other] : []
  const commits = await Promise.all(all.map((group) => readCommits(kafka, group, offsets)))
  const begun = without.map((none) => beginningOf(none, offsets, commits.flat()))
  const added = begun.filter(({ offset }) => offset >= 0)
  for (const { topic, partition, offset } of added) log.warn({ topic, partition, offset }, 'a partition was added')
  if (inherited.length + added.length > 0) await membership.commit([...inherited, ...added])
  const prepared = new Map([...inherited, ...begun].map((commit) => [keyOf(commit), commit]))
  return own.map((commit) => prepared.get(keyOf(commit)) ?? commit)
}

/** What a partition without a commit begins with: at its start if it was added, since it holds nothing that `from: end` was meant to leave out. */
function beginningOf(none: Committed, offsets: readonly PartitionOffsets[], commits: readonly Committed[]): Committed {
  const its = offsets.filter(({ topic }) => topic === none.topic)
  const { start = 0 } = its.find(({ partition }) => partition === none.partition) ?? {}
  const offset = isAdded(none, commits) ? start : -1
  return { ...none, offset, metadata: encodeLog({ ...EMPTY_LOG, partitions: its.length }) }
}

/**
 * Whether a partition without a commit was added: it was not there when another of its topic was begun. That there are commits is not enough: another
 * member may have made them just now, at the first start of both. Where a commit does not say what was there, nothing is left out.
 */
export function isAdded({ topic, partition }: TopicPartition, commits: readonly Committed[]): boolean {
  const partitionsOf = ({ metadata }: Committed) => Number(parseMetadata(metadata)?.['partitions'] ?? 0)
  return commits.some((commit) => commit.topic === topic && commit.offset >= 0 && partition >= partitionsOf(commit))
}

/**
 * Which of the two groups' commits a partition goes on from. A commit that the other mode has taken over says `moved`, with a number that
 * grows: so at most one of the two is the present one, also when a process died between the steps.
 * @returns `mark`: first, into the other group; `copy`: then, into the own one
 */
export function chooseCommit<C extends Content>(own: C, other: C) {
  const [ownMoves, otherMoves] = [movesOf(own), movesOf(other)]
  const isOwn = own.offset >= 0 && (ownMoves === 0 || other.offset < 0 || (otherMoves > 0 && ownMoves > otherMoves))
  const isOthers = other.offset >= 0 && otherMoves === 0
  const mark = isOthers ? withMoves(other, ownMoves + 1) : undefined
  const from = isOwn ? own : other
  const isMoved = from.offset >= 0 && (!isOwn || ownMoves > 0)
  return { mark, copy: isMoved ? withMoves(from, 0) : undefined }
}

function movesOf(content: Content): number {
  const moved = parseMetadata(content.metadata)?.['moved']
  return typeof moved === 'number' ? moved : 0
}

/** The commit with that number of moves; 0: without, as its owner wrote it. */
function withMoves<C extends Content>(commit: C, moves: number): C {
  const { moved: _, wiped, ...log } = parseMetadata(commit.metadata) ?? { wiped: commit.metadata }
  if (moves > 0) return { ...commit, metadata: JSON.stringify({ ...log, wiped, moved: moves }) }
  return { ...commit, metadata: typeof wiped === 'string' ? wiped : JSON.stringify(log) }
}
