import { bucketNotFound, invalid } from './errors.ts'
import type { Digest } from './content.ts'
import type { Change, ObjectFields, Preconditions, StoredObject, UploadSession } from './model.ts'
import { objectNameProblem } from './names.ts'
import { finalizeChanges, limitWrite, requireConditions, type Service } from './service.ts'

/** What the client says the bytes come to. */
export type Expected = UploadSession['expected']

/** The `crc32c` and `md5` of X-Goog-Hash headers and of the metadata. */
export function expectedHashes(
  header: string | string[] | undefined,
  metadata: Record<string, unknown> = {},
): Expected {
  const expected: Expected = {}
  const { crc32c, md5Hash } = metadata
  if (typeof crc32c === 'string') expected.crc32c = crc32c
  if (typeof md5Hash === 'string') expected.md5 = md5Hash
  for (const [, kind, value] of String(header ?? '').matchAll(/(crc32c|md5)=([A-Za-z0-9+/=]+)/g)) {
    if (kind === 'crc32c' && value) expected.crc32c = value
    if (kind === 'md5' && value) expected.md5 = value
  }
  return expected
}

/** 400 when the bytes are not those that the client meant. */
export function requireHashes(expected: Expected, { crc32c, md5 }: Digest): void {
  if (expected.crc32c !== undefined && expected.crc32c !== crc32c) {
    throw invalid(`Provided CRC32C "${expected.crc32c}" doesn't match calculated CRC32C "${crc32c}".`)
  }
  if (expected.md5 !== undefined && expected.md5 !== md5) {
    throw invalid(`Provided MD5 hash "${expected.md5}" doesn't match calculated MD5 hash "${md5}".`)
  }
}

export function requireObjectName(name: unknown): string {
  const problem = typeof name === 'string' ? objectNameProblem(name) : 'Required'
  if (problem !== undefined) throw invalid(problem)
  return name as string
}

export interface NewObject {
  bucket: string
  name: string
  fields: ObjectFields
  conditions: Preconditions
  content: string
  digest: { size: number; crc32c: string; md5?: string }
  componentCount?: number
}

/**
 * Makes the new generation of a name: the last check of its conditions, the object, its announcements and `also`, in
 * one journal line. The content file must be synced. Everything up to the commit happens in one step of the program.
 */
export async function finalize(service: Service, made: NewObject, also: (object: StoredObject) => Change[] = () => []) {
  const { bucket, name, fields, conditions, content, digest, componentCount } = made
  const { store } = service
  if (!store.state.buckets.has(bucket)) throw bucketNotFound()
  requireConditions(conditions, store.state.object(bucket, name))
  limitWrite(service, bucket, name)
  const now = store.clock.now()
  const object: StoredObject = {
    bucket,
    name,
    generation: store.nextGeneration(),
    metageneration: 1,
    content,
    ...digest,
    ...(componentCount === undefined ? {} : { componentCount }),
    createdMs: now,
    updatedMs: now,
    fields,
  }
  await store.commit(...finalizeChanges(service, object), ...also(object))
  service.deliveries.wake()
  return object
}
