import { invalid, NotModified, notBuilt, objectNotFound, preconditionFailed } from './errors.ts'
import { type Answer, nameOf, type Request, readJson } from './exchange.ts'
import type { StoredObject } from './model.ts'
import { patchFields } from './object-fields.ts'
import { judge, parseCount, parsePreconditions } from './preconditions.ts'
import { objectResource } from './resource.ts'
import { limitUpdate, requireBucket, requireConditions, type Service } from './service.ts'

/** The object that the path names, in the generation that the query asks for, or 404. */
export function findObject(service: Service, request: Request): StoredObject {
  const bucket = nameOf(request, 'bucket')
  const name = nameOf(request, 'object')
  return requireObject(service, bucket, name, request.query.get('generation'))
}

/** The live object, or 404; also 404 when it is of another generation than the one wanted. */
export function requireObject(service: Service, bucket: string, name: string, generation: string | null): StoredObject {
  const object = requireBucket(service, bucket).objects.get(name)
  const wanted = generation === null ? undefined : parseCount('generation', generation)
  if (!object || (wanted !== undefined && wanted !== object.generation)) throw objectNotFound(bucket, name)
  return object
}

/** Preconditions of a read: 412, or 304 when only a NotMatch fails. */
export function requireForRead(request: Request, object: StoredObject): void {
  const verdict = judge(parsePreconditions(request.query), object)
  if (verdict === 'failed') throw preconditionFailed()
  if (verdict === 'not-modified') throw new NotModified()
}

export async function getObject(service: Service, request: Request): Promise<Answer> {
  const object = findObject(service, request)
  requireForRead(request, object)
  return { status: 200, json: objectResource(object, service.endpoint) }
}

/** PATCH: the fields that the body names. PUT: all settable fields, those that are absent are taken away. */
export async function updateObject(service: Service, request: Request): Promise<Answer> {
  const body = await readJson(request)
  const conditions = parsePreconditions(request.query)
  // From here to the commit nothing may wait: what is checked must still be so when it is changed.
  const before = findObject(service, request)
  requireConditions(conditions, before)
  const fields = patchFields(request.method === 'PUT' ? {} : before.fields, body)
  limitUpdate(service, before.bucket, before.name)
  const object = { ...before, fields, metageneration: before.metageneration + 1, updatedMs: service.store.clock.now() }
  await service.store.commit({ op: 'object', object })
  return { status: 200, json: objectResource(object, service.endpoint) }
}

export async function deleteObject(service: Service, request: Request): Promise<Answer> {
  const object = findObject(service, request)
  requireConditions(parsePreconditions(request.query), object)
  await service.store.commit({ op: 'object-gone', bucket: object.bucket, name: object.name })
  return { status: 204 }
}

/** Refuses parameters that would need what is not built. */
export function refuseParameters(query: URLSearchParams): void {
  if (query.get('softDeleted') === 'true') throw notBuilt('Soft delete')
  if (query.get('kmsKeyName')) throw notBuilt('Encryption with keys of Cloud KMS')
  const alt = query.get('alt')
  if (alt !== null && alt !== 'json' && alt !== 'media') throw invalid(`Invalid value for alt: ${alt}`)
}
