import type { ContentWriter } from './content.ts'
import { keptOf, parseUploadRange, partTooSmall, type UploadPart } from './content-range.ts'
import { invalid, ServiceError } from './errors.ts'
import { type Answer, nameOf, type Request, readJson } from './exchange.ts'
import { expectedHashes, finalize, requireHashes, requireObjectName } from './finalize.ts'
import { withEncoding } from './insert.ts'
import type { Change, UploadSession } from './model.ts'
import { newFields } from './object-fields.ts'
import { parsePreconditions } from './preconditions.ts'
import { objectResource } from './resource.ts'
import { requireBucket, requireConditions, type Service } from './service.ts'
import { Turns } from './turns.ts'

/** https://cloud.google.com/storage/docs/resumable-uploads#session-uris: a session lives a week. */
const SESSION_MS = 7 * 86_400_000
/** How long an expired session is still known as such (410); later it is unknown (404). */
const EXPIRED_MS = SESSION_MS
/** Sessions whose file and checksums are kept at hand; others are read again when they go on. */
const WRITERS_MAX = 64

type BytesPart = Extract<UploadPart, { kind: 'bytes' }>

/** Resumable uploads: https://cloud.google.com/storage/docs/performing-resumable-uploads */
export class Resumable {
  readonly #service: Service
  readonly #writers = new Map<string, ContentWriter>()
  readonly #turns = new Turns()

  constructor(service: Service) {
    this.#service = service
  }

  async start(request: Request): Promise<Answer> {
    const { store, endpoint } = this.#service
    const metadata = await readJson(request)
    const session = newSession(this.#service, request, metadata)
    const { id, bucket, name, content, preconditions } = session
    requireConditions(preconditions, requireBucket(this.#service, bucket).objects.get(name))
    this.#writers.set(id, await store.content.create(content))
    await store.commit({ op: 'session', session }, ...this.#forgetOld())
    await this.#closeIdleWriters()
    const query = new URLSearchParams({ uploadType: 'resumable', name, upload_id: id })
    const location = `${endpoint}/upload/storage/v1/b/${bucket}/o?${query}`
    return { status: 200, headers: { location, 'x-guploader-uploadid': id } }
  }

  /** A part, or a status query. */
  async put(request: Request): Promise<Answer> {
    const leave = await this.#turns.enter(this.#find(request).id, () => request.cancel())
    try {
      const session = this.#find(request)
      if (session.result) return { status: 200, json: objectResource(session.result, this.#service.endpoint) }
      const part = parseUploadRange(request.headers['content-range'])
      if (!part) throw invalid(`Failed to parse Content-Range header: ${request.headers['content-range']}`)
      requireTotal(session, part.total)
      return part.kind === 'status' ? await this.#status(session, part.total) : await this.#take(session, part, request)
    } finally {
      leave()
    }
  }

  async cancel(request: Request): Promise<Answer> {
    const leave = await this.#turns.enter(this.#find(request).id, () => request.cancel())
    try {
      const session = this.#find(request)
      if (!session.result) await this.#end(session)
      return { status: 499, headers: { 'content-length': '0' } }
    } finally {
      leave()
    }
  }

  async close(): Promise<void> {
    for (const id of this.#writers.keys()) await this.#dropWriter(id)
  }

  /** The session of the request: 404 when there is none, 410 when it is over. */
  #find(request: Request): UploadSession {
    const { store } = this.#service
    const session = store.state.sessions.get(request.query.get('upload_id') ?? '')
    if (!session || session.bucket !== nameOf(request, 'bucket')) {
      throw new ServiceError(404, 'notFound', 'The upload session does not exist.')
    }
    if (session.cancelled) throw new ServiceError(410, 'uploadCancelled', 'The upload session is over.')
    if (!session.result && store.clock.now() - session.createdMs > SESSION_MS) {
      throw new ServiceError(410, 'uploadExpired', 'The upload session has expired.')
    }
    return session
  }

  #forgetOld(): Change[] {
    const { clock, state } = this.#service.store
    return [...state.sessions.values()]
      .filter(({ createdMs }) => clock.now() - createdMs > SESSION_MS + EXPIRED_MS)
      .map(({ id }) => ({ op: 'session-gone', id }))
  }

  async #status(session: UploadSession, total: number | undefined): Promise<Answer> {
    const writer = await this.#writerOf(session)
    return total === writer.size ? this.#complete(session, writer, {}) : incomplete(writer.size)
  }

  async #take(session: UploadSession, part: BytesPart, request: Request): Promise<Answer> {
    const { start, end, last } = part
    const total = part.total ?? session.expected.size
    const tooSmall = end !== undefined && !last ? partTooSmall(end - start) : undefined
    if (tooSmall !== undefined) throw invalid(tooSmall)
    const writer = await this.#writerOf(session)
    if (start > writer.size) {
      throw invalid(`The part starts at byte ${start}, but only ${writer.size} bytes have been received.`)
    }
    const reached = await this.#receive(session, writer, part, request.body)
    if (end !== undefined && reached !== end)
      throw invalid(`The part has ${reached - start} bytes, not ${end - start}.`)
    if (total !== undefined && reached > total) throw invalid(`The part goes beyond the ${total} bytes of the upload.`)
    if (!last || (total !== undefined && reached < total)) return incomplete(writer.size)
    return this.#complete(session, writer, expectedHashes(request.headers['x-goog-hash']))
  }

  /**
   * Appends what is new of a part's bytes and returns where the part ended. Bytes that were received before are skipped.
   * When the client goes away, the whole multiples of 256 KiB stay.
   */
  async #receive({ id }: UploadSession, writer: ContentWriter, part: BytesPart, body: AsyncIterable<Buffer>) {
    const keepUntil = part.last || part.end === undefined ? Number.POSITIVE_INFINITY : keptOf(part.end)
    let at = part.start
    try {
      for await (const bytes of body) {
        const fresh = bytes.subarray(Math.max(0, writer.size - at), Math.max(0, keepUntil - at))
        at += bytes.length
        if (fresh.length > 0) await writer.write(fresh)
      }
      await writer.sync()
      return at
    } catch (error) {
      await this.#dropWriter(id)
      throw error
    }
  }

  async #complete(session: UploadSession, writer: ContentWriter, hashes: UploadSession['expected']): Promise<Answer> {
    const { id, bucket, name, content, fields, preconditions: conditions, expected } = session
    try {
      await writer.sync()
      const digest = writer.digest()
      requireHashes({ ...expected, ...hashes }, digest)
      const made = { bucket, name, fields, conditions, content, digest }
      const object = await finalize(this.#service, made, (result) => [
        { op: 'session', session: { ...session, result } },
      ])
      await this.#dropWriter(id)
      return { status: 200, json: objectResource(object, this.#service.endpoint) }
    } catch (error) {
      // A refusal that no repetition can change ends the session; its bytes go with it.
      if (error instanceof ServiceError && error.status < 429) await this.#end(session)
      throw error
    }
  }

  async #end(session: UploadSession): Promise<void> {
    await this.#dropWriter(session.id)
    await this.#service.store.commit({ op: 'session', session: { ...session, cancelled: true } })
  }

  /** The file of the session with its checksums; after a crash or a lost connection, read again from the disk. */
  async #writerOf({ id, content }: UploadSession): Promise<ContentWriter> {
    const known = this.#writers.get(id)
    if (known) return known
    const folder = this.#service.store.content
    const writer = await folder.resume(content, keptOf(await folder.sizeOf(content)))
    this.#writers.set(id, writer)
    return writer
  }

