/** What the settable fields of an object are, with the names of the JSON API. */
export interface ObjectFields {
  contentType?: string
  contentEncoding?: string
  contentDisposition?: string
  contentLanguage?: string
  cacheControl?: string
  customTime?: string
  storageClass?: string
  metadata?: Record<string, string>
}

/** A live object. There is one generation of a name at a time: versioning is not built. */
export interface StoredObject {
  bucket: string
  name: string
  /** Microseconds since 1970 of its creation, larger than every generation before. */
  generation: number
  /** 1 for a new generation; up by one with every change of its fields. */
  metageneration: number
  /** Name of the file below `content/` that holds the bytes; copies share it. */
  content: string
  size: number
  /** Base64 of the big-endian CRC32C. */
  crc32c: string
  /** Base64; composed objects have none. */
  md5?: string
  /** Only of composed objects. */
  componentCount?: number
  createdMs: number
  updatedMs: number
  fields: ObjectFields
}

export interface StoredBucket {
  name: string
  project: string
  metageneration: number
  createdMs: number
  updatedMs: number
  /** Fields as they were given: location, storageClass, labels, iamConfiguration. */
  fields: Record<string, unknown>
}

/** Conditions on an object, as parsed from the query. */
export interface Preconditions {
  ifGenerationMatch?: number
  ifGenerationNotMatch?: number
  ifMetagenerationMatch?: number
  ifMetagenerationNotMatch?: number
}

/** A resumable upload under way or done. Its bytes so far are the file `content/<content>`. */
export interface UploadSession {
  id: string
  bucket: string
  name: string
  content: string
  fields: ObjectFields
  preconditions: Preconditions
  /** What the finished object must have, when the client said so. */
  expected: { size?: number; crc32c?: string; md5?: string }
  createdMs: number
  /** Set when the object was made: what a late status query is answered with. */
  result?: StoredObject
  cancelled?: boolean
}

export interface StoredNotification {
  id: string
  bucket: string
  fields: Record<string, unknown>
}

/** One finalized object on its way to one target. */
export interface Delivery {
  id: string
  /** Name of the target: its URL may change while the delivery waits. */
  target: string
  /** The object as it was when it was finalized. */
  object: StoredObject
  createdMs: number
  attempts: number
  /** Why the last attempt failed. */
  lastError?: string
  /** Set when it was given up: a dead letter. */
  deadMs?: number
}

/** One change of the store. A journal line carries one or more, and happens as a whole or not at all. */
export type Change =
  | { op: 'format'; version: number }
  | { op: 'bucket'; bucket: StoredBucket }
  | { op: 'bucket-gone'; name: string }
  | { op: 'object'; object: StoredObject }
  | { op: 'object-gone'; bucket: string; name: string }
  | { op: 'session'; session: UploadSession }
  | { op: 'session-gone'; id: string }
  | { op: 'notification'; notification: StoredNotification }
  | { op: 'notification-gone'; bucket: string; id: string }
  | { op: 'delivery'; delivery: Delivery }
  | { op: 'delivery-gone'; id: string }
  /** No generation up to this one may be given out again. */
  | { op: 'generation'; generation: number }
