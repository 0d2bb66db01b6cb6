import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { readNotification } from './notification.ts'

const TYPE = 'google.cloud.storage.object.v1.finalized'
const OBJECT = { bucket: 'logs', name: 'a/b', generation: '7' }

void suite('notifications of finalized objects', () => {
  void test("Eventarc's CloudEvent, binary and structured", () => {
    const body = { ...OBJECT, metageneration: '1', size: '3' }
    assert.deepEqual(readNotification({ headers: { 'ce-type': TYPE }, body }), OBJECT)
    assert.deepEqual(readNotification({ headers: {}, body: { type: TYPE, data: body } }), OBJECT)
    assert.deepEqual(readNotification({ headers: { 'ce-type': TYPE }, body: { ...OBJECT, generation: 7 } }), OBJECT)
  })

  void test('the body of a Pub/Sub push', () => {
    const attributes = { eventType: 'OBJECT_FINALIZE', bucketId: 'logs', objectId: 'a/b', objectGeneration: '7' }
    assert.deepEqual(readNotification({ headers: {}, body: { message: { attributes, data: '' } } }), OBJECT)
  })

  void test('other events are none of ours', () => {
    const deleted = 'google.cloud.storage.object.v1.deleted'
    assert.equal(readNotification({ headers: { 'ce-type': deleted }, body: OBJECT }), 'ignored')
    const attributes = { eventType: 'OBJECT_DELETE' }
    assert.equal(readNotification({ headers: {}, body: { message: { attributes } } }), 'ignored')
  })

  void test('rubbish is told what is wrong with it', () => {
    const cases: [unknown, RegExp][] = [
      [undefined, /not a JSON object/],
      ['text', /not a JSON object/],
      [[1], /not a JSON object/],
      [{}, /neither a CloudEvent nor a Pub\/Sub push/],
      [{ type: TYPE }, /bucket or name/],
      [{ type: TYPE, data: { bucket: 'b', name: 'n' } }, /generation/],
    ]
    for (const [body, problem] of cases) {
      const answer = readNotification({ headers: {}, body })
      assert(typeof answer === 'object' && 'invalid' in answer)
      assert.match(answer.invalid, problem)
    }
  })
})
