import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import test from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { createCutter, DEAD_REASONS, encodingOf, Events, type FramingOptions, openDecompressed } from './index.ts'

const LINES: FramingOptions = { kind: 'lines', maxEventBytes: 20 }
const DELIMITED: FramingOptions = { kind: 'delimited', maxEventBytes: 20 }

interface Cut {
  value: string
  position: number
  size: number
  dead: string
}

/** Cuts `pieces` as a reader does: what was not consumed is handed over again, with the next piece behind it. */
function cutAll(framing: FramingOptions, pieces: readonly Buffer[], capacity = 8192, position = 0) {
  const cutter = createCutter(framing, position)
  const events = new Events(capacity)
  const cuts: Cut[] = []
  let rest = Buffer.alloc(0)
  pieces.forEach((piece, n) => {
    const final = n === pieces.length - 1
    // Slack on both sides shows that nothing outside of [start, end) is read.
    const buffer = Buffer.concat([Buffer.from('x\n'), rest, piece, Buffer.from('y\n')])
    const end = buffer.length - 2
    let at = 2
    do {
      events.clear()
      at += cutter.cut(buffer, at, end, final, events)
      for (let i = 0; i < events.count; i++) {
        cuts.push({
          value: buffer.toString('latin1', events.valueStart[i], events.valueEnd[i]),
          position: events.position[i]!,
          size: events.size[i]!,
          dead: DEAD_REASONS[events.dead[i]!]!,
        })
      }
    } while (events.count > 0)
    rest = buffer.subarray(at, end)
  })
  return { cuts, position: cutter.position, next: cutter.next, rest: rest.length }
}

function whole(framing: FramingOptions, bytes: string | Buffer) {
  return cutAll(framing, [typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes])
}

function delimited(...values: string[]): Buffer {
  return Buffer.concat(values.map((value) => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)])))
}

void test('each line is an event whose extent holds its delimiter', () => {
  const { cuts, position } = whole(LINES, 'one\ntwo\r\nthree')
  assert.deepEqual(cuts, [
    { value: 'one', position: 0, size: 4, dead: '' },
    { value: 'two', position: 4, size: 5, dead: '' },
    { value: 'three', position: 9, size: 5, dead: '' },
  ])
  assert.equal(position, 14)
})

void test('an unterminated line waits until the source is finished', () => {
  const cutter = createCutter(LINES, 0)
  const events = new Events()
  const buffer = Buffer.from('one\ntwo')
  assert.equal(cutter.cut(buffer, 0, 7, false, events), 4)
  assert.equal(events.count, 1)
  assert.equal(cutter.cut(buffer, 4, 7, true, events), 3)
  assert.equal(events.count, 2)
})

void test('blank lines, NUL holes and a BOM belong to the event before them, or to the first', () => {
  const { cuts } = whole(LINES, '\xef\xbb\xbf\n\0\0 one\n\n \r\n\0\0\0two\n\n')
  assert.deepEqual(cuts, [
    { value: ' one', position: 0, size: 18, dead: '' },
    { value: 'two', position: 18, size: 5, dead: '' },
  ])
})

void test('blank bytes after an event that was handed out belong to the next one', () => {
  const { cuts, position } = cutAll(LINES, [Buffer.from('one\n'), Buffer.from('\n\ntwo\n'), Buffer.from('\n')])
  assert.deepEqual(
    cuts.map(({ position, size }) => [position, size]),
    [
      [0, 4],
      [4, 6],
    ],
  )
  assert.equal(position, 10, 'the trailing blank line has no event any more: the size of the source ends before it')
})

void test('a too long line is a dead extent, wherever it was cut', () => {
  const text = `${'a'.repeat(21)}\n${'b'.repeat(20)}\r\nc\n`
  const dead = [
    { value: '', position: 0, size: 22, dead: 'too_long' },
    { value: 'b'.repeat(20), position: 22, size: 22, dead: '' },
    { value: 'c', position: 44, size: 2, dead: '' },
  ]
  assert.deepEqual(whole(LINES, text).cuts, dead)
  assert.deepEqual(
    cutAll(
      LINES,
      [...text].map((byte) => Buffer.from(byte)),
    ).cuts,
    dead,
  )
})

