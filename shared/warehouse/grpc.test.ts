import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { eventually } from '../../test/support/eventually.ts'
import { GrpcClient, type GrpcError } from './grpc.ts'

const PING_EVERY_MS = 30_000
const EMPTY = Buffer.alloc(5) // a message of no bytes
const NOTHING = { message: () => undefined, ended: () => undefined }

function clientOf(t: TestContext, { port }: AddressInfo): GrpcClient {
  const client = new GrpcClient(`http://127.0.0.1:${port}`, async () => ({}))
  t.after(() => client.close())
  return client
}

/** Answers calls of `/unary`; others stay open. */
function serve(stream: ServerHttp2Stream, path: string | undefined): void {
  stream.on('error', () => undefined).respond({ ':status': 200 }, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
  if (path === '/unary') stream.end(EMPTY)
}

void test('a server that says good-bye gets no new calls: they go over another connection, while those under way go on', async (t) => {
  const sessions: ServerHttp2Session[] = []
  const server = createServer()
  server.on('session', (session) => sessions.push(session))
  server.on('stream', (stream, headers) => serve(stream, headers[':path']))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const session of sessions) session.destroy()
    server.close()
  })
  const client = clientOf(t, server.address() as AddressInfo)
  let ended = 0
  client.open('/stays', '', { ...NOTHING, ended: () => ended++ }).send([Buffer.alloc(1)])
  await client.unary('/unary', '', Buffer.alloc(0))
  sessions[0]?.goaway(0)
  const others = async () => (await client.unary('/unary', '', Buffer.alloc(0))) && sessions.length === 2
  await eventually(others, { what: 'another connection' })
  assert.equal(ended, 0)
})

void test('a message of the server that is encoded wrongly is told as it is', async (t) => {
  const server = createServer()
  const trailers = { 'grpc-status': '8', 'grpc-message': 'quota of 100% is used%20up' }
  server.on('stream', (stream) => stream.respond({ ':status': 200, ...trailers }, { endStream: true }))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const client = clientOf(t, server.address() as AddressInfo)
  await assert.rejects(client.unary('/unary', '', Buffer.alloc(0)), { code: 8, message: 'quota of 100% is used up' })
})

void test('a peer that vanished without a word is noticed, and its calls end', { timeout: 60_000 }, async (t) => {
  const sockets: Socket[] = []
  const server = createTcpServer((socket) => void sockets.push(socket.on('error', () => undefined).resume()))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  t.mock.timers.enable({ apis: ['setInterval'] })
  const client = clientOf(t, server.address() as AddressInfo)
  const { promise, resolve } = Promise.withResolvers<GrpcError | undefined>()
  client.open('/any', '', { ...NOTHING, ended: resolve }).send([Buffer.alloc(1)])
  await eventually(() => sockets.length === 1 && sockets[0]!.bytesRead > 0, { what: 'a connection' })
  t.mock.timers.tick(2 * PING_EVERY_MS)
  assert.match(String(await promise), /lost|closed|cancel/i)
})
