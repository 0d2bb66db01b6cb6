import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Call, Fault, FaultRule } from './fault.ts'
import { createFaults } from './faults.ts'
import { createRecorder, entryOf } from './recorder.ts'

const call = (over: Partial<Call> = {}): Call => ({
  service: 'storage',
  method: 'objects.insert',
  resource: 'logs/visits/a.zst',
  entry: 'agent',
  ...over,
})
const lost: Fault = { kind: 'drop', when: 'after' }
const slow: Fault = { kind: 'delay', ms: 10 }

test('the nth matching call is struck, once', () => {
  const faults = createFaults()
  faults.add({ service: 'storage', method: 'objects.insert', nth: 2, fault: lost })
  const answers = [call(), call({ method: 'objects.get' }), call(), call()].map((one) => faults.next(one))
  assert.deepEqual(answers, [undefined, undefined, lost, undefined])
  assert.deepEqual(
    faults.plan().map(({ seen, struck }) => [seen, struck]),
    [[3, 1]],
  )
})

test('patterns match any text, and nothing is special in them but the star', () => {
  const faults = createFaults()
  faults.add({ resource: 'logs/*.zst', entry: 'agent', times: 9, fault: slow })
  assert.equal(faults.next(call()), slow)
  assert.equal(faults.next(call({ resource: 'logs/a_zst' })), undefined)
  assert.equal(faults.next(call({ entry: 'agent2' })), undefined)
})

test('two rules that are due together strike one call each, in the order of the plan', () => {
  const faults = createFaults()
  faults.add({ nth: 2, fault: lost }, { nth: 2, fault: slow })
  assert.deepEqual(
    [1, 2, 3, 4].map(() => faults.next(call())),
    [undefined, lost, slow, undefined],
  )
})

test('the same plan on the same calls strikes at the same places', () => {
  const methods = ['objects.insert', 'objects.get', 'objects.patch']
  const rule: fc.Arbitrary<FaultRule> = fc.record({
    method: fc.constantFrom(...methods, 'objects.*'),
    nth: fc.integer({ min: 1, max: 4 }),
    times: fc.integer({ min: 1, max: 3 }),
    fault: fc.constantFrom(lost, slow),
  })
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 6 }), fc.array(fc.constantFrom(...methods)), (plan, calls) => {
      const faults = createFaults()
      const run = () => {
        faults.replace(plan)
        return calls.map((method) => faults.next(call({ method })))
      }
      const first = run()
      assert.deepEqual(run(), first)
      assert.ok(first.filter(Boolean).length <= plan.reduce((sum, { times = 1 }) => sum + times, 0))
    }),
  )
})

test('the entry is read from the user agent', () => {
  assert.equal(entryOf('millrace-chunk-load/0.1.0 gcloud-node-storage/8.4.0'), 'chunk-load')
  assert.equal(entryOf('grpc-node-js/1.14.7 millrace-kafka-worker/0.1.0'), 'kafka-worker')
  assert.equal(entryOf(['x', 'millrace-agent/1']), 'agent')
  assert.equal(entryOf('google-cloud-sdk gcloud/528'), 'unknown')
  assert.equal(entryOf(undefined), 'unknown')
})

test('the recorder counts every call and keeps the last 10,000', () => {
  const recorder = createRecorder()
  for (let i = 0; i < 10_005; i++) recorder.record(call({ resource: String(i) }))
  recorder.record(call({ entry: 'chunk-load', method: 'objects.get', resource: 'last' }))
  const calls = recorder.calls()
  assert.equal(calls.length, 10_000)
  assert.equal(calls[0]?.resource, '6')
  assert.equal(calls.at(-1)?.resource, 'last')
  assert.deepEqual(recorder.tallies(), [
    { entry: 'agent', service: 'storage', method: 'objects.insert', count: 10_005 },
    { entry: 'chunk-load', service: 'storage', method: 'objects.get', count: 1 },
  ])
})
