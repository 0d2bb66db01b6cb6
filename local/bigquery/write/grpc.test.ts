import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:http2'
import { promisify } from 'node:util'
import { test } from 'node:test'
import { type GrpcCall, startGrpcServer } from './grpc.ts'

// Chaos found it: a paused call whose client had gone was told, ten minutes of a moved clock later, that it was idle for
// too long, and the answer to a stream that was closed and not yet destroyed ended the whole process.
test('an answer to a call that its client reset while it was paused goes nowhere', async (t) => {
  let call: GrpcCall | undefined
  const method = (opened: GrpcCall) => {
    call = opened
    opened.pause()
    return { message: () => undefined, halfClose: () => undefined, closed: () => undefined }
  }
  const server = await startGrpcServer(new Map([['/paused', method]]), 0)
  t.after(() => server.stop())
  const client = connect(`http://127.0.0.1:${server.port}`)
  t.after(() => client.destroy())
  const stream = client.request({ ':method': 'POST', ':path': '/paused' })
  await promisify((done: (error: Error | null | undefined) => void) => stream.write(Buffer.alloc(1000), done))()
  stream.close()
  await once(stream, 'close')
  await promisify((done: (error: Error | null) => void) => client.ping(done))()
  assert.ok(call)
  call.write(Buffer.from('answer'))
  call.fail(new Error('idle for too long'))
})
