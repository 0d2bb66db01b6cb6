import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compressFrame } from 'lz4-napi'
import { crc32c } from '@node-rs/crc32'
import { decompress } from './compression.ts'
import { KafkaError } from './errors.ts'
import { decodeFetch, type FetchedPartition, readRanges } from './fetch-response.ts'
import { SharedMemory } from './memory.ts'
import { EncodedPartition, ProduceBody, type ProduceOptions } from './produce-request.ts'
import { BatchBuilder } from './record-batch.ts'
import { sealAs } from '../../test/support/other-codecs.ts'
import javaBatches from './testdata/java-batches.json' with { type: 'json' }
import type { FetchedBatch } from './record-range.ts'
import type { Codec, SealedBatch } from './types.ts'

interface Given {
  key: Uint8Array | null
  value: Uint8Array
  timestampMs: number
  headers: { key: string; value: Uint8Array }[]
}

const RECORD: fc.Arbitrary<Given> = fc.record({
  key: fc.option(fc.uint8Array({ maxLength: 80 })),
  value: fc.uint8Array({ maxLength: 300 }),
  // Some far apart: their differences need long varints.
  timestampMs: fc.oneof(fc.integer({ min: 1.7e12, max: 1.7e12 + 5000 }), fc.integer({ min: 0, max: 4e15 })),
  headers: fc.array(fc.record({ key: fc.string({ maxLength: 5 }), value: fc.uint8Array({ maxLength: 9 }) }), {
    maxLength: 3,
  }),
})
const CODEC = fc.constantFrom<Codec>('none', 'gzip', 'snappy', 'lz4', 'zstd')

function fill(records: readonly Given[], builder = new BatchBuilder(1 << 20)): BatchBuilder {
  for (const { key, value, timestampMs, headers } of records) {
    const padded = Buffer.concat([Buffer.from('xx'), value, Buffer.from('y')])
    assert.equal(builder.append(key, padded, 2, 2 + value.length, timestampMs, headers), true)
  }
  return builder
}

interface Wire {
  baseOffset?: number
  producerId?: number
  transactional?: boolean
}

/** The RecordBatch as the broker would store it: what our Produce request carries, with the offset that it is given. */
function onTheWire(batch: SealedBatch, { baseOffset = 0, producerId = 7, transactional = false }: Wire = {}): Buffer {
  const options: ProduceOptions = {
    acks: -1,
    timeout: 1000,
    producerId,
    producerEpoch: 3,
    ...(transactional && { transactionalId: 'id' }),
    topicData: [
      { topic: 't', partitions: [{ partition: 0, firstSequence: 11, messages: new EncodedPartition(batch) }] },
    ],
  }
  const request = Buffer.concat(new ProduceBody(options).parts)
  const stored = request.subarray(request.length - batch.bytes)
  stored.writeBigInt64BE(BigInt(baseOffset), 0) // not under the checksum
  return stored
}

function fetched(records: Buffer, rest: Partial<FetchedPartition> = {}): FetchedPartition {
  const memory = new SharedMemory(records)
  return { topic: 't', partition: 0, errorCode: 0, lastStableOffset: 1e6, aborted: [], records, memory, ...rest }
}

function readAll(ranges: readonly FetchedBatch[]): (Given & { offset: number })[] {
  const found: (Given & { offset: number })[] = []
  for (const range of ranges) {
    range.visit(0, (r) => {
      const key = r.keyStart < 0 ? null : Uint8Array.from(r.buffer.subarray(r.keyStart, r.keyEnd))
      const value = Uint8Array.from(r.buffer.subarray(r.valueStart, r.valueEnd))
      found.push({ key, value, timestampMs: r.timestampMs, headers: [], offset: r.offset })
    })
  }
  return found
}

