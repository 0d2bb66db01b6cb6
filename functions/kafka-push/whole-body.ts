import { subscribe } from 'node:diagnostics_channel'
import type { IncomingMessage } from 'node:http'
import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate } from 'node:zlib'
import type { Request } from '@google-cloud/functions-framework'
import { messageOf } from '../../shared/errors.ts'
import { Refusal } from './refusal.ts'

/** Cloud Run's own limit of a request; of one that came compressed, what it becomes. */
const BODY_BYTES_MAX = 32 * 1024 * 1024
const LIMIT = { maxOutputLength: BODY_BYTES_MAX }
/** By Content-Encoding. */
const UNPACK: Readonly<Record<string, (body: Buffer) => Buffer | Promise<Buffer>>> = {
  identity: (body) => body,
  gzip: (body) => promisify(gunzip)(body, LIMIT),
  deflate: (body) => promisify(inflate)(body, LIMIT),
  br: (body) => promisify(brotliDecompress)(body, LIMIT),
}

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

/** Reads and decompresses a body, within its limit. @throws Refusal */
export async function wholeBody(request: Request): Promise<Buffer> {
  const encoding = request.get('content-encoding')?.toLowerCase() ?? 'identity'
  const unpack = UNPACK[encoding]
  if (!unpack) throw new Refusal(415, `Content-Encoding ${encoding}: none of ${Object.keys(UNPACK).join(', ')}`)
  try {
    return await unpack(await read(request))
  } catch (error) {
    if (error instanceof RangeError) throw tooLarge()
    if (error instanceof Error && 'errno' in error)
      throw new Refusal(400, `the body is no ${encoding}: ${messageOf(error)}`)
    throw error
  }
}

async function read(request: Request): Promise<Buffer> {
  if (Number(request.get('content-length')) > BODY_BYTES_MAX) throw tooLarge()
  const pieces: Buffer[] = []
  let bytes = 0
  // What is left unread must not take the connection with it, which the answer needs.
  for await (const piece of request.iterator({ destroyOnReturn: false })) {
    pieces.push(piece)
    bytes += piece.length
    if (bytes > BODY_BYTES_MAX) throw tooLarge()
  }
  return Buffer.concat(pieces)
}

const tooLarge = () => new Refusal(413, `the body is larger than ${BODY_BYTES_MAX} bytes`)
