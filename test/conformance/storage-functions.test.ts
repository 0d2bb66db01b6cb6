import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import type { Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { type CloudEvent, cloudEvent } from '@google-cloud/functions-framework'
import { getTestServer } from '@google-cloud/functions-framework/testing'
import { Storage } from '@google-cloud/storage'
import { type DeliveryTarget, startStorage } from '../../local/storage/index.ts'
import { eventually } from '../support/eventually.ts'

/** What a function of Google's own framework makes of the deliveries. */

async function deliver(t: TestContext, form: DeliveryTarget['form']): Promise<CloudEvent<Record<string, unknown>>> {
  let event: CloudEvent<Record<string, unknown>> | undefined
  cloudEvent<Record<string, unknown>>(`on-${form}`, (given: CloudEvent<Record<string, unknown>>) => {
    event = given
  })
  const server: Server = getTestServer(`on-${form}`)
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(address && typeof address === 'object')
  const dataDir = await mkdtemp(join(tmpdir(), 'millrace-functions-'))
  const url = `http://127.0.0.1:${address.port}/`
  const storage = await startStorage({
    dataDir,
    buckets: ['test-bucket'],
    deliveries: [{ bucket: 'test-bucket', url, form }],
  })
  t.after(async () => {
    await storage.stop()
    server.close()
    server.closeAllConnections()
    await rm(dataDir, { recursive: true })
  })
  const client = new Storage({ apiEndpoint: storage.endpoint, projectId: 'p' })
  await client.bucket('test-bucket').file('visits/a.zst').save('bytes', { resumable: false })
  await eventually(() => event !== undefined && storage.deliveries.pending().length === 0)
  return event ?? assert.fail('no event')
}

test('Eventarc: a cloudEvent function gets google.cloud.storage.object.v1.finalized with the object', async (t) => {
  const event = await deliver(t, 'eventarc')
  assert.equal(event.type, 'google.cloud.storage.object.v1.finalized')
  assert.equal(event.source, '//storage.googleapis.com/projects/_/buckets/test-bucket')
  assert.equal(event.subject, 'objects/visits/a.zst')
  assert.deepEqual([event.data?.['name'], event.data?.['size']], ['visits/a.zst', '5'])
})

test('Pub/Sub: the framework makes a messagePublished event of the push, with the object in it', async (t) => {
  const event = await deliver(t, 'pubsub')
  assert.equal(event.type, 'google.cloud.pubsub.topic.v1.messagePublished')
  const message = event.data?.['message'] as { data: string; attributes: Record<string, string> }
  const object = JSON.parse(Buffer.from(message.data, 'base64').toString()) as Record<string, unknown>
  assert.deepEqual([object['name'], message.attributes['eventType']], ['visits/a.zst', 'OBJECT_FINALIZE'])
})