test('what goes in comes out, with every compression', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(RECORD, { minLength: 1, maxLength: 40 }), CODEC, async (records, codec) => {
      const batch = await sealAs(fill(records), codec)
      const ranges = readRanges(fetched(onTheWire(batch, { baseOffset: 500 })), 0)
      const expected = records.map((record, i) => ({ ...record, headers: [], offset: 500 + i }))
      for (const range of ranges) await range.ready()
      assert.deepEqual(readAll(ranges), expected)
    }),
    { numRuns: 60 },
  )
})

test('a header is found by its name, the last one when there are several', async () => {
  const [a, b] = [Buffer.from('a'), Buffer.from('b')]
  const headers = [
    { key: 'x', value: a },
    { key: 'y', value: a },
    { key: 'x', value: b },
  ]
  const batch = await fill([{ key: null, value: a, timestampMs: 5, headers }]).seal('none')
  readRanges(fetched(onTheWire(batch)), 0)[0]?.visit(0, (record) => {
    assert.equal(record.headers, 3)
    assert.equal(record.header('x')?.toString(), 'b')
    assert.equal(record.header('z'), undefined)
  })
})

test('a full builder changes nothing and is as good as new after reset', async () => {
  const builder = new BatchBuilder(64)
  const value = Buffer.alloc(20, 'v')
  assert.equal(builder.append(null, value, 0, 20, 9), true)
  assert.equal(builder.append(null, value, 0, 20, 9), true)
  assert.equal(builder.append(null, value, 0, 20, 9), false)
  assert.deepEqual([builder.records, (await builder.seal('none')).records], [2, 2])
  builder.reset()
  await assert.rejects(builder.seal('none'), RangeError)
  assert.equal(builder.append(null, Buffer.alloc(90), 0, 90, 1), false)
})

test('a visit stops where the visitor says and goes on there; a fetch may begin inside a batch', async () => {
  const records = Array.from({ length: 10 }, (_, i) => ({
    key: null,
    value: Buffer.from(`${i}`),
    timestampMs: i,
    headers: [],
  }))
  const wire = onTheWire(await fill(records).seal('zstd'), { baseOffset: 100 })
  const [range] = readRanges(fetched(wire), 104)
  assert.ok(range)
  assert.deepEqual([range.firstOffset, range.lastOffset, range.records], [104, 109, 10])
  assert.throws(() => range.visit(0, () => undefined), /not ready/)
  await range.ready()
  const seen: number[] = []
  const take = (most: number) => {
    let taken = 0
    return (record: { offset: number }) => (taken++ < most ? void seen.push(record.offset) : false)
  }
  assert.equal(range.visit(0, take(2)), 106)
  assert.equal(range.visit(106, take(3)), 109)
  assert.equal(range.visit(109, take(9)), 110)
  assert.deepEqual(seen, [104, 105, 106, 107, 108, 109])
  assert.equal(range.visit(107, take(9)), 110)
  assert.deepEqual(seen.slice(6), [107, 108, 109])
})

/** An abort or commit marker, as the broker writes it. */
function marker(type: 0 | 1, producerId: number, baseOffset: number): Buffer {
  const key = Buffer.from([0, 0, 0, type])
  const value = Buffer.alloc(6)
  const record = Buffer.concat([Buffer.from([0, 0, 0, 8]), key, Buffer.from([12]), value, Buffer.from([0])])
  const body = Buffer.concat([Buffer.from([record.length << 1]), record])
  const sealed = {
    records: 1,
    bytes: 61 + body.length,
    compression: 'none',
    baseTimestampMs: 0,
    maxTimestampMs: 0,
    body,
  } as const
  const wire = onTheWire(sealed, { baseOffset, producerId, transactional: true })
  wire.writeInt16BE(0x30, 21) // control, transactional
  wire.writeUInt32BE(crc32c(wire.subarray(21)), 17)
  return wire
}

/**
 * A log of random transactions of several producers, some aborted, their batches interleaved; read from any offset, in fetches
 * that end anywhere. The model: a record is visible when its transaction was committed.
 */
