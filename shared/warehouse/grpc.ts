import { type ClientHttp2Session, type ClientHttp2Stream, connect, type IncomingHttpHeaders } from 'node:http2'
import { unescape } from 'node:querystring'
import { messageOf } from '../errors.ts'

/**
 * gRPC over HTTP/2, as far as the Storage Write API needs it: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md.
 * Own, because a general client copies and keeps every request: here a row goes from its buffer to the socket. Nothing is ever sent
 * twice, nothing is compressed.
 */

/** Canonical codes: https://grpc.io/docs/guides/status-codes */
export const STATUS = {
  UNKNOWN: 2,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  OUT_OF_RANGE: 11,
  UNAVAILABLE: 14,
} as const

/** How a call ended, other than well. */
export class GrpcError extends Error {
  override readonly name = 'GrpcError'
  readonly code: number
  /** `grpc-status-details-bin`: an encoded google.rpc.Status. */
  readonly details: Buffer | undefined

  constructor(code: number, message: string, details?: Buffer) {
    super(message)
    this.code = code
    this.details = details
  }
}

/** What a call tells its opener: messages in order, and then once how it ended (undefined: status 0). */
export interface CallListener {
  message(bytes: Buffer): void
  ended(error: GrpcError | undefined): void
}

export type Call = Pick<Http2Call, 'send' | 'end' | 'cancel'>

/** Headers of a call; may take a while, as tokens do. */
export type HeaderSource = () => Promise<Record<string, string>>

/** HTTP/2 servers allow 100 streams on a connection, and the next one hangs (nodejs-bigquery-storage #423). */
const STREAMS_PER_SESSION_MAX = 90
/** Node's default of 10 MB ends a connection with ENHANCE_YOUR_CALM when several requests wait. */
const SESSION_MEMORY_MB = 1000
const PING_EVERY_MS = 30_000
const UNARY_WITHIN_MS = 60_000

/** Connections to one server; opened when they are needed. */
export class GrpcClient {
  readonly #origin: string
  readonly #headers: HeaderSource
  readonly #sessions = new Map<ClientHttp2Session, number>()

  /** @param origin `http://host:port` or `https://host` */
  constructor(origin: string, headers: HeaderSource) {
    this.#origin = origin
    this.#headers = headers
  }

  open(path: string, routing: string, listener: CallListener): Call {
    return new Http2Call(this.#request(path, routing), listener)
  }

  /** One message each way. @throws GrpcError */
  async unary(path: string, routing: string, message: Buffer): Promise<Buffer> {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
    let answer: Buffer | undefined
    const call = this.open(path, routing, {
      message: (bytes) => (answer = bytes),
      ended: (error) =>
        error || !answer ? reject(error ?? new GrpcError(STATUS.UNKNOWN, 'no answer')) : resolve(answer),
    })
    const late = setTimeout(() => {
      call.cancel()
      reject(new GrpcError(STATUS.UNAVAILABLE, `no answer within ${UNARY_WITHIN_MS} ms`))
    }, UNARY_WITHIN_MS)
    call.send([message])
    call.end()
    return promise.finally(() => clearTimeout(late))
  }

  close(): void {
    for (const session of this.#sessions.keys()) session.destroy()
    this.#sessions.clear()
  }

  async #request(path: string, routing: string): Promise<ClientHttp2Stream> {
    const headers = await this.#headers()
    const session = this.#session()
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      te: 'trailers',
      'content-type': 'application/grpc+proto',
      'x-goog-request-params': routing,
      ...headers,
    })
    stream.once('close', () => this.#sessions.has(session) && this.#count(session, -1))
    this.#count(session, 1)
    return stream
  }

