import { invalid, notBuilt } from './errors.ts'
import { type Answer, isRecord, nameOf, type Request, readJson } from './exchange.ts'
import { finalize, requireObjectName } from './finalize.ts'
import type { ObjectFields, StoredObject } from './model.ts'
import { newFields } from './object-fields.ts'
import { requireObject } from './objects.ts'
import { parsePreconditions } from './preconditions.ts'
import { objectResource } from './resource.ts'
import { requireBucket, requireConditions, type Service } from './service.ts'

/** https://cloud.google.com/storage/docs/json_api/v1/objects/compose: at most 32 sources. */
const SOURCES_MAX = 32

export async function rewriteObject(service: Service, request: Request): Promise<Answer> {
  const { object } = await copy(service, request)
  const size = String(object.size)
  const resource = objectResource(object, service.endpoint)
  return {
    status: 200,
    json: { kind: 'storage#rewriteResponse', totalBytesRewritten: size, objectSize: size, done: true, resource },
  }
}

export async function copyObject(service: Service, request: Request): Promise<Answer> {
  const { object } = await copy(service, request)
  return { status: 200, json: objectResource(object, service.endpoint) }
}

/** A copy shares the content file of its source. A body with fields replaces all the source's fields. */
async function copy(service: Service, request: Request): Promise<{ object: StoredObject }> {
  const body = await readJson(request)
  const { query } = request
  const source = requireObject(
    service,
    nameOf(request, 'bucket'),
    nameOf(request, 'object'),
    query.get('sourceGeneration'),
  )
  requireConditions(parsePreconditions(query, 'Source'), source)
  const bucket = nameOf(request, 'toBucket')
  requireBucket(service, bucket)
  const name = requireObjectName(nameOf(request, 'toObject'))
  const { size, crc32c, md5, content, componentCount } = source
  const object = await finalize(service, {
    bucket,
    name,
    fields: Object.keys(body).length > 0 ? newFields(body) : source.fields,
    conditions: parsePreconditions(query),
    content,
    digest: { size, crc32c, ...(md5 === undefined ? {} : { md5 }) },
    ...(componentCount === undefined ? {} : { componentCount }),
  })
  return { object }
}

/** Makes one object of the bytes of several of the same bucket. It has no MD5, as in the real service. */
export async function composeObject(service: Service, request: Request): Promise<Answer> {
  const body = await readJson(request)
  const { store } = service
  const bucket = nameOf(request, 'bucket')
  const name = requireObjectName(nameOf(request, 'object'))
  const sources = findSources(service, bucket, body['sourceObjects'])
  if (body['deleteSourceObjects'] === true) throw notBuilt('deleteSourceObjects')
  const content = store.newId()
  const writer = await store.content.create(content)
  try {
    for (const source of sources) {
      const bytes = await store.content.read(source.content, 0, source.size)
      for await (const part of bytes as AsyncIterable<Buffer>) await writer.write(part)
    }
    await writer.sync()
    const { size, crc32c } = writer.digest()
    const object = await finalize(service, {
      bucket,
      name,
      fields: destinationFields(body['destination'], sources),
      conditions: parsePreconditions(request.query),
      content,
      digest: { size, crc32c },
      componentCount: sources.reduce((sum, { componentCount = 1 }) => sum + componentCount, 0),
    })
    return { status: 200, json: objectResource(object, service.endpoint) }
  } catch (error) {
    if (!store.state.contentUses.has(content)) await store.content.remove(content)
    throw error
  } finally {
    await writer.close()
  }
}

function findSources(service: Service, bucket: string, list: unknown): StoredObject[] {
  if (!Array.isArray(list) || list.length === 0) throw invalid('You must provide at least one source component.')
  if (list.length > SOURCES_MAX) {
    throw invalid(`The number of source components provided (${list.length}) exceeds the maximum (${SOURCES_MAX})`)
  }
  return list.map((entry: unknown) => {
    if (!isRecord(entry) || typeof entry['name'] !== 'string') throw invalid('Every source object needs a name.')
    const wantedGeneration = entry['generation']
    const generation = wantedGeneration === undefined ? null : `${wantedGeneration as string | number}`
    const source = requireObject(service, bucket, entry['name'], generation)
    const conditions = entry['objectPreconditions']
    const wanted = isRecord(conditions) ? conditions['ifGenerationMatch'] : undefined
    if (wanted !== undefined) requireConditions({ ifGenerationMatch: Number(wanted) }, source)
    return source
  })
}

function destinationFields(destination: unknown, sources: readonly StoredObject[]): ObjectFields {
  const fields = newFields(isRecord(destination) ? destination : {})
  const contentType = fields.contentType ?? sources[0]?.fields.contentType
  return contentType === undefined ? fields : { ...fields, contentType }
}