test('exactly the records of committed transactions are seen, wherever a fetch begins', async () => {
  const step = fc.record({ producer: fc.integer({ min: 1, max: 3 }), end: fc.option(fc.boolean(), { freq: 2 }) })
  const batch = await fill([
    { key: null, value: Buffer.from('a'), timestampMs: 1, headers: [] },
    { key: null, value: Buffer.from('b'), timestampMs: 1, headers: [] },
  ]).seal('none')
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 30 }), fc.nat(), (steps, anywhere) => {
      const wires: Buffer[] = []
      const open = new Map<number, { first: number; offsets: number[] }>()
      const aborted: { producerId: bigint; firstOffset: number; last: number }[] = []
      const visible: number[] = []
      let offset = 0
      for (const { producer, end } of steps) {
        const txn = open.get(producer)
        if (end === null || !txn) {
          wires.push(onTheWire(batch, { baseOffset: offset, producerId: producer, transactional: true }))
          if (txn) txn.offsets.push(offset, offset + 1)
          else open.set(producer, { first: offset, offsets: [offset, offset + 1] })
          offset += 2
          continue
        }
        wires.push(marker(end ? 1 : 0, producer, offset))
        open.delete(producer)
        if (end) visible.push(...txn.offsets)
        else aborted.push({ producerId: BigInt(producer), firstOffset: txn.first, last: offset })
        offset++
      }
      const stable = Math.min(offset, ...[...open.values()].map(({ first }) => first))
      const from = stable === 0 ? 0 : anywhere % stable
      // The broker: from the batch that holds the offset on, up to the last stable offset, with all aborted ones that overlap.
      const served = wires.filter(
        (wire) =>
          Number(wire.readBigInt64BE(0)) + wire.readInt32BE(23) >= from && Number(wire.readBigInt64BE(0)) < stable,
      )
      const listed = aborted.filter(({ last, firstOffset }) => last >= from && firstOffset < stable).reverse()
      const ranges = readRanges(fetched(Buffer.concat(served), { aborted: listed, lastStableOffset: stable }), from)
      const seen = readAll(ranges).map((record) => record.offset)
      assert.deepEqual(
        seen,
        visible.filter((at) => at >= from && at < stable).sort((a, b) => a - b),
      )
      let next = from
      for (const range of ranges) {
        assert.equal(range.firstOffset, next)
        next = range.lastOffset + 1
      }
      assert.equal(next, stable === 0 ? 0 : stable)
    }),
    { numRuns: 500 },
  )
})

test('every flipped bit of a batch is found, and a cut batch waits for the next fetch', async () => {
  const batch = await fill([{ key: null, value: Buffer.from('hello'), timestampMs: 1, headers: [] }]).seal('none')
  const wire = onTheWire(batch)
  for (let bit = 16 * 8; bit < wire.length * 8; bit++) {
    const broken = Buffer.from(wire)
    broken[bit >> 3] = (broken[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    assert.throws(
      () => readRanges(fetched(broken), 0),
      (error) => error instanceof KafkaError && error.kind === 'corrupt',
    )
  }
  assert.deepEqual(readRanges(fetched(wire.subarray(0, -1)), 0), [])
  assert.equal(readRanges(fetched(Buffer.concat([wire, wire.subarray(0, 70)])), 0).length, 1)
})

test('times that are no milliseconds cost no record', async () => {
  for (const timestampMs of [1.7e18, -1]) {
    const batch = await fill([{ key: null, value: Buffer.from('a'), timestampMs, headers: [] }]).seal('none')
    assert.deepEqual(readAll(readRanges(fetched(onTheWire(batch)), 0))[0]?.timestampMs, timestampMs)
  }
})

test('bytes that are no records are an error, never a crash or an endless loop', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 60 }), fc.integer({ min: 1, max: 20 }), (junk, records) => {
      const body = Buffer.from(junk)
      const sealed = {
        records,
        bytes: 61 + body.length,
        compression: 'none',
        baseTimestampMs: 0,
        maxTimestampMs: 0,
        body,
      } as const
      const [range] = readRanges(fetched(onTheWire(sealed)), 0)
      try {
        range?.visit(0, (record) => void record.header('x'))
      } catch (error) {
        assert.ok(error instanceof KafkaError && error.kind === 'corrupt', String(error))
      }
    }),
    { numRuns: 1000 },
  )
})

