import type { BucketState } from './state.ts'
import type { StoredNotification, StoredObject } from './model.ts'

const iso = (ms: number) => new Date(ms).toISOString()
const etagOf = (...parts: number[]) => Buffer.from(parts.join('/')).toString('base64')

/** An object in the JSON API's form: https://cloud.google.com/storage/docs/json_api/v1/objects#resource */
export function objectResource(object: StoredObject, endpoint: string): Record<string, unknown> {
  const { bucket, name, generation, metageneration, fields } = object
  const path = `b/${bucket}/o/${encodeURIComponent(name)}`
  return {
    kind: 'storage#object',
    id: `${bucket}/${name}/${generation}`,
    selfLink: `${endpoint}/storage/v1/${path}`,
    mediaLink: `${endpoint}/download/storage/v1/${path}?generation=${generation}&alt=media`,
    name,
    bucket,
    generation: String(generation),
    metageneration: String(metageneration),
    storageClass: 'STANDARD',
    ...fields,
    size: String(object.size),
    crc32c: object.crc32c,
    ...(object.md5 === undefined ? {} : { md5Hash: object.md5 }),
    ...(object.componentCount === undefined ? {} : { componentCount: object.componentCount }),
    etag: etagOf(generation, metageneration),
    timeCreated: iso(object.createdMs),
    updated: iso(object.updatedMs),
    timeStorageClassUpdated: iso(object.createdMs),
    timeFinalized: iso(object.createdMs),
  }
}

/** A bucket in the JSON API's form: https://cloud.google.com/storage/docs/json_api/v1/buckets#resource */
export function bucketResource({ bucket }: BucketState, endpoint: string): Record<string, unknown> {
  return {
    kind: 'storage#bucket',
    id: bucket.name,
    selfLink: `${endpoint}/storage/v1/b/${bucket.name}`,
    name: bucket.name,
    // Real project numbers are Google's; this one only has to be a number and stay the same.
    projectNumber: '1',
    metageneration: String(bucket.metageneration),
    location: 'US',
    locationType: 'multi-region',
    storageClass: 'STANDARD',
    ...bucket.fields,
    etag: etagOf(bucket.metageneration),
    timeCreated: iso(bucket.createdMs),
    updated: iso(bucket.updatedMs),
  }
}

export function notificationResource(notification: StoredNotification, endpoint: string): Record<string, unknown> {
  const { id, bucket, fields } = notification
  return {
    kind: 'storage#notification',
    id,
    etag: id,
    selfLink: `${endpoint}/storage/v1/b/${bucket}/notificationConfigs/${id}`,
    ...fields,
  }
}
