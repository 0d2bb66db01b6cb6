import { join } from 'node:path'
import { HEAD_BYTES, TAIL_BYTES } from './identity.ts'
import type { LogFile } from './log-file.ts'
import { type PlainReader, Scratch } from './reader.ts'

const COMPARED_BYTES = 64 * 1024

/** The name says so; the content may not be there yet. */
export function isNamedCompressed({ seen: { path, folder, plain } }: LogFile): boolean {
  return path !== join(folder, plain)
}

/** It has not the name of a log that is written to. */
export function isRotated(file: LogFile): boolean {
  return file.seen.mark !== '' || isNamedCompressed(file)
}

/** A log is no copy of what was rotated out of its way: rotation makes copies of logs alone. Even if it has the same bytes. */
export function isSuccessor(file: LogFile, other: LogFile): boolean {
  return !isRotated(file) && isRotated(other)
}

/** Two rotated files that lie side by side under different names: a copy is made under the name of its original. */
export function isSibling(file: LogFile, other: LogFile): boolean {
  const [a, b] = [file.seen, other.seen]
  return isRotated(file) && isRotated(other) && a.folder === b.folder && a.plain !== b.plain
}

/** The file that this one is a mere copy of: compressed beside it, or made by copytruncate before it truncates. */
export function originalOf(file: LogFile, there: readonly LogFile[]): LogFile | undefined {
  const { folder, stem, plain, mark } = file.seen
  if (isNamedCompressed(file)) return there.find(({ seen }) => seen.path === join(folder, plain))
  if (mark === '' || file.encoding !== 'plain') return undefined
  const live = there.filter(({ seen }) => seen.stem === stem && seen.mark === '')
  const beside = live.filter(({ seen }) => seen.folder === folder)
  return (beside.length > 0 ? beside : live).find((original) => isCopyOf(file, original))
}

/**
 * Is a file a copy of one that holds a source with the same first event, of which `head` was read? One of the two is
 * compressed, or the holder is not there any more.
 */
export function isHeldCopy(file: LogFile, head: Buffer, holder: LogFile, isThere: boolean): boolean {
  if (holder.encoding !== 'plain') return head.subarray(0, file.head.length).equals(file.head)
  if (file.encoding !== 'plain') return holder.bytes(0, file.head.length).equals(file.head)
  return !isThere && isCopyOf(file, holder)
}

/**
 * Is a plain file a copy of the beginning of another one, made after that? What was seen of their sizes is old by now;
 * the copy's is asked for first, because the original only grows, or ends its likeness at once.
 */
function isCopyOf(copy: LogFile, original: LogFile): boolean {
  const { size } = copy
  if (size === 0 || copy.seen.birthMs < original.seen.birthMs) return false
  const ranges = [
    [0, Math.min(size, HEAD_BYTES)],
    [Math.max(0, size - TAIL_BYTES), size],
  ] as const
  return ranges.every(([from, to]) => copy.bytes(from, to).equals(original.bytes(from, to)))
}

/** Does a file hold nothing but the first bytes of another one? Of what is read twice in no time, the last bytes tell. */
export async function isBeginningOf(file: LogFile, reader: PlainReader, whole: PlainReader): Promise<boolean> {
  const [ownMemory, memory] = [new Scratch(), new Scratch()]
  let at = file.encoding === 'plain' ? Math.max(0, file.size - COMPARED_BYTES) : 0
  for (;;) {
    const own = await reader.read(at, at + COMPARED_BYTES, ownMemory)
    if (!own.equals(await whole.read(at, at + own.length, memory))) return false
    if (own.length < COMPARED_BYTES) return true
    at += own.length
  }
}
