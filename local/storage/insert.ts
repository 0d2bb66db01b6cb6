import { invalid } from './errors.ts'
import { type Answer, nameOf, type Request } from './exchange.ts'
import { type Expected, expectedHashes, finalize, requireHashes, requireObjectName } from './finalize.ts'
import type { ObjectFields } from './model.ts'
import { boundaryOf, openMultipart } from './multipart.ts'
import { newFields } from './object-fields.ts'
import { parsePreconditions } from './preconditions.ts'
import { objectResource } from './resource.ts'
import { requireBucket, requireConditions, type Service } from './service.ts'

/** `uploadType=media`: the body is the object. */
export async function insertMedia(service: Service, request: Request): Promise<Answer> {
  const name = requireObjectName(request.query.get('name'))
  const contentType = request.headers['content-type']
  const fields = withEncoding(request, newFields(contentType === undefined ? {} : { contentType }))
  return insert(service, request, name, fields, expectedHashes(request.headers['x-goog-hash']), request.body)
}

/** `uploadType=multipart`: metadata and bytes in one body. */
export async function insertMultipart(service: Service, request: Request): Promise<Answer> {
  const { metadata, contentType, media } = await openMultipart(
    request.body,
    boundaryOf(request.headers['content-type']),
  )
  const name = requireObjectName(request.query.get('name') ?? metadata['name'])
  const fields = withEncoding(request, newFields(contentType === undefined ? metadata : { contentType, ...metadata }))
  return insert(service, request, name, fields, expectedHashes(request.headers['x-goog-hash'], metadata), media)
}

/** The parameter `contentEncoding` is above what the metadata say. */
export function withEncoding(request: Request, fields: ObjectFields): ObjectFields {
  const contentEncoding = request.query.get('contentEncoding')
  return contentEncoding === null ? fields : { ...fields, contentEncoding }
}

/** Bytes to a new content file first; only when they are on the disk, the object. A crash between leaves a file that the next start sweeps. */
async function insert(
  service: Service,
  request: Request,
  name: string,
  fields: ObjectFields,
  expected: Expected,
  body: AsyncIterable<Buffer>,
): Promise<Answer> {
  const { store } = service
  const bucket = nameOf(request, 'bucket')
  const conditions = parsePreconditions(request.query)
  requireConditions(conditions, requireBucket(service, bucket).objects.get(name))
  const content = store.newId()
  const writer = await store.content.create(content)
  try {
    for await (const part of body) await writer.write(part)
    await writer.sync()
    const digest = writer.digest()
    requireHashes(expected, digest)
    const object = await finalize(service, { bucket, name, fields, conditions, content, digest })
    return { status: 200, json: objectResource(object, service.endpoint) }
  } catch (error) {
    if (!store.state.contentUses.has(content)) await store.content.remove(content)
    throw error
  } finally {
    await writer.close()
  }
}

export const unknownUploadType = (type: string | null) =>
  invalid(`Invalid value for uploadType: ${type ?? 'none'}; known are media, multipart and resumable.`)
