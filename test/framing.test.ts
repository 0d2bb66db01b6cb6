import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { LogFile } from '../agent/follow/log-file.ts'
import { Scratch } from '../agent/follow/reader.ts'
import { keyOf } from '../agent/follow/scan.ts'
import { Source } from '../agent/follow/source.ts'
import { measure } from '../agent/upload/measure.ts'
import { readEvents } from '../functions/chunk-load/read-events.ts'
import { createCutter, cutEvents, DEAD_REASONS, Events, type FramingOptions } from '../shared/framing/index.ts'

// The same framing cuts the same events, whoever reads: the agent a growing file, the agent a rotated and compressed
// copy, `try` a file, chunk-load an object; and where one goes on where another stopped.

const FRAMINGS: readonly FramingOptions[] = [
  { kind: 'lines', maxEventBytes: 20 },
  { kind: 'lines', maxEventBytes: 60, start: '^[A-Z]' },
  { kind: 'delimited', maxEventBytes: 20 },
]

const LINE_PIECES = [
  '\n',
  '\r\n',
  '\0\0',
  ' ',
  '\t',
  'a',
  'B',
  'some words',
  'Start of it',
  '\n\n',
  '\r',
  '\u00ef',
  'x'.repeat(25),
]
const content = (framing: FramingOptions): fc.Arbitrary<Buffer> =>
  framing.kind === 'lines'
    ? fc
        .array(
          fc.oneof(
            { weight: 30, arbitrary: fc.constantFrom(...LINE_PIECES) },
            fc.constantFrom('\0'.repeat(3000), ' '.repeat(30)),
          ),
        )
        .map((pieces) => Buffer.from(`one\n${pieces.join('')}`, 'latin1'))
    : fc
        .array(
          fc.oneof(
            { weight: 20, arbitrary: fc.uint8Array({ maxLength: 25 }).map((value) => [value.length, ...value]) },
            fc.constantFrom(511, 512, 3000).map((zeros) => new Array<number>(zeros).fill(0)),
          ),
        )
        .map((messages) => Buffer.from([1, 65, ...messages.flat()]))

type Cut = readonly [value: string, position: number, size: number]

function cutsOf(buffer: Buffer, events: Events): Cut[] {
  return Array.from({ length: events.count }, (_, i) => {
    const value = buffer.toString('latin1', events.valueStart[i], events.valueEnd[i])
    return [DEAD_REASONS[events.dead[i] ?? 0] || value, events.position[i] ?? 0, events.size[i] ?? 0]
  })
}

async function collect(batches: AsyncGenerator<{ buffer: Buffer; events: Events }, unknown>): Promise<Cut[]> {
  const cuts: Cut[] = []
  for await (const { buffer, events } of batches) cuts.push(...cutsOf(buffer, events))
  return cuts
}

function streamOf(bytes: Buffer, pieceBytes: number): Readable {
  const pieces = function* () {
    for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes)
  }
  return Readable.from(pieces(), { objectMode: false })
}

function logFile(path: string): LogFile {
  const { dev, ino, size, mtimeMs } = statSync(path)
  return new LogFile(
    { path, folder: '', key: keyOf({ dev, ino }), dev, ino, size, mtimeMs, birthMs: 0, base: path, age: {} } as never,
    {} as never,
    0,
  )
}

/** As the agent reads: what is there, until it is said to be the end. */
async function follow(source: Source, final: boolean, room: number): Promise<Cut[]> {
  const workspace = { scratch: new Scratch(), events: new Events(4) }
  const cuts: Cut[] = []
  for (;;) {
    const reading = await source.read(workspace, Number.POSITIVE_INFINITY, room, final)
    if (reading.kind !== 'piece') return cuts
    cuts.push(...cutsOf(reading.bytes, reading.events))
    source.accept(reading, reading.events.count)
  }
}

const NOTHING_READ = { position: 0, head: 0, tail: 0 }
const valuesOf = (cuts: readonly Cut[]) => cuts.map(([value]) => value)

function assertTiles(cuts: readonly Cut[], from = 0): void {
  let at = from
  for (const [, position, size] of cuts) {
    assert.equal(position, at)
    at += size
  }
}

for (const framing of FRAMINGS) {
  const name = framing.start ? `${framing.kind} with a start pattern` : framing.kind
  test(`${name}: a growing file, its copies and its chunk give the same events`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-framing-'))
    t.after(() => rmSync(folder, { recursive: true }))
    let files = 0
    const opened: LogFile[] = []
    const open = (path: string) => {
      const file = logFile(path)
      opened.push(file)
      return file
    }
    const property = fc.asyncProperty(
      content(framing),
      fc.array(fc.oneof(fc.nat(400), fc.nat(3000)), { maxLength: 4 }),
      fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 5000 })),
      async (bytes, cutsAt, pieceBytes) => {
        const whole = await collect(cutEvents(streamOf(bytes, bytes.length), createCutter(framing, 0)))
        assertTiles(whole)
        // Growing, on a disk.
        const path = join(folder, `${++files}`)
        writeFileSync(path, '')
        const source = new Source('s', path, framing, NOTHING_READ)
        source.attach(open(path))
        const grown: Cut[] = []
        let at = 0
        let stopped: number | undefined
        for (const end of [...cutsAt.filter((n) => n < bytes.length).sort((a, b) => a - b), bytes.length]) {
          appendFileSync(path, bytes.subarray(at, end))
          at = end
          grown.push(...(await follow(source, false, pieceBytes)))
          stopped ??= source.progress.position
        }
        grown.push(...(await follow(source, true, pieceBytes)))
        assertTiles(grown)
        assert.deepEqual(valuesOf(grown), valuesOf(whole), 'growing')
        // What the uploader says of it.
        const reader = open(path).open()
        const measured = await measure(reader, framing, 0, Number.POSITIVE_INFINITY)
        reader.close()
        assert.equal(measured.events, whole.length)
        for (const stored of [bytes, gzipSync(bytes), zstdCompressSync(bytes)]) {
          // A compressed copy, in the agent and in `try`.
          writeFileSync(`${path}.copy`, stored)
          const copy = new Source('s', path, framing, NOTHING_READ)
          copy.attach(open(`${path}.copy`))
          assert.deepEqual(valuesOf(await follow(copy, true, pieceBytes)), valuesOf(whole), 'copy')
          copy.release()
          const tried = await collect(cutEvents(streamOf(stored, pieceBytes), createCutter(framing, 0)))
          assert.deepEqual(valuesOf(tried), valuesOf(whole), 'try')
          // A chunk: all of it, and what Kafka has not carried.
          for (const from of [0, stopped ?? 0]) {
            const batches = readEvents(streamOf(stored, pieceBytes), 0, [[from, measured.size]], framing)
            const loaded = await collect(batches)
            assertTiles(loaded, from)
            const rest = grown.filter(([, position]) => position >= from)
            assert.deepEqual(valuesOf(loaded), valuesOf(rest), `chunk from ${from}`)
          }
        }
        source.release()
        for (const file of opened.splice(0)) file.close()
      },
    )
    await fc.assert(property, { numRuns: 60 })
  })
}
