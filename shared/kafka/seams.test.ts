import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js'
import { connectKafka, socketFactory } from './client.ts'

const door = join(import.meta.dirname, 'index.ts')

/** Connects in a process of its own, where kafkajs was changed first. */
async function connectAfter(change: string): Promise<string> {
  const code = `
    import { createRequire } from 'node:module'
    const require = createRequire(${JSON.stringify(door)})
    ${change}
    const { connectKafka } = await import(${JSON.stringify(door)})
    try {
      connectKafka({ brokers: ['k:1'], auth: 'none', tls: false }, 'test')
      console.log('connected')
    } catch (error) {
      console.log(error.message)
    }`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', code])
  return stdout.trim()
}

test('a kafkajs that is not the one the seams were made for is refused', async () => {
  const other = `require('kafkajs/package.json').version = '2.2.5'`
  const [same, refused] = await Promise.all([connectAfter(''), connectAfter(other)])
  assert.equal(same, 'connected')
  assert.match(refused, /kafkajs must be exactly 2\.2\.4, found 2\.2\.5/)
})

test('an idle queue asks for no timer', () => {
  connectKafka({ brokers: ['k:1'], auth: 'none', tls: false }, 'test')
  const queue = { pending: [], throttleCheckTimeoutId: null as unknown }
  RequestQueue.prototype.scheduleCheckPendingRequests.call(queue)
  assert.equal(queue.throttleCheckTimeoutId, null)
})

test('a socket that is destroyed without a word ends with an error', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const connected = Promise.withResolvers<void>()
  const socket = socketFactory({ host: '127.0.0.1', port, ssl: undefined as never, onConnect: connected.resolve })
  await connected.promise
  const failed = once(socket, 'error')
  socket.destroy()
  const [error] = (await failed) as [Error]
  assert.match(error.message, /connection was closed/)
  server.close()
})