void test('a line of nothing but blanks is no event however long it is, and too long with anything behind them', () => {
  for (const [text, expected] of [
    [`one\n${' '.repeat(60)}\ntwo\n`, ['one', 'two']],
    [`one\n${' '.repeat(60)}x\ntwo\n`, ['one', 'too_long', 'two']],
    [`one\n \r${'\0'.repeat(60)}x`, ['one', 'too_long']],
    [`one\n${' '.repeat(60)}`, ['one']],
  ] as const) {
    for (const pieceBytes of [1, 7, 25, 30, 100]) {
      const pieces_ = Array.from({ length: Math.ceil(text.length / pieceBytes) }, (_, n) =>
        Buffer.from(text.slice(n * pieceBytes, (n + 1) * pieceBytes)),
      )
      assert.deepEqual(values(cutAll(LINES, pieces_).cuts), expected, `${text.length} in ${pieceBytes}`)
    }
  }
})

void test('UTF-16 is refused with advice', () => {
  for (const bytes of ['\xff\xfea\0', '\xfe\xff\0a', '{\0"\0', '\0{\0"']) {
    assert.throws(() => whole(LINES, bytes), { name: 'UserError', message: /UTF-16/ })
  }
})

void test('messages are cut by their length; a zero byte is an empty one', () => {
  const bytes = Buffer.concat([
    Buffer.from([0]),
    delimited('ab'),
    Buffer.from([0, 0]),
    delimited('c'),
    Buffer.from([0]),
  ])
  const empty = (position: number) => ({ value: '', position, size: 1, dead: '' })
  assert.deepEqual(whole(DELIMITED, bytes).cuts, [
    empty(0),
    { value: 'ab', position: 1, size: 3, dead: '' },
    empty(4),
    empty(5),
    { value: 'c', position: 6, size: 2, dead: '' },
    empty(8),
  ])
})

void test('a hole of zeros among messages is no event, an empty message waits until it can be none', () => {
  const bytes = Buffer.concat([delimited('ab'), Buffer.alloc(512), delimited('c'), Buffer.alloc(511)])
  const { cuts } = whole(DELIMITED, bytes)
  assert.deepEqual(cuts.slice(0, 3), [
    { value: 'ab', position: 0, size: 515, dead: '' },
    { value: 'c', position: 515, size: 2, dead: '' },
    { value: '', position: 517, size: 1, dead: '' },
  ])
  assert.equal(cuts.length, 2 + 511)
  // Who begins where another stopped amid the hole does not take its rest for messages.
  const cutter = createCutter(DELIMITED, 0)
  cutter.cut(bytes, 0, 515, false, new Events())
  assert.equal(cutter.position, 3)
  const growing = cutAll(DELIMITED, [bytes, Buffer.from([0]), delimited('d')])
  assert.deepEqual(values(growing.cuts), ['ab', 'c', 'd'])
  assert.deepEqual(growing.cuts[2], { value: 'd', position: 517, size: 514, dead: '' })
})

void test('a message without its end, and bytes after a bad length, are dead extents of a finished source', () => {
  assert.deepEqual(whole(DELIMITED, Buffer.concat([delimited('ab'), Buffer.from([5, 1, 2])])).cuts[1], {
    value: '',
    position: 3,
    size: 3,
    dead: 'truncated',
  })
  const bad = Buffer.concat([delimited('ab'), Buffer.alloc(9, 0xff), Buffer.from('more')])
  assert.deepEqual(whole(DELIMITED, bad).cuts[1], { value: '', position: 3, size: 13, dead: 'bad_length' })
  assert.equal(cutAll(DELIMITED, [bad, Buffer.from('and more')]).cuts[1]!.size, 21)
})

const lineBytes = fc
  .array(
    fc.oneof(
      fc.constantFrom('\n', '\r\n', '\0\0', ' ', '\0\n', '\r'),
      fc.string({ unit: fc.constantFrom('a', 'b', '\r', ' ', '\0', '\xef'), maxLength: 30 }),
    ),
    { maxLength: 40 },
  )
  .map((parts) => Buffer.from(`start\n${parts.join('')}`, 'latin1'))

