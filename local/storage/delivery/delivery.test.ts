import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { eventually } from '../../../test/support/eventually.ts'
import type { Log } from '../../../shared/telemetry/index.ts'
import { createClock, createFaults, createRecorder } from '../../faults/index.ts'
import { type DeliveryTarget, startStorage } from '../index.ts'

interface Got {
  headers: IncomingHttpHeaders
  body: Record<string, unknown>
}

/** A function: answers with `status`, or never when it is 0. */
async function startFunction(t: TestContext) {
  const state = { got: [] as Got[], status: 204 }
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (part) => (body += String(part)))
    request.on('end', () => {
      state.got.push({ headers: request.headers, body: JSON.parse(body) as Record<string, unknown> })
      if (state.status > 0) response.writeHead(state.status).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const address = server.address()
  assert.ok(address && typeof address === 'object')
  return Object.assign(state, { url: `http://127.0.0.1:${address.port}/` })
}

/** `timeoutMs`: how long an answer is waited for; by default for ever, as far as a test goes. */
async function start(
  t: TestContext,
  targets: readonly DeliveryTarget[],
  { attemptsMax = 4, timeoutMs = 600_000 }: { attemptsMax?: number; timeoutMs?: number } = {},
) {
  const dataDir = await mkdtemp(join(tmpdir(), 'millrace-delivery-'))
  const parts = {
    clock: createClock({ frozen: true, startMs: 1_000_000 }),
    faults: createFaults(),
    recorder: createRecorder(),
  }
  const errors: unknown[] = []
  const log = { error: (about: unknown) => errors.push(about) } as unknown as Log
  const deliveryOptions = { backoffMsMin: 1_000, backoffMsMax: 4_000, attemptsMax, timeoutMs }
  const open = (deliveries: readonly DeliveryTarget[]) =>
    startStorage({ ...parts, dataDir, deliveries, deliveryOptions, buckets: ['logs-bucket'], log })
  const cloud = { ...parts, storage: await open(targets), dataDir, open, errors }
  t.after(async () => {
    await cloud.storage.stop()
    await rm(dataDir, { recursive: true })
  })
  return cloud
}

async function upload(endpoint: string, name: string): Promise<void> {
  const query = new URLSearchParams({ uploadType: 'media', name })
  const response = await fetch(`${endpoint}/upload/storage/v1/b/logs-bucket/o?${query}`, {
    method: 'POST',
    body: 'bytes',
  })
  assert.equal(response.status, 200)
}

test('Eventarc: a CloudEvent in binary mode with the object as its data', async (t) => {
  const target = await startFunction(t)
  const { storage } = await start(t, [{ bucket: 'logs-bucket', url: target.url, form: 'eventarc' }])
  await upload(storage.endpoint, 'visits/a b.zst')
  await eventually(() => storage.deliveries.pending().length === 0)
  const { headers, body } = target.got[0] as Got
  assert.equal(headers['ce-type'], 'google.cloud.storage.object.v1.finalized')
  assert.equal(headers['ce-source'], '//storage.googleapis.com/projects/_/buckets/logs-bucket')
  assert.equal(headers['ce-subject'], 'objects/visits/a%20b.zst')
  assert.equal(headers['ce-specversion'], '1.0')
  assert.ok(headers['ce-id'] && headers['ce-time'])
  assert.deepEqual(
    [body['bucket'], body['name'], body['size'], body['metageneration']],
    ['logs-bucket', 'visits/a b.zst', '5', '1'],
  )
})

test('Pub/Sub: the push body of a notification', async (t) => {
  const target = await startFunction(t)
  const { storage } = await start(t, [{ bucket: 'logs-bucket', url: target.url, form: 'pubsub' }])
  await upload(storage.endpoint, 'visits/a')
  await eventually(() => target.got.length === 1)
  const { message, subscription } = (target.got[0] as Got).body as {
    message: Record<string, unknown>
    subscription: string
  }
  const object = JSON.parse(Buffer.from(String(message['data']), 'base64').toString()) as Record<string, unknown>
  const attributes = message['attributes'] as Record<string, string>
  assert.deepEqual([attributes['eventType'], attributes['payloadFormat']], ['OBJECT_FINALIZE', 'JSON_API_V1'])
  assert.deepEqual([attributes['bucketId'], attributes['objectId']], ['logs-bucket', 'visits/a'])
  assert.equal(attributes['objectGeneration'], object['generation'])
  assert.match(subscription, /^projects\/.+\/subscriptions\/.+/)
  assert.ok(message['messageId'] && message['publishTime'])
})

test('a target that refuses is tried again with growing waits, until it takes the event', async (t) => {
  const target = await startFunction(t)
  target.status = 429
  const { storage, clock } = await start(t, [{ bucket: 'logs-bucket', url: target.url, form: 'eventarc' }])
  await upload(storage.endpoint, 'a')
  const attempts = (count: number) => eventually(() => storage.deliveries.pending()[0]?.attempts === count)
  await attempts(1)
  clock.advance(999)
  assert.equal(target.got.length, 1)
  clock.advance(1)
  await attempts(2)
  clock.advance(1_999)
  assert.equal(target.got.length, 2)
  target.status = 204
  clock.advance(1)
  await eventually(() => storage.deliveries.pending().length === 0)
  assert.equal(target.got.length, 3)
  assert.equal(new Set(target.got.map(({ headers }) => headers['ce-id'])).size, 1)
})

test('after the last attempt it is a dead letter, which can be read and queued again', async (t) => {
  const target = await startFunction(t)
  target.status = 500
  const { storage, clock, errors } = await start(t, [{ bucket: 'logs-bucket', url: target.url, form: 'eventarc' }], {
    attemptsMax: 2,
  })
  await upload(storage.endpoint, 'a')
  await eventually(() => storage.deliveries.pending()[0]?.attempts === 1)
  clock.advance(1_000)
  await eventually(() => storage.deliveries.deadLetters().length === 1)
  assert.deepEqual(storage.deliveries.pending(), [])
  assert.equal(storage.deliveries.deadLetters()[0]?.lastError, 'answered 500')
  const about = { object: 'gs://logs-bucket/a', target: 'logs-bucket/eventarc' }
  assert.deepEqual(errors, [{ attempts: 2, lastError: 'answered 500', ...about }])
  target.status = 204
  await storage.deliveries.redeliver()
  await eventually(() => storage.deliveries.deadLetters().length === 0 && storage.deliveries.pending().length === 0)
})

test('a target that does not answer in time is tried again', async (t) => {
  const target = await startFunction(t)
  target.status = 0
  const targets = [{ bucket: 'logs-bucket', url: target.url, form: 'eventarc' }] as const
  const { storage } = await start(t, targets, { timeoutMs: 200 })
  await upload(storage.endpoint, 'a')
  await eventually(() => storage.deliveries.pending()[0]?.lastError?.includes('no answer within 200 ms') === true)
})

test('what is queued survives a restart, and goes to the URL that the target has then', async (t) => {
  const cloud = await start(t, [{ bucket: 'logs-bucket', url: 'http://127.0.0.1:1/', form: 'eventarc' }])
  await upload(cloud.storage.endpoint, 'a')
  await eventually(() => cloud.storage.deliveries.pending()[0]?.attempts === 1)
  await cloud.storage.stop()
  const target = await startFunction(t)
  cloud.storage = await cloud.open([])
  assert.equal(cloud.storage.deliveries.pending().length, 1)
  cloud.storage.deliveries.setTargets([{ bucket: 'logs-bucket', url: target.url, form: 'eventarc' }])
  await eventually(() => cloud.storage.deliveries.pending().length === 0)
  assert.equal(target.got.length, 1)
})

test('several targets: each by its bucket and prefix, each on its own', async (t) => {
  const [chunks, all] = [await startFunction(t), await startFunction(t)]
  const { storage } = await start(t, [
    { bucket: 'logs-bucket', url: chunks.url, form: 'eventarc', name: 'chunks', prefix: 'visits/' },
    { bucket: 'logs-bucket', url: all.url, form: 'pubsub' },
    { bucket: 'another-bucket', url: all.url, form: 'eventarc' },
  ])
  await upload(storage.endpoint, 'visits/a')
  await upload(storage.endpoint, 'clicks/b')
  await eventually(() => storage.deliveries.pending().length === 0)
  assert.deepEqual([chunks.got.length, all.got.length], [1, 2])
})

test('every new generation is announced, copies and compositions too; updates and deletions are not', async (t) => {
  const target = await startFunction(t)
  const { storage, clock } = await start(t, [{ bucket: 'logs-bucket', url: target.url, form: 'eventarc' }])
  const api = `${storage.endpoint}/storage/v1/b/logs-bucket/o`
  await upload(storage.endpoint, 'a')
  clock.advance(1_000)
  await upload(storage.endpoint, 'a')
  await fetch(`${api}/a/rewriteTo/b/logs-bucket/o/b`, { method: 'POST' })
  await fetch(`${api}/c/compose`, {
    method: 'POST',
    body: JSON.stringify({ sourceObjects: [{ name: 'a' }, { name: 'b' }] }),
  })
  await fetch(`${api}/a`, { method: 'PATCH', body: JSON.stringify({ metadata: { x: '1' } }) })
  await fetch(`${api}/a`, { method: 'DELETE' })
  await eventually(() => storage.deliveries.pending().length === 0)
  assert.deepEqual(target.got.map(({ body }) => String(body['name'])).sort(), ['a', 'a', 'b', 'c'])
})

test('faults: delivered twice, and delivered again when the acknowledgement is lost', async (t) => {
  const target = await startFunction(t)
  const { storage, faults, clock, recorder } = await start(t, [
    { bucket: 'logs-bucket', url: target.url, form: 'eventarc' },
  ])
  faults.add({ service: 'delivery', resource: 'logs-bucket/twice', fault: { kind: 'duplicate' } })
  faults.add({ service: 'delivery', resource: 'logs-bucket/lost', fault: { kind: 'drop', when: 'after' } })
  await upload(storage.endpoint, 'twice')
  await eventually(() => storage.deliveries.pending().length === 0)
  assert.equal(target.got.length, 2)
  await upload(storage.endpoint, 'lost')
  await eventually(() => storage.deliveries.pending()[0]?.attempts === 1)
  assert.equal(target.got.length, 3)
  clock.advance(1_000)
  await eventually(() => storage.deliveries.pending().length === 0)
  assert.equal(target.got.length, 4)
  assert.equal(recorder.tallies().find(({ service }) => service === 'delivery')?.count, 3)
})
