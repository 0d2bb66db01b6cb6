import type { Deliveries } from './delivery/index.ts'
import { bucketNotFound, preconditionFailed, rateLimited } from './errors.ts'
import { judge } from './preconditions.ts'
import type { Change, Preconditions, StoredObject } from './model.ts'
import type { BucketState } from './state.ts'
import type { Store } from './store.ts'
import type { UpdateLimit } from './update-limit.ts'

/** What every method of the service works with. */
export interface Service {
  store: Store
  deliveries: Deliveries
  limit: UpdateLimit
  /** `http://127.0.0.1:port`, for links in resources. */
  endpoint: string
}

/** The bucket, or 404. */
export function requireBucket({ store }: Service, name: string): BucketState {
  const bucket = store.state.buckets.get(name)
  if (!bucket) throw bucketNotFound()
  return bucket
}

/** 412 unless the conditions hold for what is there now. For everything but reads. */
export function requireConditions(conditions: Preconditions, object: StoredObject | undefined): void {
  if (judge(conditions, object) !== 'hold') throw preconditionFailed()
}

/**
 * The changes that make `object` the live one of its name: the object, and one delivery for each target that wants it,
 * in one journal line, so that no finalized object goes unannounced.
 */
export function finalizeChanges({ deliveries }: Service, object: StoredObject): Change[] {
  return [{ op: 'object', object }, ...deliveries.announce(object)]
}

/** Counts a write of new content to a name; 429 when the last one was less than a second ago. */
export function limitWrite({ limit }: Service, bucket: string, name: string): void {
  if (!limit.take('write', bucket, name)) throw rateLimited(bucket, name)
}

/** Counts a change of an object's metadata; 429 when the last one was less than a second ago. */
export function limitUpdate({ limit }: Service, bucket: string, name: string): void {
  if (!limit.take('update', bucket, name)) throw rateLimited(bucket, name)
}