const delimitedBytes = fc
  .array(
    fc.oneof(
      fc.constantFrom(1, 1, 2, 3, 1, 2, 511, 512, 700).map((zeros) => Buffer.alloc(zeros)),
      fc
        .uint8Array({ minLength: 1, maxLength: 30 })
        .map((value) => Buffer.concat([Buffer.from([value.length]), value])),
      fc.constant(Buffer.from([0x80, 0x80, 0x80, 0x80, 0x80])),
    ),
    { maxLength: 20 },
  )
  .map((parts) => Buffer.concat(parts))

for (const [framing, arbitrary] of [
  [LINES, lineBytes],
  [DELIMITED, delimitedBytes],
] as const) {
  void test(`${framing.kind}: growing in any pieces, whole and from any extent on give the same events, which tile`, () => {
    fc.assert(
      fc.property(arbitrary, fc.array(fc.nat(1000)), fc.integer({ min: 1, max: 5 }), (bytes, cutsAt, capacity) => {
        const all = whole(framing, bytes)
        assertTiles(all, bytes.length)
        const grown = cutAll(framing, pieces(bytes, cutsAt), capacity)
        assertTiles(grown, bytes.length)
        assert.deepEqual(values(grown.cuts), values(all.cuts))
        const places = [...all.cuts, ...grown.cuts]
        for (const { position } of places.filter((_, n) => n % Math.ceil(places.length / 20) === 0)) {
          const rest = cutAll(framing, [bytes.subarray(position)], 8192, position)
          const before = grown.cuts.filter((cut) => cut.position + cut.size <= position).length
          if (grown.cuts.some((cut) => cut.position === position)) {
            assert.deepEqual(values(rest.cuts), values(all.cuts.slice(before)))
          }
        }
      }),
      { numRuns: 500 },
    )
  })
}

function values(cuts: readonly Cut[]): string[] {
  return cuts.map(({ value, dead }) => dead || value || 'empty')
}

function assertTiles({ cuts, position, next, rest }: ReturnType<typeof cutAll>, length: number): void {
  let at = 0
  for (const cut of cuts) {
    assert.equal(cut.position, at)
    assert.ok(cut.size > 0)
    at += cut.size
  }
  assert.equal(position, at)
  assert.equal(next + rest, length, 'every byte was consumed')
}

function pieces(bytes: Buffer, cutsAt: readonly number[]): Buffer[] {
  const at = [0, ...cutsAt.filter((n) => n < bytes.length).sort((a, b) => a - b), bytes.length]
  return at.slice(1).map((end, i) => bytes.subarray(at[i], end))
}

/** A frame without content: pzstd writes one before each frame (RFC 8878, section 3.1.2). */
const SKIPPED = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4])

void test('a compressed copy reads as its plain bytes, concatenated members too', async () => {
  const text = 'one\ntwo\n'.repeat(100_000)
  const halves = [text.slice(0, 3333), text.slice(3333), 'and\n', 'more\n']
  for (const copy of [
    gzipSync(halves.join('')),
    Buffer.concat(halves.map((half) => gzipSync(half))),
    zstdCompressSync(halves.join('')),
    Buffer.concat(halves.map((half) => zstdCompressSync(half))),
    Buffer.concat(halves.flatMap((half) => [SKIPPED, zstdCompressSync(half)])),
    Buffer.from(halves.join('')),
  ]) {
    const plain = await readAll(openDecompressed(Readable.from([copy]), encodingOf(copy)))
    assert.equal(plain.length, text.length + 9)
    assert.ok(plain === halves.join(''))
  }
})

void test('a compressed copy that is cut off or corrupt fails, it does not end', async () => {
  const text = Array.from({ length: 10_000 }, (_, n) => `line ${n * n}\n`).join('')
  for (const [copy, encoding] of [
    [gzipSync(text), 'gzip'],
    [zstdCompressSync(text), 'zstd'],
  ] as const) {
    await assert.rejects(readAll(openDecompressed(Readable.from([copy.subarray(0, -30)]), encoding)), encoding)
    const corrupt = Buffer.concat([copy.subarray(0, 1000), Buffer.alloc(1000), copy.subarray(2000)])
    await assert.rejects(readAll(openDecompressed(Readable.from([corrupt]), encoding)), encoding)
  }
})

async function readAll(stream: Readable): Promise<string> {
  const pieces: Buffer[] = []
  for await (const piece of stream as AsyncIterable<Buffer>) pieces.push(piece)
  return Buffer.concat(pieces).toString()
}
