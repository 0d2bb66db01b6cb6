import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KafkaError } from './errors.ts'
import { EncodedTopic, ProduceBody } from './produce-request.ts'
import { BatchBuilder } from './record-batch.ts'

test('a batch goes out again under its sequence number, and never under another: it would be stored twice', async () => {
  const builder = new BatchBuilder(1024)
  builder.append(null, Buffer.from('value'), 0, 5, 0)
  const topic = new EncodedTopic([{ topic: 't', partition: 3, batch: await builder.seal('none') }])
  // As kafkajs does: each try of a send groups the messages by partition anew.
  const request = (firstSequence: number) => {
    const messages = topic.reduce()[3] ?? assert.fail('no partition 3')
    const topicData = [{ topic: 't', partitions: [{ partition: 3, firstSequence, messages }] }]
    return new ProduceBody({ acks: -1, timeout: 1, transactionalId: 'x', producerId: 1, producerEpoch: 0, topicData })
  }
  assert.equal(request(7).length, request(7).length)
  assert.throws(
    () => request(8),
    (error) => error instanceof KafkaError && error.code === 'STORED_ALREADY',
  )
})
