import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { suite, test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { crc32c } from '@node-rs/crc32'
import fc from 'fast-check'
import type { Range } from '../../shared/chunks/index.ts'
import { BrokenContent, readEvents } from './read-events.ts'

const LINES = { kind: 'lines', maxEventBytes: 1000 } as const

interface Cut {
  readonly values: string[]
  readonly extents: [position: number, size: number][]
  readonly end: { crc32c: string; end: number; eventsEnd: number }
}

async function cut(stored: Buffer, start: number, ranges: readonly Range[], pieceBytes = 7): Promise<Cut> {
  const pieces = function* () {
    for (let at = 0; at < stored.length; at += pieceBytes) yield stored.subarray(at, at + pieceBytes)
  }
  const batches = readEvents(Readable.from(pieces(), { objectMode: false }), start, ranges, LINES)
  const values: string[] = []
  const extents: [number, number][] = []
  for (;;) {
    const { done, value } = await batches.next()
    if (done) return { values, extents, end: value }
    const { buffer, events } = value
    for (let i = 0; i < events.count; i++) {
      values.push(buffer.toString('utf8', events.valueStart[i], events.valueEnd[i]))
      extents.push([events.position[i] ?? 0, events.size[i] ?? 0])
    }
  }
}

void suite('events of an object', () => {
  void test('are the same, plain or compressed, in whatever pieces they come', async () => {
    const text = Buffer.from('one\ntwo\n\nthree\nunterminated')
    for (const stored of [text, gzipSync(text), zstdCompressSync(text)]) {
      for (const pieceBytes of [1, 2, 3, 1000]) {
        const { values, end } = await cut(stored, 0, [[0, Number.POSITIVE_INFINITY]], pieceBytes)
        assert.deepEqual(values, ['one', 'two', 'three', 'unterminated'])
        const checksum = (crc32c(text) >>> 0).toString(16).padStart(8, '0')
        assert.deepEqual(end, { crc32c: checksum, end: text.length, eventsEnd: text.length })
      }
    }
  })

  void test('only those of the carried ranges, with positions of the source', async () => {
    const { values, extents } = await cut(zstdCompressSync(Buffer.from('aa\nbb\ncc\ndd\n')), 100, [
      [103, 106],
      [109, 112],
    ])
    assert.deepEqual(values, ['bb', 'dd'])
    assert.deepEqual(extents, [
      [103, 3],
      [109, 3],
    ])
  })

  void test('tile any carried range of any text', async () => {
    const line = fc.stringMatching(/^[a-z]{0,30}$/)
    await fc.assert(
      fc.asyncProperty(
        fc.array(line, { maxLength: 50 }),
        fc.nat(50),
        fc.integer({ min: 1, max: 40 }),
        async (lines, from, piece) => {
          const first = lines
            .slice(0, from)
            .map((value) => `${value}\n`)
            .join('').length
          const text = Buffer.from(lines.map((value) => `${value}\n`).join(''))
          const rest = lines.slice(from).filter((value) => value !== '')
          const { values, extents } = await cut(text, 0, [[first, text.length]], piece)
          assert.deepEqual(values, rest)
          let at = first
          for (const [position, size] of extents) {
            assert.equal(position, at)
            at += size
          }
        },
      ),
      { numRuns: 300 },
    )
  })

  void test('nothing, where the object is empty', async () => {
    const { values, end } = await cut(Buffer.alloc(0), 0, [[0, Number.POSITIVE_INFINITY]])
    assert.deepEqual(values, [])
    assert.deepEqual(end, { crc32c: '00000000', end: 0, eventsEnd: 0 })
  })

  void test('a content that is cut off or damaged is broken, for good', async () => {
    const whole = zstdCompressSync(Buffer.from('one\n'.repeat(10_000)))
    const damaged = Buffer.from(whole)
    damaged[20] = (damaged[20] ?? 0) ^ 0xff
    for (const stored of [whole.subarray(0, -5), damaged]) {
      await assert.rejects(cut(stored, 0, [[0, 40_000]], 1000), BrokenContent)
    }
  })
})
