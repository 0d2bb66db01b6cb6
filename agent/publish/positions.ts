import { decodeBase32, encodeBase32 } from '../follow/base32.ts'
import { type Inode, sourceId, splitId } from '../follow/identity.ts'

/** What the agent knows about one source; the copy that counts is in Kafka (docs/protocols/agent-positions.md). */
export interface Entry extends Inode {
  /** 26 lower-case base32 characters, and `~<number>` for the second and further sources with the same first event. */
  readonly source: string
  /** Everything before it is carried. */
  readonly position: number
  /** The first position that counts: more than 0 when the agent was told to begin at the end. */
  readonly start: number
  /** The end of a finished source. */
  readonly size?: number
  /** The range that the chunk carries instead of Kafka. */
  readonly handed?: { readonly from: number; readonly to: number }
  /** CRC-32 of the first bytes, at most HEAD_BYTES and `position`. */
  readonly head: number
  /** CRC-32 of the bytes before `position`, at most TAIL_BYTES. */
  readonly tail: number
  /** The file is gone and its chunk decided: kept so that the name is not given again. */
  readonly retired: boolean
}

/** The content of one commit. */
export interface DecodedEntries {
  /** How many groups hold entries of this partition; counts only in the first. */
  readonly groups: number
  /** When retired entries of this partition were last dropped, to make room; 0: never. Of what was seen before then, Kafka may know no more. */
  readonly forgottenMs: number
  readonly entries: readonly Entry[]
}

/** The broker's `offset.metadata.max.bytes`, in characters. */
export const METADATA_CHARS_MAX = 4096
/** 2 says when entries were forgotten, 3 when files were born. */
const VERSION = 3
const HASH_BYTES = 16
/** The version, a count of groups below 2^14, and a time before the year 4000. */
const HEADER_BYTES = 9
/** What entries of one group may take, in bytes: base64 makes four characters of three. */
export const ENTRIES_BYTES_MAX = (METADATA_CHARS_MAX / 4) * 3 - HEADER_BYTES

const HAS_SIZE = 1
const HAS_HANDED = 2
const HAS_START = 4
const IS_RETIRED = 8
const HAS_BIRTH = 16

/** Base64 of: version, count of groups, time, then the entries back to back. Throws RangeError when it is too long. */
export function encodeEntries({ groups, forgottenMs, entries }: DecodedEntries): string {
  const bytes: number[] = [VERSION]
  pushVarint(bytes, groups)
  pushVarint(bytes, forgottenMs)
  for (const entry of entries) pushEntry(bytes, entry)
  if (bytes.length > ENTRIES_BYTES_MAX + HEADER_BYTES) throw new RangeError(`${bytes.length} bytes of positions`)
  return Buffer.from(bytes).toString('base64')
}

/** Bytes that an entry takes. */
export function entryBytes(entry: Entry): number {
  const bytes: number[] = []
  pushEntry(bytes, entry)
  return bytes.length
}

/** Throws when the text is not what `encodeEntries` makes: positions are never guessed. */
export function decodeEntries(metadata: string): DecodedEntries {
  const reader = readerOf(Buffer.from(metadata, 'base64'))
  const version = reader.byte()
  if (version > VERSION) throw new Error(`positions of version ${version}; this agent reads version ${VERSION}`)
  const groups = reader.varint()
  const forgottenMs = version === 1 ? 0 : reader.varint()
  const entries: Entry[] = []
  while (!reader.atEnd()) entries.push(readEntry(reader))
  return { groups, forgottenMs, entries }
}

function pushEntry(bytes: number[], entry: Entry): void {
  const { base, number } = splitId(entry.source)
  bytes.push(...decodeBase32(base, HASH_BYTES))
  pushVarint(bytes, number)
  bytes.push(
    (entry.size === undefined ? 0 : HAS_SIZE) |
      (entry.handed ? HAS_HANDED : 0) |
      (entry.start > 0 ? HAS_START : 0) |
      (entry.retired ? IS_RETIRED : 0) |
      (entry.born === undefined ? 0 : HAS_BIRTH),
  )
  const { position, start, size, handed, born } = entry
  const numbers = [position, start || [], size ?? [], handed ? [handed.from, handed.to] : [], born ?? []].flat()
  for (const number of numbers) pushVarint(bytes, number)
  for (const crc of [entry.head, entry.tail, entry.file]) {
    bytes.push(crc >>> 24, (crc >>> 16) & 0xff, (crc >>> 8) & 0xff, crc & 0xff)
  }
}

function readEntry(reader: Reader): Entry {
  const source = sourceId(encodeBase32(reader.take(HASH_BYTES)), reader.varint())
  const flags = reader.byte()
  const position = reader.varint()
  const start = flags & HAS_START ? reader.varint() : 0
  const size = flags & HAS_SIZE ? { size: reader.varint() } : {}
  const handed = flags & HAS_HANDED ? { handed: { from: reader.varint(), to: reader.varint() } } : {}
  const born = flags & HAS_BIRTH ? { born: reader.varint() } : {}
  const [head, tail, file] = [reader.uint32(), reader.uint32(), reader.uint32()]
  return { source, position, start, ...size, ...handed, head, tail, file, ...born, retired: (flags & IS_RETIRED) !== 0 }
}

function pushVarint(bytes: number[], value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is no position`)
  let rest = value
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80)
    rest = Math.floor(rest / 0x80)
  }
  bytes.push(rest)
}

type Reader = ReturnType<typeof readerOf>

/** Takes bytes one after the other; throws when there are no more. */
function readerOf(bytes: Buffer) {
  let at = 0
  const take = (length: number): Buffer => {
    at += length
    if (at > bytes.length) throw new Error('positions are cut off')
    return bytes.subarray(at - length, at)
  }
  const byte = (): number => take(1)[0]!
  const varint = (): number => {
    let value = 0
    for (let scale = 1; ; scale *= 0x80) {
      const next = byte()
      value += (next & 0x7f) * scale
      if (!Number.isSafeInteger(value)) throw new Error('positions are corrupt')
      if (next < 0x80) return value
    }
  }
  return { take, byte, varint, uint32: () => take(4).readUInt32BE(), atEnd: () => at === bytes.length }
}
