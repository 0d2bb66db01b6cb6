/** The group's commit metadata as a write-ahead log: docs/protocols/kafka-to-bigquery.md. */
export interface Log {
  /** The stream that may hold rows at or behind the commit's offset; null: none was needed yet. */
  readonly stream: string | null
  /** Milliseconds since 1970: no row in the stream was ingested before. It is when the owner that made the stream began. */
  readonly created: number
  /** Rows in the stream when everything before the commit's offset was durable. */
  readonly offset: number
  /** The appends that may be under way, in order. */
  readonly intents: readonly Intent[]
  /** No append is under way, nor will one be before the next commit. */
  readonly clean: boolean
  /** The topic lost records that nobody has read: nothing is done until an operator accepts it, however the topic grows. */
  readonly lost?: boolean
  /** How many partitions the topic had when this one was begun; 0 or absent: not known. */
  readonly partitions?: number | undefined
}

export interface Commit {
  /** Everything before this Kafka offset is durable. */
  readonly offset: number
  readonly log: Log
}

/** An append takes the partition to Kafka offset `end` with `rows` rows more. */
export type Intent = readonly [end: number, rows: number]

/** Kafka's default `offset.metadata.max.bytes` is 4,096; `moved` needs room too. */
export const LOG_BYTES_MAX = 4096 - 24
const VERSION = 1

export const EMPTY_LOG: Log = { stream: null, created: 0, offset: 0, intents: [], clean: true }

export function encodeLog({ stream, created, offset, intents, clean, lost, partitions }: Log): string {
  const head = { v: VERSION, partitions: partitions || undefined }
  return JSON.stringify({ ...head, stream, created, offset, intents, clean, lost: lost || undefined })
}

/**
 * @param k the offset of its commit: no intent leads back
 * @returns `wiped`: no metadata, somebody reset the offsets; `foreign`: metadata that this version did not write
 */
export function decodeLog(metadata: string, k = 0) {
  if (metadata === '') return { kind: 'wiped' } as const
  const value = parseMetadata(metadata)
  if (value?.['v'] !== VERSION) return { kind: 'foreign', message: `not a log of version ${VERSION}` } as const
  const { stream, created, offset, intents, clean, lost = false, partitions = 0 } = value
  const sound =
    (stream === null || typeof stream === 'string') &&
    isCount(created) &&
    isCount(offset) &&
    isCount(partitions) &&
    Array.isArray(intents) &&
    intents.every((intent, i) => isIntent(intent) && intent[0] > (i === 0 ? k : intents[i - 1][0])) &&
    typeof clean === 'boolean' &&
    typeof lost === 'boolean'
  if (!sound) return { kind: 'foreign', message: 'a log with missing or wrong members' } as const
  const log: Log = { stream, created, offset, intents, clean, lost, partitions }
  return { kind: 'log', log } as const
}

/** The members of a commit's metadata; undefined: it has none. */
export function parseMetadata(metadata: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(metadata)
    return value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

function isIntent(value: unknown): value is Intent {
  return Array.isArray(value) && value.length === 2 && isCount(value[0]) && isCount(value[1]) && value[1] > 0
}

/** The position that a row count proves, from a commit at `k`; undefined: a count between two intents. */
export function positionOfCount(k: number, { offset, intents }: Log, count: number): number | undefined {
  let position = k
  let rows = offset
  for (const [end, more] of intents) {
    if (rows >= count) break
    rows += more
    position = end
  }
  return rows === count ? position : undefined
}

/** The position that the highest Kafka offset found in the table proves: the end of the intent that holds it. */
export function positionOfRow(k: number, { intents }: Log, highest: number | null): number {
  if (highest === null || highest < k) return k
  return intents.find(([end]) => highest < end)?.[0] ?? k
}
