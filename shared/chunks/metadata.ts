import * as z from 'zod'

/** A half-open range of positions: `[from, to)`. */
export type Range = readonly [from: number, to: number]

/** Which byte ranges a chunk carries: none when Kafka carried all, or not known yet. */
export type Ranges = readonly Range[] | 'undecided'

const PREFIX = 'millrace-'
/** The value of `millrace-v`. */
const METADATA_VERSION = '1'
const PATH_BYTES_MAX = 4096

/** The keys that change after the upload. */
export const RANGES_KEY = 'millrace-ranges'
export const STATE_KEY = 'millrace-state'

const text = z.string({ error: 'is missing' })
const count = text
  .refine((digits) => /^[0-9]+$/.test(digits) && Number.isSafeInteger(Number(digits)), {
    error: ({ input }) => `is ${String(input)}, not a whole number`,
  })
  .transform(Number)

/** What an agent writes to an object's metadata (DESIGN section 11): each value has a key of its own, `millrace-` and its name. */
const CHUNK = z.object({
  route: text,
  format: text,
  framing: text,
  agent: text,
  /** Path of the file at the time of its first read. */
  path: text.transform(decodeURI),
  source: text,
  /** Position of the chunk's first byte: 0, or where the source's former chunk ended. */
  start: count,
  /** End of the last event's extent, a position; bytes behind it are no event. */
  size: count,
  events: count,
  ranges: text.transform(decodeRanges),
  /** When the file was last seen by its name before the upload, in milliseconds. */
  seen: count.optional(),
  /** CRC32C of the decompressed bytes, eight hexadecimal digits. */
  crc32c: text,
})

/** What an agent says of a chunk. */
export type ChunkMetadata = Readonly<z.output<typeof CHUNK>>

/** A checksum as `crc32c` has it. */
export function checksumText(crc: number): string {
  return (crc >>> 0).toString(16).padStart(8, '0')
}

export function encodeMetadata({ path, ranges, ...plain }: ChunkMetadata): Record<string, string> {
  const values = Object.entries({ v: METADATA_VERSION, ...plain, path: cutPath(path), ranges: encodeRanges(ranges) })
  return Object.fromEntries(values.map(([key, value]) => [`millrace-${key}`, String(value)]))
}

/** Metadata travel in HTTP headers too: anything but printable ASCII is percent-encoded, and a very long path loses its head. */
function cutPath(path: string): string {
  return encodeURI(path).slice(-PATH_BYTES_MAX)
}

/** The value of RANGES_KEY. */
export function encodeRanges(ranges: Ranges): string {
  return ranges === 'undecided' ? ranges : JSON.stringify(ranges)
}

/** The chunk that metadata describe; undefined for an object that no agent wrote; throws when an agent's are broken. */
export function decodeMetadata(metadata: Readonly<Record<string, string | undefined>>): ChunkMetadata | undefined {
  const version = metadata['millrace-v']
  if (version === undefined) return undefined
  if (version !== METADATA_VERSION) throw new Error(`millrace-v is ${version}, this version reads ${METADATA_VERSION}`)
  const own = Object.entries(metadata).filter(([key]) => key.startsWith(PREFIX))
  const values = own.map(([key, value]) => [key.slice(PREFIX.length), value])
  const { data, error } = CHUNK.safeParse(Object.fromEntries(values))
  if (data) return data
  throw new Error(error.issues.map(({ path, message }) => `millrace-${path.join()} ${message}`).join('; '))
}

function decodeRanges(text: string): Ranges {
  if (text === 'undecided') return text
  const ranges = JSON.parse(text) as unknown
  if (!Array.isArray(ranges) || !ranges.every(isRange)) throw new Error(`millrace-ranges is ${text}`)
  return ranges
}

function isRange(value: unknown): value is Range {
  if (!Array.isArray(value) || value.length !== 2 || !value.every(Number.isSafeInteger)) return false
  const [from, to] = value as [number, number]
  return from >= 0 && from <= to
}
