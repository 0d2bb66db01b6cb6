import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Bucket as Client, File, FileMetadata, Storage } from '@google-cloud/storage'
import type { Config } from '../config/index.ts'
import { UserError } from '../errors.ts'
import { userAgent } from '../telemetry/index.ts'

type Interceptor = Storage['interceptors'][number]
type Intercepted = ReturnType<Interceptor['request']>

/** An object as one reading of its metadata shows it. */
export interface ObjectView {
  readonly name: string
  readonly generation: string
  readonly metageneration: string
  /** Stored bytes. */
  readonly size: number
  readonly createdMs: number
  readonly metadata: Readonly<Record<string, string | undefined>>
}

/** `exists`: an object of that name was there, and is as it was. */
export type UploadAnswer = { readonly kind: 'uploaded' | 'exists'; readonly object: ObjectView }

/** `changed`: somebody was faster (412), or the object is gone: read it again. Anything else is thrown, its effect unknown. */
export type PatchAnswer = { readonly kind: 'patched'; readonly object: ObjectView } | { readonly kind: 'changed' }

/** The bucket, as agent and functions use it. Every method may throw; then its effect is unknown, and the object is to be read again. */
export interface Bucket {
  readonly name: string
  /** Undefined when there is no such object. */
  stat(name: string): Promise<ObjectView | undefined>
  /** Writes a new object, resumable, CRC32C checked; an object of that name is left as it is. */
  upload(name: string, content: Readable, metadata: Record<string, string>): Promise<UploadAnswer>
  /** Sets (or with null removes) metadata keys, only if the object is still the one that was read. */
  patch(object: ObjectView, metadata: Record<string, string | null>): Promise<PatchAnswer>
  /** The stored bytes of one generation, CRC32C checked at the end. */
  read(object: ObjectView): Readable
  /** In the order of names, from the name `from` on. */
  list(prefix: string, from?: string): AsyncIterable<ObjectView>
}

/**
 * An upload goes in pieces of this many bytes (a multiple of 256 KiB): this much is held in memory to be sent again, and as much
 * is gathered meanwhile. The 8 MiB that Google recommends make the agent 10 MB larger.
 */
const UPLOAD_PIECE_BYTES = 2 * 1024 * 1024
const LIST_PAGE_OBJECTS = 1000
/** So long Node's fetch waits for an answer; the client's uploads, which do not go by it, would wait for ever. */
const UPLOAD_REQUEST_MS_MAX = 5 * 60_000

/** @throws UserError when the configuration names no bucket */
export function openBucket(config: Config, entry: string, requestMsMax = UPLOAD_REQUEST_MS_MAX): Bucket {
  if (!config.bucket) throw new UserError(`${config.file}: bucket is missing`, 'name the bucket that holds the chunks')
  const bucketName = config.bucket
  let opened: Promise<Client> | undefined
  const client = () => (opened ??= openClient(config, bucketName, entry, requestMsMax))
  const file = async (name: string, options = {}) => (await client()).file(name, options)
  async function* bytesOf({ name, generation }: ObjectView): AsyncGenerator<Buffer> {
    yield* (await file(name, { generation })).createReadStream({ decompress: false })
  }
  return {
    name: bucketName,
    stat: async (name) => stat(await file(name)),
    upload: async (name, content, metadata) => upload(await file(name), content, metadata),
    patch: async (object, metadata) => patch(await file(object.name), object, metadata),
    read: (object) => Readable.from(bytesOf(object), { objectMode: false }),
    async *list(prefix, from) {
      const query = { prefix, maxResults: LIST_PAGE_OBJECTS, ...(from ? { startOffset: from } : {}) }
      for await (const found of (await client()).getFilesStream(query)) yield viewOf((found as File).metadata)
    },
  }
}

/** Loaded with the first question: an agent without a bucket does without these megabytes. */
async function openClient({ project, endpoints }: Config, bucket: string, entry: string, requestMsMax: number) {
  const { Storage } = await import('@google-cloud/storage')
  const elsewhere = endpoints.storage ? { apiEndpoint: endpoints.storage, useAuthWithCustomEndpoint: false } : {}
  const storage = new Storage({ projectId: project, userAgent: userAgent(entry), ...elsewhere })
  storage.interceptors.push(forUploads(entry, requestMsMax))
  return storage.bucket(bucket)
}

/**
 * What the client's resumable uploads leave out: a time limit, and the user agent. On the real service this is
 * custom audit information: https://cloud.google.com/storage/docs/audit-logging#add-custom-metadata
 */
function forUploads(entry: string, timeout: number): Interceptor {
  const header = { 'x-goog-custom-audit-millrace': userAgent(entry) }
  return { request: (options) => ({ ...options, timeout, headers: { ...options.headers, ...header } }) as Intercepted }
}

async function stat(file: File): Promise<ObjectView | undefined> {
  try {
    const [metadata] = await file.getMetadata()
    return viewOf(metadata)
  } catch (error) {
    if (codeOf(error) === 404) return undefined
    throw error
  }
}

async function upload(file: File, content: Readable, metadata: Record<string, string>): Promise<UploadAnswer> {
  const target = file.createWriteStream({
    resumable: true,
    chunkSize: UPLOAD_PIECE_BYTES,
    validation: 'crc32c',
    contentType: 'application/zstd',
    metadata: { metadata },
    preconditionOpts: { ifGenerationMatch: 0 },
  })
  try {
    await pipeline(content, target)
    return { kind: 'uploaded', object: viewOf(file.metadata) }
  } catch (error) {
    const existing = codeOf(error) === 412 ? await stat(file) : undefined
    if (existing) return { kind: 'exists', object: existing }
    throw error
  }
}

async function patch(file: File, object: ObjectView, metadata: Record<string, string | null>): Promise<PatchAnswer> {
  try {
    const preconditions = { ifGenerationMatch: object.generation, ifMetagenerationMatch: object.metageneration }
    const [after] = await file.setMetadata({ metadata }, preconditions)
    return { kind: 'patched', object: viewOf(after) }
  } catch (error) {
    if (codeOf(error) === 412 || codeOf(error) === 404) return { kind: 'changed' }
    throw error
  }
}

function viewOf(metadata: FileMetadata): ObjectView {
  return {
    name: metadata.name ?? '',
    generation: String(metadata.generation),
    metageneration: String(metadata.metageneration),
    size: Number(metadata.size),
    createdMs: Date.parse(metadata.timeCreated ?? ''),
    metadata: Object.fromEntries(Object.entries(metadata.metadata ?? {}).map(([key, value]) => [key, String(value)])),
  }
}

/** The HTTP status behind an error: the client's ApiError has it as `code`, an upload's GaxiosError as `status`. */
function codeOf(error: unknown): number | undefined {
  const { code, status } = error as { code?: unknown; status?: unknown }
  return [code, status].find((value) => typeof value === 'number')
}
