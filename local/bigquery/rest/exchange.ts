import type { IncomingMessage } from 'node:http'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { invalid, RestError } from './errors.ts'

/** The largest request body: a table of 10,000 columns with descriptions stays far below. */
const BODY_BYTES_MAX = 32 * 1024 * 1024

/** A request as the methods see it. */
export interface Request {
  /** Parts of the path by name: project, dataset, table, job. */
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  readonly body: Readonly<Record<string, unknown>>
  /** The `If-Match` header. */
  readonly ifMatch: string | undefined
  /** `http://127.0.0.1:port` */
  readonly origin: string
}

/** An answer: its JSON, or nothing (204). */
export type Answer = { readonly json: unknown } | undefined

/** A part of the path that the route guarantees. */
export function param(request: Request, name: string): string {
  return request.params[name] ?? ''
}

const unzip = promisify(gunzip)

/** Reads a JSON object, gzip or plain; an empty body is an empty object. */
export async function readBody(message: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of message as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > BODY_BYTES_MAX) throw new RestError(413, 'requestTooLarge', 'Request payload size exceeds the limit.')
    chunks.push(chunk)
  }
  if (size === 0) return {}
  const bytes = Buffer.concat(chunks)
  const plain = message.headers['content-encoding'] === 'gzip' ? await unzip(bytes) : bytes
  try {
    const value: unknown = JSON.parse(plain.toString())
    if (isObject(value)) return value
  } catch {
    // Answered below, as every other body that is no JSON object.
  }
  throw invalid('Invalid JSON payload received.')
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The member `name` of an object, when it is a text. */
export function text(value: unknown, name: string): string | undefined {
  const member = isObject(value) ? value[name] : undefined
  return typeof member === 'string' ? member : undefined
}

/** The member `name` of an object, when it is an object. */
export function object(value: unknown, name: string): Record<string, unknown> | undefined {
  const member = isObject(value) ? value[name] : undefined
  return isObject(member) ? member : undefined
}

/** A whole number that the API sends as number or as text. */
export function count(value: unknown): number | undefined {
  if (value === undefined || value === null || value === '') return undefined
  const number = Number(value)
  if (!Number.isSafeInteger(number) || number < 0) throw invalid(`Invalid value: ${JSON.stringify(value)}`)
  return number
}

/** A yes-or-no query parameter; Python clients write `True`. */
export function flag(query: URLSearchParams, name: string): boolean {
  return query.get(name)?.toLowerCase() === 'true'
}