test('a body that does not decompress is corrupt', async () => {
  for (const codec of ['gzip', 'snappy', 'lz4', 'zstd'] as const) {
    await assert.rejects(
      decompress(codec, Buffer.from('no such thing')),
      (error) => error instanceof KafkaError && error.kind === 'corrupt',
      codec,
    )
  }
})

test('a body that would become more than 512 MB is corrupt, in whichever codec', async () => {
  const zeros = await compressFrame(Buffer.alloc(4 << 20))
  const [head, block, end] = [zeros.subarray(0, 7), zeros.subarray(7, -4), zeros.subarray(-4)]
  const lz4 = Buffer.concat([head, ...Array<Buffer>(129).fill(block.subarray(0, 4 + block.readUInt32LE(0))), end])
  const xerial = Buffer.from('82534e41505059000000000100000001' + '00000007808080800200ff'.repeat(2), 'hex')
  const bare = Buffer.from('808080800300ff', 'hex')
  for (const [codec, body] of [
    ['lz4', lz4],
    ['snappy', bare],
    ['snappy', xerial],
  ] as const) {
    const tooMuch = ({ kind, cause }: KafkaError) => kind === 'corrupt' && /of at most 536870912/.test(String(cause))
    await assert.rejects(decompress(codec, body), tooMuch, codec)
  }
  const legacy = Buffer.concat([Buffer.from('02214c18', 'hex'), block.subarray(0, 4 + block.readUInt32LE(0))])
  await assert.rejects(decompress('lz4', legacy), ({ cause }: KafkaError) => /no LZ4 frame/.test(String(cause)))
})

test('an answer of each version is read as its layout says', () => {
  const int = (bytes: number, value: number) => {
    const buffer = Buffer.alloc(bytes)
    buffer.writeIntBE(value, bytes > 6 ? 2 : 0, Math.min(bytes, 6))
    return buffer
  }
  for (const version of [4, 5, 7, 10, 11]) {
    const partition = [
      int(4, 3),
      int(2, 6),
      int(8, 90),
      int(8, 80),
      ...(version >= 5 ? [int(8, 1)] : []),
      int(4, 1),
      int(8, 42),
      int(8, 70),
    ]
    if (version >= 11) partition.push(int(4, 1))
    const answer = [
      int(4, 250),
      ...(version >= 7 ? [int(2, 0), int(4, 0)] : []),
      int(4, 1),
      int(2, 1),
      Buffer.from('t'),
      int(4, 1),
      ...partition,
      int(4, 2),
      Buffer.from('ab'),
    ]
    const { throttleMs, partitions } = decodeFetch(Buffer.concat(answer), version)
    assert.equal(throttleMs, 250)
    const expected = {
      topic: 't',
      partition: 3,
      errorCode: 6,
      lastStableOffset: 80,
      aborted: [{ producerId: 42n, firstOffset: 70 }],
      records: Buffer.from('ab'),
    }
    const found = partitions.map(({ memory: _, ...rest }) => rest)
    assert.deepEqual(found, [expected], `version ${version}`)
  }
})

test("Java's batches are read, with every compression", async () => {
  // Forty lines of the console producer of Kafka 4.1.0, from the broker's log.
  for (const [codec, base64] of Object.entries(javaBatches)) {
    const ranges = readRanges(fetched(Buffer.from(base64, 'base64')), 0)
    for (const range of ranges) await range.ready()
    const records = readAll(ranges)
    assert.equal(records.length, 40)
    for (const [i, { offset, key, value }] of records.entries()) {
      assert.equal(offset, i)
      assert.equal(Buffer.from(key ?? []).toString(), `key${i + 1}`)
      assert.equal(Buffer.from(value).toString(), `${codec} line ${i + 1} of the Java console producer`)
    }
  }
})
