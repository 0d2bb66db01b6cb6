import type { ChunkMetadata, Range } from '../../shared/chunks/index.ts'
import { type HeadAndTail, type Inode, sourceId, splitId } from '../follow/index.ts'
import type { Entry } from '../publish/index.ts'

/**
 * What is to be done about a chunk whose ranges are undecided (docs/protocols/agent-positions.md): `wait`, because the
 * publisher still carries it, hand over, or note the ranges in it. `entry`: as Kafka has it, read after the fence. `publishable`: the file is there, and the time to publish its rest has
 * not passed. `others`: what further chunks of the source carry, or will; two lives may have uploaded it by two names.
 */
export function judge(
  part: Pick<ChunkMetadata, 'start' | 'size'>,
  entry: Entry | undefined,
  publishable: boolean,
  others: readonly Range[] = [],
): 'wait' | 'hand-over' | Range[] {
  // A chunk is decided once: what lies behind the position must have its carrier before, whatever was handed over.
  if ((entry?.position ?? 0) < part.size) return publishable ? 'wait' : 'hand-over'
  const handed = entry?.handed
  if (!handed || handed.from >= part.size || handed.to <= part.start) return []
  return without([Math.max(handed.from, part.start), Math.min(handed.to, part.size)], others)
}

/** What of a range no other has. */
function without([start, end]: Range, [first, ...others]: readonly Range[]): Range[] {
  if (!first) return [[start, end]]
  const before: Range = [start, Math.min(end, first[0])]
  const behind: Range = [Math.max(start, first[1]), end]
  return [before, behind].filter(([from, to]) => from < to).flatMap((left) => without(left, others))
}

/**
 * The entry after a hand-over of everything before `end`: undefined if Kafka has carried it meanwhile, or an earlier
 * hand-over must stay noted because the chunks that are decided do not yet carry all of it (`carried`).
 */
export function handOver(
  source: string,
  before: Entry | undefined,
  end: number,
  fingerprint: HeadAndTail & Inode,
  carried: readonly Range[] = [],
): Entry | undefined {
  const at = before?.position ?? 0
  if (at >= end) return undefined
  const start = before?.start ?? 0
  const { handed } = before ?? {}
  const isNext = handed?.to === at // one range, as long as Kafka published nothing between
  if (handed && !isNext && without([handed.from, handed.to], carried).length > 0) return undefined
  const from = isNext ? handed.from : at
  return { source, position: end, start, size: end, handed: { from, to: end }, ...fingerprint, retired: false }
}

/**
 * Numbers from here on are made of the bytes of a chunk, where Kafka does not know its source: what another life calls it
 * cannot be known. Such a chunk waits until its source is known by its bytes.
 */
const PROVISIONAL_MIN = 2 ** 32

export function provisionalName(source: string, crc32c: string): string {
  return sourceId(splitId(source).base, PROVISIONAL_MIN + Number.parseInt(crc32c, 16))
}

/** Whether a source is named by a chunk's bytes. */
export function isProvisional(source: string): boolean {
  return splitId(source).number >= PROVISIONAL_MIN
}

/** The next name of this first event that nothing has yet. */
export function nextName(base: string, taken: Iterable<string>): string {
  const numbers = Array.from(taken, splitId).flatMap((id) => (id.base === base ? id.number : []))
  return sourceId(base, Math.max(0, ...numbers.filter((number) => number < PROVISIONAL_MIN)) + 1)
}

/** How a chunk's bytes relate to a source. `unknown`: there is too little to tell. */
export type Kinship = 'same' | 'differs' | 'unknown'
