import { invalid } from './errors.ts'
import { parseJson } from './exchange.ts'

/** The metadata part and the headers of the media part, together. */
const HEAD_BYTES_MAX = 1024 * 1024

export interface MultipartUpload {
  metadata: Record<string, unknown>
  contentType: string | undefined
  /** The bytes of the media part; throws when the closing boundary is missing. */
  media: AsyncIterable<Buffer>
}

/** The boundary of a `multipart/related` content type. */
export function boundaryOf(contentType: string | undefined): string {
  const match = /^multipart\/related\s*;.*boundary=(?:"([^"]+)"|'([^']+)'|([^;\s]+))/i.exec(contentType ?? '')
  const boundary = match?.[1] ?? match?.[2] ?? match?.[3]
  if (!boundary) throw invalid('A multipart upload needs Content-Type: multipart/related; boundary=...')
  return boundary
}

/** Splits a multipart upload: a JSON part and a media part, in this order; the media are streamed. */
export async function openMultipart(body: AsyncIterable<Buffer>, boundary: string): Promise<MultipartUpload> {
  const parts = body[Symbol.asyncIterator]()
  const delimiter = Buffer.from(`--${boundary}`)
  let head = Buffer.alloc(0)
  for (;;) {
    const split = splitHead(head, delimiter)
    if (split) {
      const [json, mediaHead, rest] = split
      const contentType = /^content-type:\s*([^\r\n]+)/im.exec(mediaHead)?.[1]?.trim()
      return { metadata: parseJson(json), contentType, media: untilBoundary(rest, parts, boundary) }
    }
    const next = await parts.next()
    if (next.done || head.length > HEAD_BYTES_MAX)
      throw invalid('The multipart body has no metadata part and media part.')
    head = Buffer.concat([head, next.value])
  }
}

/** JSON text, headers of the media part, first media bytes; undefined while more is needed. */
function splitHead(head: Buffer, delimiter: Buffer): [string, string, Buffer] | undefined {
  const first = endOfHeaders(head, head.indexOf(delimiter))
  const second = first && head.indexOf(delimiter, first)
  const media = second === undefined ? undefined : endOfHeaders(head, second)
  if (first === undefined || second === undefined || media === undefined) return undefined
  return [head.toString('utf8', first, second), head.toString('utf8', second, media), head.subarray(media)]
}

function endOfHeaders(head: Buffer, delimiterAt: number): number | undefined {
  if (delimiterAt < 0) return undefined
  const crlf = head.indexOf('\r\n\r\n', delimiterAt)
  const lf = head.indexOf('\n\n', delimiterAt)
  if (crlf < 0 && lf < 0) return undefined
  return crlf >= 0 && (lf < 0 || crlf < lf) ? crlf + 4 : lf + 2
}

/** Everything up to the closing boundary, which ends the body: only the tail can hold it. */
async function* untilBoundary(first: Buffer, parts: AsyncIterator<Buffer>, boundary: string): AsyncGenerator<Buffer> {
  const closing = `--${boundary}--`
  const keep = closing.length + 8 // with the line ends around it
  let tail = first
  for (let next = await parts.next(); !next.done; next = await parts.next()) {
    const joined = Buffer.concat([tail, next.value])
    const cut = Math.max(0, joined.length - keep)
    if (cut > 0) yield joined.subarray(0, cut)
    tail = joined.subarray(cut)
  }
  const at = tail.lastIndexOf(closing)
  if (at < 0) throw invalid('The multipart body has no closing boundary.')
  yield tail.subarray(0, at - lineEndBefore(tail, at))
}

function lineEndBefore(bytes: Buffer, at: number): number {
  if (bytes[at - 1] !== 0x0a) return 0
  return bytes[at - 2] === 0x0d ? 2 : 1
}
