import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { free, SharedMemory } from './memory.ts'
import { BatchBuilder } from './record-batch.ts'
import { createRange, type RecordRange } from './record-range.ts'
import { ResponseReader } from './response-reader.ts'
import { sealAs } from '../../test/support/other-codecs.ts'
import type { Codec } from './types.ts'

test('responses come whole and each in its own memory, wherever the bytes are cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 40 }), { minLength: 1, maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }),
      (bodies, cuts) => {
        const sent = bodies.map((body) => {
          const frame = Buffer.alloc(4 + body.length)
          frame.writeInt32BE(body.length)
          frame.set(body, 4)
          return frame
        })
        assert.deepEqual(readInPieces(Buffer.concat(sent), cuts), sent)
      },
    ),
  )
})

/** As a socket does: what it has goes into the room that it is given. */
function readInPieces(wire: Buffer, cuts: readonly number[]): Buffer[] {
  const reader = new ResponseReader()
  const found: Buffer[] = []
  for (let at = 0, turn = 0; at < wire.length; turn++) {
    const room = reader.room()
    const bytes = Math.min(room.length, cuts[turn % cuts.length] ?? 1, wire.length - at)
    assert.ok(bytes > 0)
    wire.copy(room, 0, at, at + bytes)
    at += bytes
    const response = reader.took(bytes)
    if (response) found.push(response)
  }
  assert.equal(new Set(found.map(({ buffer }) => buffer)).size, found.length)
  return found
}

test('another protocol is refused at its first bytes', () => {
  for (const text of ['HTTP/1.1 400 Bad Request', '\xff\xff\xff\xff']) {
    const reader = new ResponseReader()
    Buffer.from(text, 'latin1').copy(reader.room())
    assert.throws(() => reader.took(4), RangeError)
  }
})

const RECORDS = 200
const VALUE = Buffer.alloc(1000, 'v')

/** Two batches in one response, as a fetch brings them. */
async function twoBatches(codec: Codec): Promise<{ response: Buffer; ranges: RecordRange[] }> {
  const builder = new BatchBuilder(1 << 20)
  for (let i = 0; i < RECORDS; i++) builder.append(null, VALUE, 0, VALUE.length, 0)
  const { body } = await sealAs(builder, codec)
  const response = Buffer.allocUnsafeSlow(2 * body.length + 2 * Buffer.poolSize)
  const memory = new SharedMemory(response)
  const head = { topic: 't', partition: 0, records: RECORDS, compression: codec, baseTimestampMs: 0, endOffset: 0 }
  const ranges = [0, 1].map((turn) => {
    const [start, firstOffset] = [turn * body.length, turn * RECORDS]
    body.copy(response, start)
    memory.hold()
    const offsets = { baseOffset: firstOffset, firstOffset, lastOffset: firstOffset + RECORDS - 1 }
    const packed = response.subarray(start, start + body.length)
    return createRange({ ...head, ...offsets, appendTimestampMs: undefined }, packed, memory)
  })
  memory.release()
  return { response, ranges }
}

function valuesOf(range: RecordRange): Buffer[] {
  const found: Buffer[] = []
  range.visit(0, ({ buffer, valueStart, valueEnd }) => void found.push(buffer.subarray(valueStart, valueEnd)))
  return found
}

for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
  test(`${codec}: memory lives as long as a batch needs it, and not longer`, async () => {
    const { response, ranges } = await twoBatches(codec)
    const [first, second] = ranges as [RecordRange, RecordRange]
    await first.ready()
    const values = valuesOf(first)
    assert.ok(values.every((value) => value.equals(VALUE)))
    first.release()
    first.release() // once more does nothing: the other's memory is not given away
    assert.ok(
      codec === 'none' || values.every(({ length }) => length === 0),
      'decompressed memory goes with its own batch',
    )
    assert.throws(() => first.visit(0, () => undefined), RangeError)
    assert.notEqual(response.length, 0, 'the other batch needs it')
    await second.ready()
    assert.ok(valuesOf(second).every((value) => value.equals(VALUE)))
    assert.equal(response.length === 0, codec !== 'none', 'packed bytes go when all of them are decompressed')
    second.release()
    assert.equal(response.length, 0)
  })
}

test('memory that the thread pool reads is not freed under it', async () => {
  const { response, ranges } = await twoBatches('zstd')
  const [first, second] = ranges as [RecordRange, RecordRange]
  const both = [first.ready(), second.ready()]
  first.release()
  second.release()
  assert.notEqual(response.length, 0)
  await Promise.all(both)
  assert.equal(response.length, 0)
  assert.throws(() => valuesOf(first), RangeError)
})

test('a part of the slab that all small buffers share is never freed', () => {
  const [small, neighbour] = [Buffer.from('abc'), Buffer.from('def')]
  free(small)
  assert.deepEqual([small.toString(), neighbour.toString()], ['abc', 'def'])
})
