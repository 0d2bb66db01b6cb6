import { HEAD_BYTES, splitId } from '../../../agent/follow/index.ts'
import { isProvisional } from '../../../agent/upload/decide.ts'
import { type ChunkMetadata, decodeMetadata } from '../../../shared/chunks/index.ts'
import type { ModelLog } from './files.ts'
import { type ModelKafka, type Published, type StoredObject, textOf } from './services.ts'

export interface Verdict {
  /** What is wrong, if anything. */
  readonly problem: string | undefined
  /** Why chunks stay undecided, because nothing is left that tells whose they are. */
  readonly untold: readonly string[]
}

interface Seen {
  readonly name: string
  readonly chunk: ChunkMetadata
  readonly text: string
}

/**
 * Is each line that was ever written a row once, of the topic or of a chunk, and each byte of a source once? `late`: names
 * of objects that came to be when their life had given them up.
 */
export function judge(
  log: ModelLog,
  kafka: ModelKafka,
  loaded: readonly Published[],
  objects: Iterable<StoredObject>,
  late: ReadonlySet<string>,
): Verdict {
  const { published, forgottenMs } = kafka
  const chunks = Array.from(objects, (object): Seen => {
    const { name, metadata } = object.view
    return { name, chunk: decodeMetadata(metadata)!, text: textOf(object) }
  })
  const all = chunks.map(({ chunk }) => chunk)
  const open = chunks.filter(({ chunk }) => chunk.ranges === 'undecided')
  const isTooLate = ({ name, chunk }: Seen) => late.has(name) && (chunk.seen ?? 0) < forgottenMs
  const tooLate = open.filter(isTooLate)
  const tooShort = open.filter((seen) => !isTooLate(seen) && isTooShort(seen.chunk, published, all))
  const carried = [...published, ...loaded]
  const excused = new Set([...tooLate, ...tooShort].flatMap(({ text }) => text.split('\n')))
  const stays = open.length - tooLate.length - tooShort.length
  const problem = doubled(log, carried) ?? missing(log, carried, excused) ?? stuck(stays) ?? gapOf(carried)
  return { problem, untold: [...tooLate.map(() => 'too late'), ...tooShort.map(() => 'too short')] }
}

/**
 * A chunk that was uploaded before Kafka knew its source, and is too short to be known by a head: Kafka has carried a
 * longer source with the same first event, whose bytes are not in the bucket. Nothing tells whether it is that one. (The
 * file of that source might; as long as it is there it is decided.)
 */
function isTooShort(
  { source, size }: ChunkMetadata,
  published: readonly Published[],
  chunks: readonly ChunkMetadata[],
): boolean {
  if (!isProvisional(source) || size >= HEAD_BYTES) return false
  const { base } = splitId(source)
  const isLonger = (event: Published) => splitId(event.source).base === base && event.position + event.size > size
  const longer = new Set(published.filter(isLonger).map((event) => event.source))
  for (const other of chunks) if (other.size >= size) longer.delete(other.source)
  return longer.size > 0
}

function doubled(log: ModelLog, carried: readonly Published[]): string | undefined {
  const places = new Set<string>()
  const lines = timesOf(log.lines)
  for (const { source, position, line } of carried) {
    const place = `${source}@${position}`
    if (places.has(place)) return `twice: ${place} (${line.slice(0, 8)})`
    places.add(place)
    const times = lines.get(line) ?? 0
    if (times === 0) return `twice: line ${line.slice(0, 8)}`
    lines.set(line, times - 1)
  }
  return undefined
}

function missing(log: ModelLog, carried: readonly Published[], excused: ReadonlySet<string>): string | undefined {
  const there = timesOf(carried.map(({ line }) => line))
  const lines = [...timesOf(log.lines)].filter(([line, times]) => (there.get(line) ?? 0) < times && !excused.has(line))
  return lines[0] && `missing: line ${lines[0][0].slice(0, 8)} and ${lines.length - 1} more`
}

function timesOf(lines: readonly string[]): Map<string, number> {
  const times = new Map<string, number>()
  for (const line of lines) times.set(line, (times.get(line) ?? 0) + 1)
  return times
}

function stuck(undecided: number): string | undefined {
  return undecided > 0 ? `${undecided} chunks stay undecided` : undefined
}

/** The events of a source must tile it, from 0 on. */
function gapOf(events: readonly Published[]): string | undefined {
  for (const [source, all] of Map.groupBy(events, (event) => event.source)) {
    let end = 0
    for (const { position, size } of all.toSorted((a, b) => a.position - b.position)) {
      if (position !== end) return `gap: ${source} from ${end} to ${position}`
      end = position + size
    }
  }
  return undefined
}

/** The events in the ranges of a chunk. */
export function carriedBy({ source, start, ranges }: ChunkMetadata, text: string): Published[] {
  let position = start
  const events = text
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      const event = { source, position, size: line.length + 1, line }
      position += event.size
      return event
    })
  const isIn = (at: number) => ranges !== 'undecided' && ranges.some(([from, to]) => at >= from && at < to)
  return events.filter(({ position }) => isIn(position))
}