  #count(session: ClientHttp2Session, change: number): void {
    this.#sessions.set(session, (this.#sessions.get(session) ?? 0) + change)
  }

  #session(): ClientHttp2Session {
    for (const [session, streams] of this.#sessions) if (streams < STREAMS_PER_SESSION_MAX) return session
    const session = connect(this.#origin, { maxSessionMemory: SESSION_MEMORY_MB })
    const forget = () => {
      clearInterval(pings)
      this.#sessions.delete(session)
    }
    // A peer that vanished without a word is noticed by the ping that follows the one without an answer.
    let answered = true
    const ping = () => {
      if (!answered) return session.destroy()
      answered = false
      session.ping(() => (answered = true))
    }
    const pings = setInterval(() => !session.connecting && ping(), PING_EVERY_MS).unref()
    session.on('error', forget).once('close', forget).once('goaway', forget)
    this.#sessions.set(session, 0)
    return session
  }
}

const FRAME_HEAD_BYTES = 5

class Http2Call {
  readonly #listener: CallListener
  #stream: ClientHttp2Stream | undefined
  #waiting: (Buffer | undefined)[] = []
  #received: Buffer = Buffer.alloc(0)
  #headers: IncomingHttpHeaders = {}
  #over = false

  constructor(opening: Promise<ClientHttp2Stream>, listener: CallListener) {
    this.#listener = listener
    opening.then(
      (stream) => this.#opened(stream),
      (error: unknown) => this.#finish(new GrpcError(STATUS.UNAVAILABLE, messageOf(error))),
    )
  }

  /** Sends one message, given in parts, which must stay as they are until it is answered. */
  send(parts: readonly Buffer[]): void {
    const bytes = parts.reduce((sum, { length }) => sum + length, 0)
    const head = Buffer.alloc(FRAME_HEAD_BYTES)
    head.writeUInt32BE(bytes, 1)
    for (const part of [head, ...parts]) this.#write(part)
  }

  /** Nothing more is sent. */
  end(): void {
    this.#write(undefined)
  }

  /** Drops the call, without a word to the listener. */
  cancel(): void {
    this.#over = true
    this.#stream?.destroy()
  }

  #write(part: Buffer | undefined): void {
    if (!this.#stream) this.#waiting.push(part)
    else if (part) this.#stream.write(part)
    else this.#stream.end()
  }

  #opened(stream: ClientHttp2Stream): void {
    this.#stream = stream
    const take = (headers: IncomingHttpHeaders) => Object.assign(this.#headers, headers)
    stream.on('response', take).on('trailers', take)
    stream.on('data', (chunk: Buffer) => this.#read(chunk))
    stream.on('error', (error) => this.#finish(new GrpcError(STATUS.UNAVAILABLE, error.message)))
    // A server may end its side and wait for ours.
    stream.on('end', () => stream.close())
    stream.on('close', () => this.#finish(this.#status()))
    if (this.#over) stream.destroy()
    for (const part of this.#waiting.splice(0)) this.#write(part)
  }

  #read(chunk: Buffer): void {
    let bytes = this.#received.length > 0 ? Buffer.concat([this.#received, chunk]) : chunk
    while (bytes.length >= FRAME_HEAD_BYTES) {
      const end = FRAME_HEAD_BYTES + bytes.readUInt32BE(1)
      if (bytes.length < end) break
      if (!this.#over) this.#listener.message(bytes.subarray(FRAME_HEAD_BYTES, end))
      bytes = bytes.subarray(end)
    }
    this.#received = bytes
  }

  #status(): GrpcError | undefined {
    const {
      ':status': http,
      'grpc-status': status,
      'grpc-message': text,
      'grpc-status-details-bin': details,
    } = this.#headers
    if (status === '0') return undefined
    // Unlike decodeURIComponent it throws at nothing: a message that is encoded wrongly must not end the process.
    const message = unescape(String(text ?? (http ? `HTTP status ${String(http)}` : 'the connection was lost')))
    const code = status === undefined ? STATUS.UNAVAILABLE : Number(status)
    return new GrpcError(code, message, details === undefined ? undefined : Buffer.from(String(details), 'base64'))
  }

  #finish(error: GrpcError | undefined): void {
    if (this.#over) return
    this.#over = true
    this.#listener.ended(error)
  }
}
