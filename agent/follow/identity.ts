import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { encodeBase32 } from './base32.ts'

/** How much of a first event its source is named after, in bytes. */
export const NAMING_BYTES = 4096
/** How much of a file's head and of the bytes before a position it is recognised by. */
export const HEAD_BYTES = 4096
export const TAIL_BYTES = 256
const HASH_BYTES = 16

/** The name of all sources with this first event: 26 lower-case base32 characters. */
export function baseId(agent: string, route: string, firstEvent: Uint8Array): string {
  const hash = createHash('sha256').update(`${agent}\0${route}\0`).update(firstEvent.subarray(0, NAMING_BYTES)).digest()
  return encodeBase32(hash.subarray(0, HASH_BYTES))
}

/** `base`, and `~number` for the second and further sources with its first event. */
export function sourceId(base: string, number: number): string {
  return number > 1 ? `${base}~${number}` : base
}

/** What `sourceId` was made of. */
export function splitId(source: string): { base: string; number: number } {
  const at = source.indexOf('~')
  return at < 0 ? { base: source, number: 1 } : { base: source.slice(0, at), number: Number(source.slice(at + 1)) }
}

/** What a file is recognised by at a position: CRC-32 of its first HEAD_BYTES at most, and of the TAIL_BYTES before. */
export interface HeadAndTail {
  readonly head: number
  readonly tail: number
}

/** The part of an entry that a file is recognised by. */
export interface Fingerprint extends HeadAndTail {
  readonly position: number
}

/** What an entry notes of the file itself. */
export interface Inode {
  /** CRC-32 of device and inode. */
  readonly file: number
  /** When the inode was made, in milliseconds; absent where the file system does not say. */
  readonly born?: number
}

/** What is known of a source besides. */
export interface Likely extends Fingerprint {
  /** Nothing may follow: what begins with a short source of long ago is another one. */
  readonly ended: boolean
  /** Its first bytes, when this life has read them. */
  readonly start: Buffer
}

/** How a file relates to an entry with the same first event. `ends`: it continues the source, and holds nothing more. */
export type Likeness = 'continues' | 'ends' | 'copy' | 'other'

/**
 * `read` gives the plain bytes of a range, or fewer when the file ends before. A file without as many bytes as were
 * read of the source can still be recognised as a copy of its beginning, if its head is long enough to tell.
 */
export async function likeness(
  read: (from: number, to: number) => Promise<Buffer>,
  { position, head, tail, ended, start }: Likely,
): Promise<Likeness> {
  const headBytes = Math.min(position, HEAD_BYTES)
  const ownHead = await read(0, headBytes)
  if (ownHead.length < headBytes) return start.subarray(0, ownHead.length).equals(ownHead) ? 'copy' : 'other'
  if (crc32(ownHead) !== head) return 'other'
  const tailBytes = Math.min(position, TAIL_BYTES)
  const ownTail = Buffer.from(await read(position - tailBytes, position + 1))
  if (ownTail.length < tailBytes) return headBytes === HEAD_BYTES ? 'copy' : 'other'
  if (crc32(ownTail.subarray(0, tailBytes)) !== tail) return 'other'
  if (ownTail.length === tailBytes) return 'ends'
  return ended ? 'other' : 'continues'
}
