import { createServer, type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import { status } from '@grpc/grpc-js'
import { messageOf, UserError } from '../../../shared/errors.ts'
import { statusOf, WriteError } from './errors.ts'
import { rpcStatus } from './messages.ts'

/**
 * gRPC over HTTP/2, server side, as far as BigQueryWrite needs it: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 * The server of @grpc/grpc-js copies each message into memory of its own, and the garbage of that costs more than everything else
 * that an append needs; here a message is assembled in a buffer that the next one uses again.
 */

/** Calls that a client may have open on one connection, as with the service: the next one waits. */
const CALLS_A_CONNECTION_MAX = 100
/** The largest message; above the service's own limit, so that that can be answered. */
const MESSAGE_BYTES_MAX = 64 * 1024 * 1024
/** Bytes that a client may have on the way for one call, and for all calls of its connection. */
const CALL_WINDOW_BYTES = 4 * 1024 * 1024
const CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024
/** Megabytes that Node accounts to a connection before it refuses calls. */
const SESSION_MEMORY_MB = 1_000
const FRAME_HEAD = 5

/** The server's side of one call. */
export interface GrpcCall {
  readonly headers: IncomingHttpHeaders
  write(message: Buffer): void
  /** Ends the call well. */
  end(): void
  /** Ends the call with an error. */
  fail(error: unknown): void
  /** Destroys the connection, with every call on it. */
  drop(): void
  pause(): void
  resume(): void
}

/** What a method does with a call. */
export interface CallHandler {
  /** A message of the client; its bytes are valid until this returns. */
  message(message: Buffer): void
  /** The client sends no more. */
  halfClose(): void
  /** The call is over, however it ended. */
  closed(): void
}

/** By path: what serves a new call. */
export type Methods = ReadonlyMap<string, (call: GrpcCall) => CallHandler>

export interface GrpcServer {
  port: number
  stop(): Promise<void>
}

/** Serves on 127.0.0.1, without encryption. Throws a UserError when the port is taken. */
export async function startGrpcServer(methods: Methods, port: number): Promise<GrpcServer> {
  const sessions = new Set<ServerHttp2Session>()
  const server = createServer({
    settings: { maxConcurrentStreams: CALLS_A_CONNECTION_MAX, initialWindowSize: CALL_WINDOW_BYTES },
    maxSessionMemory: SESSION_MEMORY_MB,
  })
  server.on('session', (session) => {
    sessions.add(session)
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES)
    session.once('close', () => sessions.delete(session))
    // A client that is killed resets its connection: that is its own affair.
    session.on('error', () => session.destroy())
  })
  server.on('stream', (stream, headers) => serve(stream, headers, methods))
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        new UserError(`BigQuery's write port ${port}: ${messageOf(error)}`, 'Choose another port.', { cause: error }),
      ),
    )
    server.listen(port, '127.0.0.1', resolve)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('bigquery: no port')
  return {
    port: address.port,
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const session of sessions) session.destroy()
      await closed
    },
  }
}

function serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, methods: Methods): void {
  stream.on('error', () => stream.destroy())
  const method = methods.get(headers[':path'] ?? '')
  const encoding = headers['grpc-encoding'] ?? 'identity'
  if (method === undefined) return refuse(stream, `The method ${headers[':path']} is not built in the local BigQuery`)
  if (encoding !== 'identity')
    return refuse(stream, `Compression (${String(encoding)}) is not built in the local BigQuery`)
  const call = new Http2Call(stream, headers)
  const handler = method(call)
  const reader = new MessageReader((message) => handler.message(message))
  stream.on('data', (chunk: Buffer) => {
    if (!reader.push(chunk))
      call.fail(new WriteError(status.RESOURCE_EXHAUSTED, 'Received a message that is too large', ''))
  })
  stream.once('end', () => handler.halfClose())
  stream.once('close', () => handler.closed())
}

/** An answer without any message. */
function refuse(stream: ServerHttp2Stream, message: string): void {
  stream.respond({ ...HEADERS, ...trailers(new WriteError(status.UNIMPLEMENTED, message, '')) }, { endStream: true })
}

const HEADERS = { ':status': 200, 'content-type': 'application/grpc', 'grpc-accept-encoding': 'identity' }

class Http2Call implements GrpcCall {
  readonly headers: IncomingHttpHeaders
  readonly #stream: ServerHttp2Stream
  #ended = false

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders) {
    this.#stream = stream
    this.headers = headers
  }

  write(message: Buffer): void {
    if (this.#ended || this.#isGone) return
    this.#respond()
    const head = Buffer.alloc(FRAME_HEAD)
    head.writeUInt32BE(message.length, 1)
    this.#stream.write(Buffer.concat([head, message]))
  }

  end(): void {
    this.#finish(undefined)
  }

  fail(error: unknown): void {
    this.#finish(error)
  }

  drop(): void {
    this.#stream.session?.destroy()
  }

  pause(): void {
    this.#stream.pause()
  }

  resume(): void {
    this.#stream.resume()
  }

  /** A stream that its client reset is closed some time before it is destroyed, and throws at an answer. */
  get #isGone(): boolean {
    return this.#stream.destroyed || this.#stream.closed
  }

  #respond(): void {
    if (!this.#stream.headersSent) this.#stream.respond(HEADERS, { waitForTrailers: true })
  }

  #finish(error: unknown): void {
    const stream = this.#stream
    if (this.#ended || this.#isGone) return
    this.#ended = true
    this.#respond()
    stream.once('wantTrailers', () => stream.sendTrailers(trailers(error)))
    stream.end()
    stream.resume()
  }
}

/** The status of a call: code and text, and google.rpc.Status when there is a detail. */
function trailers(error: unknown): Record<string, string> {
  if (error === undefined) return { 'grpc-status': '0' }
  const known = error instanceof WriteError ? error : new WriteError(status.INTERNAL, messageOf(error), '')
  const details = known.storageError === undefined ? undefined : rpcStatus.encode(statusOf(known)).toString('base64')
  return {
    'grpc-status': String(known.code),
    'grpc-message': encodeURI(known.message),
    ...(details !== undefined && { 'grpc-status-details-bin': details }),
  }
}

/** Cuts a byte stream into messages: one byte of flags, four of length, the message. */
class MessageReader {
  readonly #take: (message: Buffer) => void
  #buffer = Buffer.allocUnsafe(64 * 1024)
  #length = 0

  constructor(take: (message: Buffer) => void) {
    this.#take = take
  }

  /** False when a message is announced that is too large, or compressed. */
  push(chunk: Buffer): boolean {
    let at = 0
    while (at < chunk.length) {
      if (this.#length < FRAME_HEAD) {
        at += this.#copy(chunk, at, FRAME_HEAD)
        if (this.#length < FRAME_HEAD) return true
      }
      const size = FRAME_HEAD + this.#buffer.readUInt32BE(1)
      if (this.#buffer[0] !== 0 || size > MESSAGE_BYTES_MAX) return false
      at += this.#copy(chunk, at, size)
      if (this.#length < size) return true
      this.#length = 0
      this.#take(this.#buffer.subarray(FRAME_HEAD, size))
    }
    return true
  }

  /** Copies what is missing up to `size`; returns how much that was. */
  #copy(chunk: Buffer, at: number, size: number): number {
    if (size > this.#buffer.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(size, this.#buffer.length * 2))
      this.#buffer.copy(grown, 0, 0, this.#length)
      this.#buffer = grown
    }
    const copied = chunk.copy(this.#buffer, this.#length, at, Math.min(chunk.length, at + size - this.#length))
    this.#length += copied
    return copied
  }
}
