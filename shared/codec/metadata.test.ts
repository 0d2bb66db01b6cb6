import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeRows, routeOf } from '../../test/support/rows.ts'
import { compileRoute, type Origin, RowBuffer } from './index.ts'

const codec = compileRoute(routeOf({ format: 'raw', metadata: 'where' }))
const safe = fc.oneof(fc.maxSafeNat(), fc.nat({ max: 300 }))
const origin: fc.Arbitrary<Origin> = fc.record({
  source: fc.option(fc.string({ maxLength: 300 })),
  position: safe,
  size: safe,
  kafkaTopic: fc.option(fc.constantFrom('visits', 'x'.repeat(249))),
  kafkaPartition: fc.nat(),
  kafkaOffset: safe,
  ingestedAtMicros: safe,
})

function expected(from: Origin): Record<string, unknown> {
  const read = { source: from.source, position: String(from.position), size: String(from.size) }
  const kafka = {
    kafka_topic: from.kafkaTopic,
    kafka_partition: String(from.kafkaPartition),
    kafka_offset: String(from.kafkaOffset),
  }
  return {
    ...(from.source === null ? {} : read),
    ...(from.kafkaTopic === null ? {} : kafka),
    ingested_at: String(from.ingestedAtMicros),
  }
}

test('every row says where it came from, whatever the row before it said', () => {
  fc.assert(
    fc.property(fc.array(origin, { minLength: 1, maxLength: 8 }), (origins) => {
      const out = new RowBuffer(16)
      const line = Buffer.from('line')
      for (const from of origins) assert.equal(codec.encode(line, 0, 4, from, out), undefined)
      assert.deepEqual(
        decodeRows(codec, out).map((row) => row['where']),
        origins.map(expected),
      )
    }),
  )
})

test('rows are counted until the buffer is cleared', () => {
  const out = new RowBuffer(16)
  const [from] = fc.sample(origin, 1)
  for (const line of ['a', 'b', 'c']) codec.encode(Buffer.from(line), 0, 1, from as Origin, out)
  assert.equal(out.rows, 3)
  assert.equal(decodeRows(codec, out).length, 3)
  out.clear()
  assert.deepEqual([out.rows, out.slice().length], [0, 0])
})
