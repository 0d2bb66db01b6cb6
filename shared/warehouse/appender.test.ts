import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2'
import { type TestContext, test } from 'node:test'
import type { Config } from '../config/index.ts'
import { eventually } from '../../test/support/eventually.ts'
import { StreamAppender } from './appender.ts'
import { type Channel, openChannel } from './channel.ts'
import type { CallListener } from './grpc.ts'
import { appendRowsResponse } from './wire.ts'

interface FakeServer {
  readonly address: string
  readonly calls: { stream: ServerHttp2Stream; requests: Buffer[]; routing: string }[]
}

/** A server that takes AppendRows calls apart, and answers when the test says so. */
async function fakeServer(t: TestContext): Promise<FakeServer> {
  const calls: FakeServer['calls'] = []
  const sessions = new Set<{ destroy(): void }>()
  const server: Http2Server = createServer()
  server.on('session', (session) => sessions.add(session))
  server.on('stream', (stream, headers) => {
    const call = { stream, requests: [] as Buffer[], routing: String(headers['x-goog-request-params']) }
    calls.push(call)
    let bytes = Buffer.alloc(0)
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
    stream.on('error', () => undefined)
    stream.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk])
      while (bytes.length >= 5 && bytes.length >= 5 + bytes.readUInt32BE(1)) {
        const end = 5 + bytes.readUInt32BE(1)
        call.requests.push(bytes.subarray(5, end))
        bytes = bytes.subarray(end)
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const session of sessions) session.destroy()
    server.close()
  })
  const { port } = server.address() as { port: number }
  return { address: `127.0.0.1:${port}`, calls }
}

function answer(stream: ServerHttp2Stream, message: object): void {
  const bytes = appendRowsResponse.encode(message)
  const head = Buffer.alloc(5)
  head.writeUInt32BE(bytes.length, 1)
  stream.write(Buffer.concat([head, bytes]))
}

function endCall(stream: ServerHttp2Stream, code: number, message: string): void {
  stream.once('wantTrailers', () =>
    stream.sendTrailers({ 'grpc-status': String(code), 'grpc-message': encodeURIComponent(message) }),
  )
  stream.end()
}

const written = (offset: number) => ({ appendResult: { offset: { value: offset } } })
const ROWS = Buffer.from('0a03616263', 'hex')

async function open(t: TestContext) {
  const server = await fakeServer(t)
  const channel = openChannel({ endpoints: { bigquery_storage: server.address } } as unknown as Config, 'test')
  const appender = new StreamAppender(channel, 'projects/p/streams/s', Buffer.from('descriptor'))
  t.after(() => {
    appender.close()
    channel.close()
  })
  const requests = (call: number, count: number) =>
    eventually(() => server.calls[call]?.requests.length === count && server.calls[call], {
      what: `${count} requests on call ${call}`,
    })
  return { appender, requests }
}

void test('requests go in order, several in flight, the schema once; answers come back to each', async (t) => {
  const { appender, requests } = await open(t)
  const answers = [0, 1, 2].map((offset) => appender.append(ROWS, offset))
  const { stream, requests: sent, routing } = await requests(0, 3)
  assert.equal(routing, 'write_stream=projects%2Fp%2Fstreams%2Fs')
  assert.deepEqual(
    sent.map((bytes) => bytes.includes('descriptor')),
    [true, false, false],
  )
  assert.ok(sent.every((bytes) => bytes.subarray(-ROWS.length).equals(ROWS)))
  answer(stream, written(0))
  answer(stream, { error: { code: 11, message: 'gap' } })
  answer(stream, { rowErrors: [{ index: 0, message: 'bad' }], error: { code: 3 } })
  assert.deepEqual(
    (await Promise.all(answers)).map(({ kind }) => kind),
    ['written', 'gap', 'refused'],
  )
})

void test('an acknowledgement of another offset is a lost one', async (t) => {
  const { appender, requests } = await open(t)
  const appended = appender.append(ROWS, 5)
  answer((await requests(0, 1)).stream, written(4))
  assert.equal((await appended).kind, 'lost')
})

void test('a connection that ends loses what was under way, and the next append opens another', async (t) => {
  const { appender, requests } = await open(t)
  const answers = [appender.append(ROWS, 0), appender.append(ROWS, 1)]
  const first = await requests(0, 2)
  answer(first.stream, written(0))
  endCall(first.stream, 10, 'the server restarts: please reconnect')
  assert.deepEqual(
    (await Promise.all(answers)).map(({ kind }) => kind),
    ['written', 'lost'],
  )
  const next = appender.append(ROWS, 2)
  const second = await requests(1, 1)
  assert.ok(second.requests[0]?.includes('descriptor'))
  answer(second.stream, written(2))
  assert.equal((await next).kind, 'written')
})

void test('a call that ends with a finalized stream says so to all; one that dies without a word loses all', async (t) => {
  const { appender, requests } = await open(t)
  const gone = appender.append(ROWS, 0)
  endCall((await requests(0, 1)).stream, 3, 'Stream has been finalized and cannot be appended')
  assert.equal((await gone).kind, 'gone')
  const lost = appender.append(ROWS, 0)
  ;(await requests(1, 1)).stream.destroy()
  assert.equal((await lost).kind, 'lost')
})

void test('no answer in time is a lost one; what is not sent yet waits for room', async () => {
  const sent: unknown[] = []
  const openAppend = () => ({
    send: (bytes: unknown) => sent.push(bytes),
    cancel: () => undefined,
    end: () => undefined,
  })
  const options = { answerWithinMs: 150, inFlightBytesMax: ROWS.length * 2 }
  const appender = new StreamAppender({ openAppend } as unknown as Channel, 's', Buffer.from('descriptor'), options)
  const answers = [0, 1, 2].map((offset) => appender.append(ROWS, offset))
  assert.deepEqual(
    (await Promise.all(answers)).map(({ kind }) => kind),
    ['lost', 'lost', 'lost'],
  )
  assert.equal(sent.length, 2)
})

void test('a server that is not there is a lost append', async () => {
  const channel = openChannel({ endpoints: { bigquery_storage: '127.0.0.1:1' } } as unknown as Config, 'test')
  const appender = new StreamAppender(channel, 's', Buffer.alloc(0))
  assert.equal((await appender.append(ROWS, 0)).kind, 'lost')
  channel.close()
})

void test('after "not now" another connection is opened, and what the former still says is no answer', async () => {
  const connections: CallListener[] = []
  const openAppend = (_stream: string, listener: CallListener) => {
    connections.push(listener)
    return { send: () => undefined, cancel: () => undefined, end: () => undefined }
  }
  const appender = new StreamAppender({ openAppend } as unknown as Channel, 's', Buffer.from('descriptor'))
  const says = (connection: number, message: object) =>
    connections[connection]?.message(Buffer.from(appendRowsResponse.encode(message)))
  const [first, behind] = [appender.append(ROWS, 0), appender.append(ROWS, 1)]
  says(0, { error: { code: 8, message: 'quota' } })
  says(0, { error: { code: 11, message: 'a gap' } })
  assert.deepEqual([(await first).kind, (await behind).kind], ['later', 'gap'])
  const second = appender.append(ROWS, 0)
  assert.equal(connections.length, 2)
  says(0, written(0))
  connections[0]?.ended(undefined)
  says(1, { error: { code: 6, message: 'the offset exists' } })
  assert.equal((await second).kind, 'exists')
  appender.close()
})
