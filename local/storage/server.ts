import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { messageOf, UserError } from '../../shared/errors.ts'
import type { Log } from '../../shared/telemetry/index.ts'
import { entryOf, type Faults, type Recorder } from '../faults/index.ts'
import { NotModified, ServiceError } from './errors.ts'
import type { Answer, Request } from './exchange.ts'
import { type Outcome, underFault } from './under-fault.ts'
import type { Routed } from './routes.ts'
import type { Store } from './store.ts'

/** How long an idle connection is kept, in milliseconds: longer than clients keep theirs, so that they never meet a closed one. */
const KEEP_ALIVE_MS = 600_000

export interface StorageServerOptions {
  route: (method: string, url: URL) => Routed
  store: Store
  faults: Faults
  recorder: Recorder
  log: Log
}

/** The HTTP side: finds the method, lets faults strike, and turns answers and errors into responses. */
export function createStorageServer(options: StorageServerOptions): Server {
  const server = createServer((incoming, outgoing) => void serve(options, incoming, outgoing))
  server.keepAliveTimeout = KEEP_ALIVE_MS
  server.requestTimeout = 0 // an upload takes as long as it takes
  return server
}

/** Listens on 127.0.0.1 alone and returns the port. Throws UserError when it is taken. */
export async function listen(server: Server, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(new UserError(`Cloud Storage stand-in: port ${port}: ${messageOf(error)}`, 'Choose another port.')),
    )
    server.listen(port, '127.0.0.1', resolve)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return address.port
}

async function serve(
  options: StorageServerOptions,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  // A method that stops reading must not end the connection: its answer goes that way.
  const body = incoming.iterator({ destroyOnReturn: false })
  const outcome = await decide(options, incoming, body)
  if (outcome === 'silence') return
  if (outcome === 'drop') return void incoming.socket.destroy()
  await send(outcome, outgoing).catch(() => outgoing.destroy())
  outcome.stream?.destroy() // it holds an open file, also when the client was gone before the first byte
  await drain(incoming, body).catch(() => undefined)
}

/** Everything between a request and its response; never throws. */
async function decide(
  options: StorageServerOptions,
  incoming: IncomingMessage,
  body: Request['body'],
): Promise<Outcome> {
  const { route, faults, recorder, store } = options
  try {
    const url = new URL(incoming.url ?? '/', 'http://storage')
    const method = incoming.method ?? 'GET'
    const routed = route(method, url)
    const entry = callerOf(incoming.headers)
    const call = { service: 'storage', method: routed.method, resource: routed.resource, entry } as const
    recorder.record(call)
    const request: Request = {
      method,
      path: url.pathname,
      query: url.searchParams,
      headers: incoming.headers,
      body,
      cancel: () => incoming.socket.destroy(),
      names: routed.names,
    }
    return await underFault(faults.next(call), request, store.clock, (given) => answer(options, routed, given))
  } catch (error) {
    return answerError(options, error)
  }
}

/**
 * Who calls: named by the user agent, or by an audit header, because the client's resumable uploads carry a user agent
 * of their own: https://cloud.google.com/storage/docs/audit-logging#add-custom-metadata
 */
function callerOf(headers: IncomingHttpHeaders): string {
  const entry = entryOf(headers['user-agent'])
  return entry === 'unknown' ? entryOf(headers['x-goog-custom-audit-millrace']) : entry
}

/** The method's answer, once everything that it rests on is on the disk. Errors are answers too. */
async function answer(options: StorageServerOptions, routed: Routed, request: Request): Promise<Answer> {
  try {
    return await routed.handle(request)
  } catch (error) {
    return answerError(options, error)
  } finally {
    await options.store.settled()
  }
}

function answerError({ log }: StorageServerOptions, error: unknown): Answer {
  if (error instanceof NotModified) return { status: 304 }
  if (error instanceof ServiceError) return { status: error.status, json: error.body() }
  const { code = '' } = error as NodeJS.ErrnoException
  if (code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE') return { status: 499 } // the client went away
  log.error({ error: messageOf(error) }, 'request failed')
  const why = code === 'ENOSPC' ? 'the disk that holds the data folder is full: free some space' : messageOf(error)
  return { status: 503, json: new ServiceError(503, 'backendError', `Local Cloud Storage: ${why}`).body() }
}

async function send(given: Answer, outgoing: ServerResponse): Promise<void> {
  const { status, headers = {}, json, stream } = given
  if (json !== undefined) {
    const body = JSON.stringify(json)
    outgoing.writeHead(status, {
      'content-type': 'application/json; charset=UTF-8',
      'content-length': Buffer.byteLength(body),
      ...headers,
    })
    outgoing.end(body)
  } else if (stream) {
    outgoing.writeHead(status, headers)
    await pipeline(stream, outgoing)
  } else {
    outgoing.writeHead(status, headers).end()
  }
}

/**
 * What the client still sends after an early answer is read and thrown away: else it would not read the answer, and the next request
 * of this connection would never be seen. Nothing flows as long as the method's own reading has not ended.
 */
async function drain(incoming: IncomingMessage, body: AsyncIterator<unknown>): Promise<void> {
  await body.return?.()
  if (!incoming.readableEnded && !incoming.destroyed && incoming instanceof Readable) incoming.resume()
}
