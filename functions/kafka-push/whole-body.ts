import { subscribe } from 'node:diagnostics_channel'
import type { IncomingMessage } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { unzip } from 'node:zlib'
import type { Request } from '@google-cloud/functions-framework'
import { messageOf } from '../../shared/errors.ts'
import { Refusal } from './refusal.ts'

/** Cloud Run's own limit of a request; of one that came compressed, what it becomes. */
const BODY_BYTES_MAX = 32 * 1024 * 1024
const unpack = promisify<Buffer, { maxOutputLength: number }, Buffer>(unzip)

/**
 * The framework would read, decompress (up to 1 GiB) and parse a body before the function can see who sends it, and would answer what is no JSON itself. It
 * reads none that has no type: so the type is hidden from it. For the whole process, which is to serve nothing but kafka-push.
 */
export function hideTypes(): void {
  subscribe('http.server.request.start', (message) => {
    delete (message as { request: IncomingMessage }).request.headers['content-type']
  })
}

/** Content-Type, hidden or not. */
export const typeOf = (request: Request): string => request.headersDistinct['content-type']?.[0] ?? ''

/** Reads a body, and decompresses it within its limit. @throws Refusal */
export async function wholeBody(request: Request): Promise<Buffer> {
  const encoding = request.get('content-encoding')?.trim() || 'identity'
  const sent = await buffer(request)
  try {
    const body = encoding === 'identity' ? sent : await unpack(sent, { maxOutputLength: BODY_BYTES_MAX })
    if (body.length <= BODY_BYTES_MAX) return body
  } catch (error) {
    if (!(error instanceof RangeError))
      throw new Refusal(415, `Content-Encoding ${encoding} is not gzip or deflate: ${messageOf(error)}`)
  }
  throw new Refusal(413, `the body is larger than ${BODY_BYTES_MAX} bytes`)
}
