import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import { createLog } from '../../../shared/telemetry/index.ts'
import { messageOf, UserError } from '../../../shared/errors.ts'
import { entryOf, type Fault } from '../../faults/index.ts'
import { type Surroundings, underFault } from '../under-fault.ts'
import { type Context, fieldsOf } from './context.ts'
import { faultError, notBuilt, type RestError, restErrorOf } from './errors.ts'
import { type Answer, object, readBody, type Request, text } from './exchange.ts'
import { findRoute, type Route } from './routes.ts'

/** Answers from this size on are compressed when the client takes it. */
const GZIP_BYTES_MIN = 64 * 1024

export interface RestServer {
  origin: string
  stop(): Promise<void>
}

/** Longer than clients wait between two requests: a 501 that `bq` asks again comes some seconds later, on the same connection. */
const KEEP_ALIVE_MS = 620_000

/** BigQuery's REST API on 127.0.0.1. Throws a UserError when the port is taken. */
export async function startRestServer(context: Context, surroundings: Surroundings, port: number): Promise<RestServer> {
  const log = createLog('local-bigquery')
  let origin = ''
  const server = createServer((message, response) => {
    serve(context, surroundings, origin, message, response).catch((error: unknown) => {
      log.error({ err: error, url: message.url }, 'a request failed')
      if (!response.headersSent) sendError(response, restErrorOf(error))
    })
  })
  server.keepAliveTimeout = KEEP_ALIVE_MS
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(new UserError(`BigQuery's port ${port}: ${messageOf(error)}`, 'Choose another port.', { cause: error })),
    )
    server.listen(port, '127.0.0.1', resolve)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('bigquery: no port')
  origin = `http://127.0.0.1:${address.port}`
  return {
    origin,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function serve(
  context: Context,
  { clock, strike }: Surroundings,
  origin: string,
  message: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(message.url ?? '/', origin)
  const route = findRoute(message.method ?? 'GET', url.pathname.replace(/\/{2,}/g, '/'))
  if (route === undefined) {
    message.resume()
    return sendError(response, notBuilt(`${message.method} ${url.pathname}`))
  }
  const fault = strike(route.name, resourceOf(route, url), entryOf(message.headers['user-agent']))
  try {
    const body = await readBody(message)
    const { params } = route
    const ifMatch = message.headers['if-match']
    const request: Request = { params, query: url.searchParams, body, ifMatch, origin }
    const effect = () => perform(context, route, request, fault)
    const outcome = await underFault(fault, clock, effect)
    if (outcome.kind === 'answer') sendAnswer(message, response, outcome.answer)
    else if (outcome.kind === 'fault') sendError(response, faultError(outcome.fault))
    else if (outcome.kind === 'drop') message.socket.destroy()
  } catch (error) {
    sendError(response, restErrorOf(error))
  }
}

function resourceOf(route: Route, url: URL): string {
  return route.resource === '' ? url.pathname : route.resource
}

/** The method itself, with the faults that are about what it makes. */
async function perform(context: Context, route: Route, request: Request, fault: Fault | undefined): Promise<Answer> {
  const { tables } = context.store.catalog.state
  const id = request.params['table'] ?? text(object(request.body, 'tableReference'), 'tableId') ?? ''
  const key = `${request.params['project']}.${request.params['dataset']}.${id}`
  const before = tables.get(key)
  const answer = await route.method(context, request)
  const after = tables.get(key)
  if (fault?.kind === 'deny-new-streams' && after) context.watch.denyStreams(after.uid, fault.forMs)
  if (fault?.kind === 'late-columns' && before) context.watch.holdFields(before.uid, fieldsOf(before.body), fault.forMs)
  return answer
}

function sendAnswer(message: IncomingMessage, response: ServerResponse, answer: Answer): void {
  if (answer === undefined) {
    response.writeHead(204).end()
    return
  }
  const body = Buffer.from(JSON.stringify(answer.json))
  const etag = (answer.json as { etag?: unknown }).etag
  response.setHeader('content-type', 'application/json; charset=UTF-8')
  if (typeof etag === 'string') response.setHeader('etag', etag)
  if (body.length >= GZIP_BYTES_MIN && /\bgzip\b/.test(String(message.headers['accept-encoding'] ?? ''))) {
    response.setHeader('content-encoding', 'gzip')
    response.writeHead(200).end(gzipSync(body, { level: 1 }))
  } else response.writeHead(200).end(body)
}

function sendError(response: ServerResponse, error: RestError): void {
  response.writeHead(error.status, { 'content-type': 'application/json; charset=UTF-8' })
  response.end(JSON.stringify(error.body()))
}
