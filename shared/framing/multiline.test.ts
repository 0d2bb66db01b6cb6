import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import test from 'node:test'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import {
  createCutter,
  cutEvents,
  DEAD_REASONS,
  Events,
  type FramingOptions,
  MULTILINE_PRESETS,
  OVERHEAD_BYTES,
} from './index.ts'

const FRAMING: FramingOptions = { kind: 'lines', start: '^[A-Z]', maxEventBytes: 30 }

interface Cut {
  readonly value: string
  readonly position: number
  readonly size: number
}

/** A growing file: pieces, and behind some of them a pause long enough for what is there to be given out. */
type Growth = readonly { readonly piece: Buffer; readonly pause: boolean }[]

/** Cuts a file as it grows, in a window of the least size that a reader must offer. */
function cutGrowing(growth: Growth, framing = FRAMING, capacity = 8192, position = 0): Cut[] {
  const cutter = createCutter(framing, position)
  const events = new Events(capacity)
  const cuts: Cut[] = []
  const window = framing.maxEventBytes + OVERHEAD_BYTES
  let rest = Buffer.alloc(0)
  growth.forEach(({ piece, pause }, n) => {
    rest = Buffer.concat([rest, piece])
    const last = n === growth.length - 1
    for (;;) {
      const whole = rest.length <= window
      events.clear()
      const used = cutter.cut(rest, 0, Math.min(window, rest.length), last && whole, events, pause && whole)
      for (let i = 0; i < events.count; i++) {
        cuts.push({
          value: DEAD_REASONS[events.dead[i]!] || rest.toString('latin1', events.valueStart[i], events.valueEnd[i]),
          position: events.position[i]!,
          size: events.size[i]!,
        })
      }
      rest = rest.subarray(used)
      if (used === 0 && events.count === 0) break
    }
    assert.ok(rest.length <= window, 'a full window makes progress')
  })
  return cuts
}

const whole = (bytes: Buffer, position = 0) => cutGrowing([{ piece: bytes, pause: false }], FRAMING, 8192, position)
const text = (value: string) => Buffer.from(value, 'latin1')

void test('an event holds the lines behind its first that do not start one, and blank ones between', () => {
  assert.deepEqual(whole(text(' x\nA 1\r\n at\r\n\n by\nB\n\n\0\0C')), [
    { value: ' x', position: 0, size: 3 },
    { value: 'A 1\r\n at\r\n\n by', position: 3, size: 15 },
    { value: 'B', position: 18, size: 5 },
    { value: 'C', position: 23, size: 1 },
  ])
})

void test('the last event is given out after a pause; what continues it later is an event of its own', () => {
  const growth = ['A\n at 1\n', ' at 2\n at 3\n', 'B\n'].map((piece) => ({ piece: text(piece), pause: true }))
  assert.deepEqual(cutGrowing(growth), [
    { value: 'A\n at 1', position: 0, size: 8 },
    { value: ' at 2\n at 3', position: 8, size: 12 },
    { value: 'B', position: 20, size: 2 },
  ])
  const inLine = [
    { piece: text('A\n at 1\n a'), pause: true },
    { piece: text('t 2\nB'), pause: false },
  ]
  assert.deepEqual(
    cutGrowing(inLine).map(({ value }) => value),
    ['A\n at 1', ' at 2', 'B'],
    'a line that is not whole is waited for',
  )
})

void test('an event that is too long is dead to its end, which is where the next one starts', () => {
  const long = `A\n${' line\n'.repeat(10)}B\n${'x'.repeat(5000)}\n y\nC\n`
  assert.deepEqual(whole(text(long)), [
    { value: 'too_long', position: 0, size: 62 },
    { value: 'too_long', position: 62, size: 5006 },
    { value: 'C', position: 5068, size: 2 },
  ])
})

const line = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.constantFrom('A one\n', 'B\n', ' at x\n', ' at y\r\n', '\n', ' \n', '\0\0\n', '\0', 'C', 'd'),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '\0'.repeat(1500),
      '\n'.repeat(1030),
      ' '.repeat(1100),
      'z'.repeat(1100),
      'Z'.repeat(40),
    ),
  },
)
const bytes = fc.array(line, { maxLength: 40 }).map((lines) => text(`A\n${lines.join('')}`))
const instants = fc.array(fc.tuple(fc.nat(400), fc.boolean()), { maxLength: 10 })

function growthOf(file: Buffer, at: readonly (readonly [number, boolean])[]): Growth {
  const ends = at.filter(([end]) => end < file.length).sort(([a], [b]) => a - b)
  return [...ends, [file.length, true] as const].map(([end, pause], n) => ({
    piece: file.subarray(ends[n - 1]?.[0] ?? 0, end),
    pause,
  }))
}

void test('growing in any pieces without a pause, whole, and from any event on give the same events, which tile', () => {
  fc.assert(
    fc.property(bytes, instants, fc.integer({ min: 1, max: 4 }), (file, at, capacity) => {
      const all = whole(file)
      const grown = cutGrowing(
        growthOf(
          file,
          at.map(([end]) => [end, false]),
        ).map((g) => ({ ...g, pause: false })),
        FRAMING,
        capacity,
      )
      assertTiles(all, file)
      assertTiles(grown, file)
      assert.deepEqual(values(grown), values(all))
      all.forEach(({ position }, n) =>
        assert.deepEqual(values(whole(file.subarray(position), position)), values(all.slice(n))),
      )
    }),
    { numRuns: 2000 },
  )
})

