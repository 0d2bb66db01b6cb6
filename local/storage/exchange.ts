import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import { invalid, ServiceError } from './errors.ts'

/** A request, apart from the connection it came by. */
export interface Request {
  method: string
  path: string
  query: URLSearchParams
  headers: IncomingHttpHeaders
  /** The body's bytes; ends early by throwing when the client goes away. */
  body: AsyncIterable<Buffer>
  /** Ends the request from this side: its body throws, and no answer is sent. */
  cancel(): void
  /** The names in the path, decoded. */
  names: Readonly<Record<string, string>>
}

/** What is to be sent: at most one of `json` and `stream`. */
export interface Answer {
  status: number
  headers?: Record<string, string>
  json?: unknown
  stream?: Readable
}

/** A JSON body is metadata; the largest that the service takes is well below this. */
const JSON_BYTES_MAX = 1024 * 1024

export async function readAll(body: AsyncIterable<Buffer>, bytesMax: number): Promise<Buffer> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of body) {
    bytes += part.length
    if (bytes > bytesMax) throw new ServiceError(413, 'uploadTooLarge', `The request is larger than ${bytesMax} bytes.`)
    parts.push(part)
  }
  return Buffer.concat(parts)
}

/** The body as a JSON object; an empty body is an empty object. */
export async function readJson(request: Request): Promise<Record<string, unknown>> {
  return parseJson((await readAll(request.body, JSON_BYTES_MAX)).toString('utf8'))
}

export function parseJson(text: string): Record<string, unknown> {
  if (text.trim() === '') return {}
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new ServiceError(400, 'parseError', 'Parse Error')
  }
  if (isRecord(value)) return value
  throw invalid('The body must be a JSON object.')
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A name of the route that the path is known to have. */
export function nameOf(request: Request, key: string): string {
  const name = request.names[key]
  if (name === undefined) throw new Error(`the route has no ${key}`)
  return name
}
