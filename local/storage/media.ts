import { pipeline, type Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { objectNotFound, ServiceError } from './errors.ts'
import type { Answer, Request } from './exchange.ts'
import { parseReadRange } from './content-range.ts'
import type { StoredObject } from './model.ts'
import { findObject, requireForRead } from './objects.ts'
import type { Service } from './service.ts'

/** `alt=media`: the bytes, all or a range, as stored or decompressed. */
export async function readObject(service: Service, request: Request): Promise<Answer> {
  const object = findObject(service, request)
  requireForRead(request, object)
  if (isTranscoded(object, request)) return transcoded(service, object)
  const range = parseReadRange(request.headers.range, object.size)
  if (range === 'unsatisfiable') {
    throw new ServiceError(416, 'requestedRangeNotSatisfiable', 'Request range not satisfiable')
  }
  const [start, end] = range ?? [0, object.size]
  const headers = { ...mediaHeaders(object), 'content-length': String(end - start), 'accept-ranges': 'bytes' }
  if (object.fields.contentEncoding) Object.assign(headers, { 'content-encoding': object.fields.contentEncoding })
  if (range) Object.assign(headers, { 'content-range': `bytes ${start}-${end - 1}/${object.size}` })
  return { status: range ? 206 : 200, headers, stream: await openContent(service, object, start, end) }
}

/** The object was there when it was looked up; by now its file may be gone, and so is the object. */
function openContent({ store }: Service, object: StoredObject, start: number, end: number): Promise<Readable> {
  return store.content.read(object.content, start, end).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT' ? objectNotFound(object.bucket, object.name) : error
  })
}

/**
 * Decompressive transcoding: an object stored with `Content-Encoding: gzip` goes out plain to a client that does not
 * accept gzip, whole, whatever range it asked for: https://cloud.google.com/storage/docs/transcoding
 */
function isTranscoded({ fields }: StoredObject, request: Request): boolean {
  if (fields.contentEncoding !== 'gzip' || fields.cacheControl?.includes('no-transform')) return false
  return !/\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''))
}

async function transcoded(service: Service, object: StoredObject): Promise<Answer> {
  const headers = { ...mediaHeaders(object), warning: '214 UploadServer gunzipped' }
  const stored = await openContent(service, object, 0, object.size)
  if (object.size === 0) return { status: 200, headers, stream: stored }
  // Bytes that are no gzip end the stream with an error, and so the connection: the client sees a broken body.
  const stream: Readable = pipeline(stored, createGunzip(), () => {})
  return { status: 200, headers, stream }
}

/** https://cloud.google.com/storage/docs/xml-api/reference-headers: the same on JSON reads. The hashes are of the stored bytes. */
function mediaHeaders({
  generation,
  metageneration,
  size,
  crc32c,
  md5,
  updatedMs,
  fields,
}: StoredObject): Record<string, string> {
  const optional = {
    'cache-control': fields.cacheControl,
    'content-disposition': fields.contentDisposition,
    'content-language': fields.contentLanguage,
  }
  const given = Object.entries(optional).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return {
    'content-type': fields.contentType ?? 'application/octet-stream',
    'last-modified': new Date(updatedMs).toUTCString(),
    etag: Buffer.from(`${generation}/${metageneration}`).toString('base64'),
    'x-goog-generation': String(generation),
    'x-goog-metageneration': String(metageneration),
    'x-goog-stored-content-encoding': fields.contentEncoding ?? 'identity',
    'x-goog-stored-content-length': String(size),
    'x-goog-hash': md5 === undefined ? `crc32c=${crc32c}` : `crc32c=${crc32c},md5=${md5}`,
    'x-goog-storage-class': fields.storageClass ?? 'STANDARD',
    ...Object.fromEntries(given),
  }
}
