import { UserError } from '../../shared/errors.ts'
import type { Change, Delivery, StoredBucket, StoredNotification, StoredObject, UploadSession } from './model.ts'
import { compareNames } from './names.ts'

/** Version of the journal's entries; N reads N-1. */
const FORMAT_VERSION = 1

/** Everything the service knows, in memory; the journal is how it comes back after a crash. */
export class State {
  readonly buckets = new Map<string, BucketState>()
  readonly sessions = new Map<string, UploadSession>()
  readonly deliveries = new Map<string, Delivery>()
  /** How many objects and sessions use each content file. */
  readonly contentUses = new Map<string, number>()
  /** The highest generation that was given out. */
  generation = 0

  reset(): void {
    this.buckets.clear()
    this.sessions.clear()
    this.deliveries.clear()
    this.contentUses.clear()
    this.generation = 0
  }

  object(bucket: string, name: string): StoredObject | undefined {
    return this.buckets.get(bucket)?.objects.get(name)
  }

  /** Makes one change. Changes state results, so that to apply one twice is the same as once. */
  apply(change: Change): void {
    switch (change.op) {
      case 'format':
        return requireVersion(change.version)
      case 'bucket': {
        const known = this.buckets.get(change.bucket.name)
        if (known) known.bucket = change.bucket
        else this.buckets.set(change.bucket.name, new BucketState(change.bucket))
        return
      }
      case 'bucket-gone':
        return void this.buckets.delete(change.name)
      case 'object':
        return this.putObject(change.object)
      case 'object-gone':
        return this.use(this.buckets.get(change.bucket)?.remove(change.name), -1)
      case 'session':
        return this.putSession(change.session)
      case 'session-gone':
        this.use(this.sessions.get(change.id), -1)
        return void this.sessions.delete(change.id)
      case 'notification':
        return void this.buckets
          .get(change.notification.bucket)
          ?.notifications.set(change.notification.id, change.notification)
      case 'notification-gone':
        return void this.buckets.get(change.bucket)?.notifications.delete(change.id)
      case 'delivery':
        return void this.deliveries.set(change.delivery.id, change.delivery)
      case 'delivery-gone':
        return void this.deliveries.delete(change.id)
      case 'generation':
        this.generation = Math.max(this.generation, change.generation)
    }
  }

  /** The changes that make an empty state into this one. */
  *snapshot(): Generator<Change> {
    yield { op: 'format', version: FORMAT_VERSION }
    yield { op: 'generation', generation: this.generation }
    for (const { bucket, objects, notifications } of this.buckets.values()) {
      yield { op: 'bucket', bucket }
      for (const object of objects.values()) yield { op: 'object', object }
      for (const notification of notifications.values()) yield { op: 'notification', notification }
    }
    for (const session of this.sessions.values()) yield { op: 'session', session }
    for (const delivery of this.deliveries.values()) yield { op: 'delivery', delivery }
  }

  private putObject(object: StoredObject): void {
    const bucket = this.buckets.get(object.bucket)
    if (!bucket) return
    const before = bucket.objects.get(object.name)
    this.use(object, 1)
    bucket.put(object)
    this.use(before, -1)
    this.generation = Math.max(this.generation, object.generation)
  }

  private putSession(session: UploadSession): void {
    this.use(session, 1)
    this.use(this.sessions.get(session.id), -1)
    this.sessions.set(session.id, session)
  }

  private use(user: StoredObject | UploadSession | undefined, by: 1 | -1): void {
    // A session that is over no longer holds its bytes: the object does, or nobody.
    if (!user || ('id' in user && (user.result || user.cancelled))) return
    const uses = (this.contentUses.get(user.content) ?? 0) + by
    if (uses === 0) this.contentUses.delete(user.content)
    else this.contentUses.set(user.content, uses)
  }
}

function requireVersion(version: number): void {
  if (version === FORMAT_VERSION) return
  throw new UserError(
    `The data folder of the local Cloud Storage has format ${version}; this Millrace reads ${FORMAT_VERSION}.`,
    'Use the Millrace that wrote it, or another data folder.',
  )
}

/** One bucket and what is in it. */
export class BucketState {
  bucket: StoredBucket
  readonly objects = new Map<string, StoredObject>()
  readonly notifications = new Map<string, StoredNotification>()
  #sorted: readonly string[] | undefined

  constructor(bucket: StoredBucket) {
    this.bucket = bucket
  }

  put(object: StoredObject): void {
    if (!this.objects.has(object.name)) this.#sorted = undefined
    this.objects.set(object.name, object)
  }

  remove(name: string): StoredObject | undefined {
    const object = this.objects.get(name)
    if (this.objects.delete(name)) this.#sorted = undefined
    return object
  }

  /** All names in the order of a listing. */
  sortedNames(): readonly string[] {
    this.#sorted ??= [...this.objects.keys()].sort(compareNames)
    return this.#sorted
  }
}