void test('pauses only part what was written apart: where an event starts, one starts; the rest is cut as the chunk is', () => {
  let parted = 0
  fc.assert(
    fc.property(bytes, instants, (file, at) => {
      const paused = cutGrowing(growthOf(file, at))
      assertTiles(paused, file)
      const all = whole(file)
      const starts = (cuts: readonly Cut[]) =>
        new Set(cuts.filter(({ value }) => /^[A-Z]/.test(value)).map(firstByte(file)))
      for (const start of starts(all)) assert.ok(starts(paused).has(start))
      if (paused.length > all.length) parted++
      // A chunk that takes over at any position of the agent's, and an agent that begins again there, cut the same.
      for (const { position } of paused) {
        const rest = whole(file.subarray(position), position)
        assertTiles(rest, file, position)
        const later = new Set(paused.filter((cut) => cut.position >= position).map(firstByte(file)))
        assert.ok(rest.every((cut) => later.has(firstByte(file)(cut))))
      }
    }),
    { numRuns: 2000 },
  )
  assert.ok(parted > 100, 'some pauses part an event')
})

void test('a compressed copy gives the events of the file', async () => {
  const file = text('A\n at\n'.repeat(100_000))
  const found: string[] = []
  for await (const { buffer, events } of cutEvents(Readable.from([gzipSync(file)]), createCutter(FRAMING, 0))) {
    for (let i = 0; i < events.count; i++)
      found.push(buffer.toString('latin1', events.valueStart[i], events.valueEnd[i]))
  }
  assert.deepEqual(found, values(whole(file)))
})

/** The position of an event's first byte that is not blank: blank ones before it may belong to either side. */
function firstByte(file: Buffer) {
  return ({ position }: Cut) => {
    let at = position
    while (at < file.length && [0, 9, 10, 13, 32].includes(file[at]!)) at++
    return at
  }
}

function values(cuts: readonly Cut[]): string[] {
  return cuts.map(({ value }) => value)
}

function assertTiles(cuts: readonly Cut[], file: Buffer, from = 0): void {
  let at = from
  for (const { position, size } of cuts) {
    assert.equal(position, at)
    assert.ok(size > 0)
    at += size
  }
  assert.ok(/^[\s\0]*$/.test(file.toString('latin1', at)), 'nothing but blank bytes is behind the last event')
}

const TRACES: Record<keyof typeof MULTILINE_PRESETS, readonly string[]> = {
  java: [
    '2026-11-23 10:00:00 INFO started',
    [
      '2026-11-23 10:00:01 ERROR Request failed',
      'java.lang.IllegalStateException: no session',
      '\tat shop.Cart.pay(Cart.java:42)',
      '\tat shop.Main$1.run(Main.java:7) ~[shop.jar:1.0]',
      '\tSuppressed: java.io.IOException: closed',
      '\t\t... 2 more',
      'Caused by: java.sql.SQLException',
      '\tat shop.Db.query(Db.java:9)',
      '\t... 17 common frames omitted',
    ].join('\n'),
    '2026-11-23 10:00:02 INFO go on',
  ],
  python: [
    'INFO:root:started',
    [
      'ERROR:root:request failed',
      'Traceback (most recent call last):',
      '  File "/srv/app.py", line 3, in pay',
      '    raise ValueError("no session")',
      'ValueError: no session',
      '',
      'During handling of the above exception, another exception occurred:',
      '',
      'Traceback (most recent call last):',
      '  File "/srv/app.py", line 9, in main',
      '    pay()',
      'shop.errors.PaymentError: no payment',
    ].join('\n'),
    'INFO:root:go on',
  ],
  go: [
    '2026/11/23 10:00:00 started',
    [
      'panic: runtime error: invalid memory address or nil pointer dereference',
      '[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x49]',
      '',
      'goroutine 1 [running]:',
      'main.(*Cart).Pay(0xc0000140a8, {0x4b, 0x5})',
      '\t/srv/cart.go:12 +0x1d',
      'created by net/http.(*Server).Serve in goroutine 18',
      '\t/usr/lib/go/net/http/server.go:3285 +0x4b4',
      'exit status 2',
    ].join('\n'),
    '2026/11/23 10:00:02 started (again)',
  ],
  node: [
    'started on port 8080',
    [
      'Error: no session',
      '    at pay (/srv/cart.js:12:9)',
      '    at async main (/srv/main.js:3:1) {',
      "  code: 'E_SESSION',",
      '  [cause]: TypeError: x is not a function',
      '      at q (/srv/db.js:1:1)',
      '}',
    ].join('\n'),
    'TypeError: another one',
    'stopped',
  ],
}

for (const [preset, events] of Object.entries(TRACES)) {
  void test(`the preset ${preset} keeps a stack trace together`, () => {
    const start = MULTILINE_PRESETS[preset as keyof typeof MULTILINE_PRESETS]
    const framing = { kind: 'lines' as const, start, maxEventBytes: 10_000 }
    assert.deepEqual(values(cutGrowing([{ piece: text(`${events.join('\n')}\n`), pause: false }], framing)), events)
  })
}