  async #dropWriter(id: string): Promise<void> {
    const writer = this.#writers.get(id)
    this.#writers.delete(id)
    await writer?.sync().catch(() => undefined)
    await writer?.close()
  }

  async #closeIdleWriters(): Promise<void> {
    for (const id of [...this.#writers.keys()].slice(0, Math.max(0, this.#writers.size - WRITERS_MAX))) {
      if (!this.#turns.isTaken(id)) await this.#dropWriter(id)
    }
  }
}

function newSession({ store }: Service, request: Request, metadata: Record<string, unknown>): UploadSession {
  const contentType = request.headers['x-upload-content-type']
  const fields = newFields(typeof contentType === 'string' ? { contentType, ...metadata } : metadata)
  const size = Number(request.headers['x-upload-content-length'] ?? Number.NaN)
  return {
    id: store.newId(),
    bucket: nameOf(request, 'bucket'),
    name: requireObjectName(request.query.get('name') ?? metadata['name']),
    content: store.newId(),
    fields: withEncoding(request, fields),
    preconditions: parsePreconditions(request.query),
    expected: { ...expectedHashes(undefined, metadata), ...(Number.isSafeInteger(size) ? { size } : {}) },
    createdMs: store.clock.now(),
  }
}

/** The total may be said at the start, with any part, or never, but it must always be the same. */
function requireTotal({ expected }: UploadSession, total: number | undefined): void {
  if (total === undefined || expected.size === undefined || total === expected.size) return
  throw invalid(`The upload was started with ${expected.size} bytes, not ${total}.`)
}

/** 308, which means "go on" here: https://cloud.google.com/storage/docs/performing-resumable-uploads#status-check */
function incomplete(received: number): Answer {
  const range = received > 0 ? { range: `bytes=0-${received - 1}` } : {}
  return { status: 308, headers: { ...range, 'content-length': '0' } }
}
