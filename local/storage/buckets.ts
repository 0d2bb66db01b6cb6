import { invalid, NotModified, notBuilt, preconditionFailed, ServiceError } from './errors.ts'
import { type Answer, isRecord, nameOf, type Request, readJson } from './exchange.ts'
import type { StoredBucket, StoredObject } from './model.ts'
import { isBucketName } from './names.ts'
import { judge, parsePreconditions } from './preconditions.ts'
import { bucketResource } from './resource.ts'
import { requireBucket, type Service } from './service.ts'

/** Fields that are kept as they are given and change nothing here. */
const KEPT = [
  'location',
  'locationType',
  'storageClass',
  'labels',
  'iamConfiguration',
  'softDeletePolicy',
  'rpo',
] as const

/** Fields that would make the real service act, and that this one does not honour. */
const NOT_BUILT = [
  'lifecycle',
  'retentionPolicy',
  'encryption',
  'website',
  'cors',
  'logging',
  'autoclass',
  'objectRetention',
] as const

export async function insertBucket(service: Service, request: Request): Promise<Answer> {
  const body = await readJson(request)
  const name = body['name']
  if (typeof name !== 'string' || !isBucketName(name)) throw invalid(`Invalid bucket name: ${JSON.stringify(name)}`)
  if (service.store.state.buckets.has(name)) {
    const message = 'Your previous request to create the named bucket succeeded and you already own it.'
    throw new ServiceError(409, 'conflict', message)
  }
  const project = request.query.get('project') ?? ''
  await createBucket(service, name, project, patchBucketFields({}, body))
  return { status: 200, json: bucketResource(requireBucket(service, name), service.endpoint) }
}

export async function createBucket(service: Service, name: string, project: string, fields: Record<string, unknown>) {
  const now = service.store.clock.now()
  const bucket: StoredBucket = { name, project, metageneration: 1, createdMs: now, updatedMs: now, fields }
  await service.store.commit({ op: 'bucket', bucket })
}

export async function getBucket(service: Service, request: Request): Promise<Answer> {
  const state = requireBucket(service, nameOf(request, 'bucket'))
  const verdict = judge(parsePreconditions(request.query), asConditioned(state.bucket))
  if (verdict === 'failed') throw preconditionFailed()
  if (verdict === 'not-modified') throw new NotModified()
  return { status: 200, json: bucketResource(state, service.endpoint) }
}

/** https://cloud.google.com/storage/docs/json_api/v1/buckets/getStorageLayout: every bucket here is flat. */
export async function getStorageLayout(service: Service, request: Request): Promise<Answer> {
  const { name: bucket, location, locationType } = bucketResource(requireBucket(service, nameOf(request, 'bucket')), '')
  const hierarchicalNamespace = { enabled: false }
  return { status: 200, json: { kind: 'storage#storageLayout', bucket, location, locationType, hierarchicalNamespace } }
}

/** There are none, because none can be made here; tools ask before they delete a bucket. */
export async function listManagedFolders(service: Service, request: Request): Promise<Answer> {
  requireBucket(service, nameOf(request, 'bucket'))
  return { status: 200, json: { kind: 'storage#managedFolders', items: [] } }
}

export async function listBuckets(service: Service, request: Request): Promise<Answer> {
  const project = request.query.get('project')
  const prefix = request.query.get('prefix') ?? ''
  const all = [...service.store.state.buckets.values()]
    .filter(
      ({ bucket }) => (!project || !bucket.project || bucket.project === project) && bucket.name.startsWith(prefix),
    )
    .sort((a, b) => (a.bucket.name < b.bucket.name ? -1 : 1))
  return {
    status: 200,
    json: { kind: 'storage#buckets', items: all.map((one) => bucketResource(one, service.endpoint)) },
  }
}

export async function updateBucket(service: Service, request: Request): Promise<Answer> {
  const body = await readJson(request)
  const { bucket } = requireBucket(service, nameOf(request, 'bucket'))
  requireBucketConditions(request, bucket)
  const fields = patchBucketFields(request.method === 'PUT' ? {} : bucket.fields, body)
  const metageneration = bucket.metageneration + 1
  await service.store.commit({
    op: 'bucket',
    bucket: { ...bucket, fields, metageneration, updatedMs: service.store.clock.now() },
  })
  return { status: 200, json: bucketResource(requireBucket(service, bucket.name), service.endpoint) }
}

export async function deleteBucket(service: Service, request: Request): Promise<Answer> {
  const state = requireBucket(service, nameOf(request, 'bucket'))
  requireBucketConditions(request, state.bucket)
  if (state.objects.size > 0) {
    throw new ServiceError(409, 'conflict', 'The bucket you tried to delete is not empty.')
  }
  await service.store.commit({ op: 'bucket-gone', name: state.bucket.name })
  return { status: 204 }
}

function requireBucketConditions(request: Request, bucket: StoredBucket): void {
  if (judge(parsePreconditions(request.query), asConditioned(bucket)) !== 'hold') throw preconditionFailed()
}

/** Buckets have a metageneration alone. */
const asConditioned = (bucket: StoredBucket) =>
  ({ generation: 0, metageneration: bucket.metageneration }) as StoredObject

function patchBucketFields(before: Record<string, unknown>, body: Record<string, unknown>): Record<string, unknown> {
  for (const name of NOT_BUILT) {
    const value = body[name]
    const empty = value === undefined || value === null || (isRecord(value) && Object.keys(value).length === 0)
    if (!empty && !(Array.isArray(value) && value.length === 0)) throw notBuilt(`The bucket field ${name}`)
  }
  if (isRecord(body['versioning']) && body['versioning']['enabled'] === true) throw notBuilt('Object versioning')
  if (isRecord(body['hierarchicalNamespace']) && body['hierarchicalNamespace']['enabled'] === true) {
    throw notBuilt('A hierarchical namespace')
  }
  if (isRecord(body['billing']) && body['billing']['requesterPays'] === true) throw notBuilt('Requester pays')
  const after = { ...before }
  for (const name of KEPT) {
    const value = body[name]
    if (value === null) delete after[name]
    else if (name === 'labels' && isRecord(value)) after[name] = mergeLabels(before[name], value)
    else if (value !== undefined) after[name] = value
  }
  return after
}

function mergeLabels(before: unknown, patch: Record<string, unknown>): Record<string, unknown> {
  const merged = { ...(isRecord(before) ? before : {}), ...patch }
  return Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== null))
}
