/** A half-open range of positions: `[from, to)`. */
export type Range = readonly [from: number, to: number]

/** Which byte ranges a chunk carries: none when Kafka carried all, or not known yet. */
export type Ranges = readonly Range[] | 'undecided'

/** What an agent writes to an object's metadata (DESIGN section 11). */
export interface ChunkMetadata {
  readonly route: string
  readonly format: string
  readonly framing: string
  readonly agent: string
  /** Path of the file at the time of its first read. */
  readonly path: string
  readonly source: string
  /** Position of the chunk's first byte: 0, or where the source's former chunk ended. */
  readonly start: number
  /** End of the last event's extent, a position; bytes behind it are no event. */
  readonly size: number
  readonly events: number
  readonly ranges: Ranges
  /** When the file was last seen by its name before the upload, in milliseconds. */
  readonly seen?: number
  /** CRC32C of the decompressed bytes, eight hexadecimal digits. */
  readonly crc32c: string
}

/** The value of `millrace-v`. */
export const METADATA_VERSION = '1'
/** Cloud Storage allows 8 KiB of custom metadata for an object. */
export const METADATA_BYTES_MAX = 8192
const PATH_BYTES_MAX = 4096

/** The keys that change after the upload. */
export const RANGES_KEY = 'millrace-ranges'
export const STATE_KEY = 'millrace-state'

/** A checksum as `crc32c` has it. */
export function checksumText(crc: number): string {
  return (crc >>> 0).toString(16).padStart(8, '0')
}

/** Each of a chunk's values has a key of its own, `millrace-` and its name. */
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
  const text = (key: string): string => {
    const value = metadata[`millrace-${key}`]
    if (value === undefined) throw new Error(`millrace-${key} is missing`)
    return value
  }
  const count = (key: string): number => wholeNumber(`millrace-${key}`, text(key))
  return {
    route: text('route'),
    format: text('format'),
    framing: text('framing'),
    agent: text('agent'),
    path: decodeURI(text('path')),
    source: text('source'),
    start: count('start'),
    size: count('size'),
    events: count('events'),
    ranges: decodeRanges(text('ranges')),
    ...(metadata['millrace-seen'] === undefined ? {} : { seen: count('seen') }),
    crc32c: text('crc32c'),
  }
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

function wholeNumber(key: string, text: string): number {
  const value = Number(text)
  if (!/^[0-9]+$/.test(text) || !Number.isSafeInteger(value)) throw new Error(`${key} is ${text}, not a whole number`)
  return value
}
