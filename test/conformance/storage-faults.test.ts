import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ApiError } from '@google-cloud/storage'
import { eventually } from '../support/eventually.ts'
import { bytesOf, content, openSession, PART, put, save, server, serveStorage, statusOf } from './storage-fixture.ts'

/** The local Cloud Storage through the official client: faults on demand. */

serveStorage()

/** Gives up a call that gets no answer, once the fault of the plan has met it and `until` holds. */
async function abandoned(
  call: (signal: AbortSignal) => Promise<unknown>,
  until: () => Promise<boolean> = () => Promise.resolve(true),
): Promise<void> {
  const patience = new AbortController()
  const ended = assert.rejects(call(patience.signal))
  await eventually(async () => (await server.faults.plan())[0]?.struck === 1)
  await eventually(until)
  patience.abort()
  await ended
}

test('fault injection: 503 after 256 KiB, and the client goes on from there', async () => {
  const bytes = bytesOf(4 * PART)
  await server.faults.set([
    {
      service: 'storage',
      method: 'objects.insert.part',
      nth: 2,
      fault: { kind: 'cut', afterBytes: PART, then: 'error' },
    },
  ])
  const file = server.client({ retries: 3 }).bucket('conformance-bucket').file('faults/cut')
  await file.save(bytes, { resumable: true, chunkSize: 2 * PART, preconditionOpts: { ifGenerationMatch: 0 } })
  assert.deepEqual(await content('faults/cut'), bytes)
  const { tallies } = await server.faults.calls()
  const parts = tallies
    .filter(({ method }) => method === 'objects.insert.part')
    .reduce((sum, { count }) => sum + count, 0)
  assert.equal(parts, 4, 'part, cut part, status query, rest')
})

test('fault injection: a stall keeps what came before it', async () => {
  await server.faults.set([
    { method: 'objects.insert.part', fault: { kind: 'cut', afterBytes: PART + 10, then: 'stall' } },
  ])
  const uri = await openSession('faults/stalled')
  const body = new Uint8Array(bytesOf(2 * PART))
  const headers = { 'content-range': `bytes 0-${2 * PART - 1}/*` }
  const isKept = async () => (await put(uri, 'bytes */*')).headers.get('range') === `bytes=0-${PART - 1}`
  await abandoned((signal) => fetch(uri, { method: 'PUT', headers, body, signal }), isKept)
  assert.ok(await isKept())
})

test('fault injection: a lost answer leaves the object, and its repetition is told by 412', async () => {
  await server.faults.set([{ method: 'objects.insert', fault: { kind: 'drop', when: 'after' } }])
  assert.notEqual(await statusOf(save('faults/lost', bytesOf(9), { preconditionOpts: { ifGenerationMatch: 0 } })), 200)
  assert.equal(await statusOf(save('faults/lost', bytesOf(9), { preconditionOpts: { ifGenerationMatch: 0 } })), 412)
  assert.deepEqual(await content('faults/lost'), bytesOf(9))
})

test('fault injection: a connection lost before the effect leaves nothing', async () => {
  await server.faults.set([{ method: 'objects.patch', fault: { kind: 'drop', when: 'before' } }])
  const file = await save('faults/before', bytesOf(1))
  assert.notEqual(await statusOf(file.setMetadata({ metadata: { a: '1' } })), 200)
  assert.equal(Number((await file.getMetadata())[0].metageneration), 1)
})

test('fault injection: an update that hangs lands later', async () => {
  const file = await save('faults/hung', bytesOf(1))
  await server.faults.set([
    { method: 'objects.patch', resource: '*/faults/hung', fault: { kind: 'hang', landAfterMs: 60_000 } },
  ])
  const url = `${server.endpoint}/storage/v1/b/conformance-bucket/o/faults%2Fhung`
  const body = JSON.stringify({ metadata: { late: 'yes' } })
  await abandoned((signal) => fetch(url, { method: 'PATCH', body, signal }))
  assert.equal((await file.getMetadata())[0].metadata, undefined)
  await server.faults.advance(60_000)
  const landed = await eventually(async () => (await file.getMetadata())[0].metadata)
  assert.deepEqual(landed, { late: 'yes' })
})

test('fault injection: the nth call of a method fails with a given error', async () => {
  const error = { kind: 'error', code: 'RESOURCE_EXHAUSTED', message: 'slow down' } as const
  await server.faults.set([{ method: 'objects.get', entry: 'conformance', nth: 2, fault: error }])
  const file = await save('faults/nth', bytesOf(1))
  await file.getMetadata()
  await assert.rejects(
    file.getMetadata(),
    (thrown: ApiError) => thrown.code === 429 && /slow down/.test(thrown.message),
  )
  await file.getMetadata()
})

test('the calls are recorded by who made them', async () => {
  await server.faults.clearCalls()
  const file = await save('recorded', bytesOf(1))
  await file.setMetadata({ metadata: { a: '1' } })
  const { tallies } = await server.faults.calls()
  const mine = tallies.filter(({ entry }) => entry === 'conformance')
  assert.deepEqual(
    mine.map(({ method, count }) => [method, count]),
    [
      ['objects.insert', 1],
      ['objects.patch', 1],
    ],
  )
})
