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
 * not passed.
 */
export function judge(part: Part, entry: Entry | undefined, publishable: boolean): Verdict {
  const handed = entry?.handed
  if (handed && handed.from < part.size && handed.to > part.start) {
    return { do: 'patch', ranges: [[Math.max(handed.from, part.start), Math.min(handed.to, part.size)]] }
  }
  if ((entry?.position ?? 0) >= part.size) return { do: 'patch', ranges: [] }
  return { do: publishable ? 'wait' : 'hand-over' }
}

/** The entry after a hand-over of everything before `end`: undefined if Kafka has carried it meanwhile. */
export function handOver(
  source: string,
  before: Entry | undefined,
  end: number,
  fingerprint: Pick<Entry, 'head' | 'tail' | 'file'>,
): Entry | undefined {
  const from = before?.position ?? 0
  if (from >= end) return undefined
  const { head, tail, file } = fingerprint
  const start = before?.start ?? 0
  return { source, position: end, start, size: end, handed: { from, to: end }, head, tail, file, retired: false }
}
