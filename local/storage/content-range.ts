/** Bytes that every part of a resumable upload but the last must have at least; the session keeps whole multiples. */
export const PART_BYTES = 256 * 1024

/** What a request of a resumable upload says about itself. */
export type UploadPart =
  /** Asks how far the session is, or ends it when `total` is reached. */
  | { kind: 'status'; total: number | undefined }
  /** Bytes from `start` on. `end` (exclusive): undefined when the body's end says it. `total`: undefined when open. */
  | { kind: 'bytes'; start: number; end: number | undefined; total: number | undefined; last: boolean }

/**
 * Reads Content-Range of a resumable upload, in all its forms: none (the whole object), `bytes *\/*`, `bytes *\/T`,
 * `bytes A-B/*`, `bytes A-B/T`, and the open forms of @google-cloud/storage, `bytes A-*\/*` and `bytes A-*\/T`.
 * Returns undefined for anything else.
 */
export function parseUploadRange(header: string | undefined): UploadPart | undefined {
  if (header === undefined) return { kind: 'bytes', start: 0, end: undefined, total: undefined, last: true }
  const match = /^bytes (?:(\*)|(\d{1,15})-(\d{1,15}|\*))\/(\d{1,15}|\*)$/.exec(header)
  if (!match) return undefined
  const [, status, from, to, of] = match
  const total = of === '*' ? undefined : Number(of)
  if (status) return { kind: 'status', total }
  const start = Number(from)
  if (to === '*') return { kind: 'bytes', start, end: undefined, total, last: true }
  const end = Number(to) + 1
  if (end <= start || (total !== undefined && end > total)) return undefined
  return { kind: 'bytes', start, end, total, last: end === total }
}

/** Why a part that is not the last cannot be taken, in the service's words. */
export function partTooSmall(bytes: number): string | undefined {
  if (bytes >= PART_BYTES) return undefined
  return (
    `Invalid request.  The number of bytes uploaded is required to be equal or greater than ${PART_BYTES}, ` +
    `except for the final request (it's recommended to be the exact multiple of ${PART_BYTES}).  ` +
    `The received request contained ${bytes} bytes, which does not meet this requirement.`
  )
}

/** How many of `bytes` an unfinished session keeps. */
export function keptOf(bytes: number): number {
  return bytes - (bytes % PART_BYTES)
}

/** A range of a read: `[start, end)` of `size` bytes, undefined for the whole, `unsatisfiable` for 416. */
export function parseReadRange(
  header: string | undefined,
  size: number,
): [number, number] | undefined | 'unsatisfiable' {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '')
  if (!match || (match[1] === '' && match[2] === '')) return undefined // anything else is ignored, as RFC 9110 asks
  const [, from, to] = match
  if (from === '') {
    const last = Math.min(Number(to), size)
    return last === 0 ? 'unsatisfiable' : [size - last, size]
  }
  const start = Number(from)
  const end = to === '' ? size : Math.min(Number(to) + 1, size)
  if (to !== '' && Number(to) < start) return undefined
  return start >= size ? 'unsatisfiable' : [start, end]
}
