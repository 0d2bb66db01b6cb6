import type { Range, Ranges } from '../../shared/chunks/index.ts'
import type { Entry } from '../publish/index.ts'

/** A chunk of one source that is in the bucket: the bytes `[start, size)`. */
export interface Part {
  readonly start: number
  readonly size: number
  readonly ranges: Ranges
}

/** What is to be done about a chunk whose ranges are undecided (docs/protocols/agent-positions.md). */
export type Verdict =
  | { readonly do: 'patch'; readonly ranges: readonly Range[] }
  /** The publisher still carries it. */
  | { readonly do: 'wait' }
  | { readonly do: 'hand-over' }

/**
 * `entry`: as Kafka has it, read after the fence. `publishable`: the file is there, and the time to publish its rest has
 * not passed. `others`: what further chunks of the source carry already; two lives may have uploaded it by two names.
 */
export function judge(
  part: Part,
  entry: Entry | undefined,
  publishable: boolean,
  others: readonly Range[] = [],
): Verdict {
  const handed = entry?.handed
  if (handed && handed.from < part.size && handed.to > part.start) {
    const own: Range = [Math.max(handed.from, part.start), Math.min(handed.to, part.size)]
    return { do: 'patch', ranges: without(own, others) }
  }
  if ((entry?.position ?? 0) >= part.size) return { do: 'patch', ranges: [] }
  return { do: publishable ? 'wait' : 'hand-over' }
}

function without(range: Range, others: readonly Range[]): Range[] {
  return others.reduce<Range[]>(
    (left, [from, to]) =>
      left.flatMap(([start, end]): Range[] =>
        [[start, Math.min(end, from)] as const, [Math.max(start, to), end] as const].filter(([a, b]) => a < b),
      ),
    [range],
  )
}

/** The entry after a hand-over of everything before `end`: undefined if Kafka has carried it meanwhile. */
export function handOver(
  source: string,
  before: Entry | undefined,
  end: number,
  fingerprint: Pick<Entry, 'head' | 'tail' | 'file'>,
): Entry | undefined {
  const at = before?.position ?? 0
  if (at >= end) return undefined
  const { head, tail, file } = fingerprint
  const start = before?.start ?? 0
  // What was handed over just before stays noted: its chunk may still wait for the patch.
  const from = before?.handed?.to === at ? before.handed.from : at
  return { source, position: end, start, size: end, handed: { from, to: end }, head, tail, file, retired: false }
}

/** How a chunk's bytes relate to an entry. `unknown`: they are too few to tell. */
export type Kinship = 'same' | 'differs' | 'unknown'

/** An entry that might be the one of a chunk's source. */
export interface Candidate {
  readonly source: string
  readonly kinship: Kinship
}

/**
 * The source that a chunk is of. Who uploaded it may not have known the positions, and so have given it the name of
 * another source with the same first event. `nameless`: a file with that first event is followed and has no entry yet;
 * it may be the chunk's, which must wait until that is known.
 */
export function ownerOf(
  named: string,
  candidates: readonly Candidate[],
  nameless: boolean,
): { readonly source: string } | 'wait' | 'nobody' {
  const own = candidates.find(({ source }) => source === named)
  if (own && own.kinship !== 'differs') return own
  const other = candidates.find(({ kinship }) => kinship === 'same')
  if (other) return other
  if (nameless) return 'wait'
  return own ? 'nobody' : { source: named }
}
