import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { faultsClient } from './client.ts'
import { createClock, createFaults, createRecorder, startFaultsServer } from './index.ts'

async function start(t: TestContext) {
  const parts = { faults: createFaults(), clock: createClock({ frozen: true, startMs: 5 }), recorder: createRecorder() }
  const server = await startFaultsServer(parts)
  t.after(() => server.stop())
  return { ...parts, endpoint: server.endpoint, client: faultsClient(server.endpoint) }
}

test('a plan goes in, strikes, and can be read, added to and cleared', async (t) => {
  const { faults, client } = await start(t)
  await client.set([{ service: 'bigquery-write', method: 'AppendRows', fault: { kind: 'hang', landAfterMs: 9 } }])
  await client.add({ nth: 3, fault: { kind: 'error', code: 'UNAVAILABLE' } })
  const call = { service: 'bigquery-write', method: 'AppendRows', resource: 's', entry: 'agent' } as const
  assert.deepEqual(faults.next(call), { kind: 'hang', landAfterMs: 9 })
  assert.deepEqual(
    (await client.plan()).map(({ seen, struck }) => [seen, struck]),
    [
      [1, 1],
      [1, 0],
    ],
  )
  await client.clear()
  assert.deepEqual(await client.plan(), [])
})

test('the time moves forward through the endpoint', async (t) => {
  const { clock, client } = await start(t)
  assert.equal(await client.advance(600_000), 600_005)
  assert.equal(clock.now(), 600_005)
  assert.equal(await client.now(), 600_005)
})

test('the calls can be read and forgotten', async (t) => {
  const { recorder, client } = await start(t)
  recorder.record({ entry: 'agent', service: 'storage', method: 'objects.get', resource: 'b/o' })
  assert.deepEqual((await client.calls()).tallies, [
    { entry: 'agent', service: 'storage', method: 'objects.get', count: 1 },
  ])
  await client.clearCalls()
  assert.deepEqual((await client.calls()).calls, [])
})

test('a malformed rule is refused with its place, and the plan stays as it was', async (t) => {
  const { endpoint, client } = await start(t)
  await client.set([{ fault: { kind: 'delay', ms: 1 } }])
  const post = (body: string) => fetch(`${endpoint}/plan`, { method: 'POST', body })
  const wrong = await post('[{"fault":{"kind":"drop","when":"never"}}]')
  assert.equal(wrong.status, 400)
  assert.match(await wrong.text(), /fault\.when/)
  assert.equal((await post('{')).status, 400)
  assert.equal((await client.plan()).length, 1)
})

test('an unknown path is answered with the known ones', async (t) => {
  const { endpoint } = await start(t)
  const response = await fetch(`${endpoint}/nothing`)
  assert.equal(response.status, 404)
  assert.match(await response.text(), /POST \/clock/)
})
