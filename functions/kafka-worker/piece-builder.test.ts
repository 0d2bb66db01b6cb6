import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openCodec } from '../../shared/codec/index.ts'
import { loadConfig, type Route } from '../../shared/config/index.ts'
import { BatchBuilder } from '../../shared/kafka/index.ts'
import { SharedMemory } from '../../shared/kafka/memory.ts'
import { createRange, type RecordRange } from '../../shared/kafka/record-range.ts'
import { PieceBuilder } from './piece-builder.ts'
import { RowPool } from './row-pool.ts'

const FIELDS = [
  { name: 'id', type: 'INT64', mode: 'REQUIRED' },
  { name: 'name', type: 'STRING' },
  { name: 'at', type: 'TIMESTAMP' },
  { name: 'tags', type: 'STRING', mode: 'REPEATED' },
]
const EVENTS = [
  '{"id":7,"name":"a name","at":"2026-01-02T03:04:05.678Z","tags":["x","y"]}',
  '{"id":8,"name":"esc\\u00e4ped","stray":{"kept":[1,2,3]}}',
  '{"id":"no number"}',
  'no json at all',
  '',
]
const SOURCE = 'abcdefghijklmnopqrstuvwx23'
const ROUNDS = 200

function routeIn(folder: string): Route {
  writeFileSync(join(folder, 'schema.json'), JSON.stringify(FIELDS))
  const routes = { visits: { topic: 'visits', schema: 'schema.json', format: 'json', table: 'visits' } }
  const config = { name: 't', project: 'project', dataset: 'logs', kafka: { brokers: ['127.0.0.1:1'] }, routes }
  writeFileSync(join(folder, 'millrace.yaml'), JSON.stringify(config))
  return loadConfig(join(folder, 'millrace.yaml'), {}).routes['visits'] as Route
}

/** One batch, and the memory that it is in. */
async function fetched(codec: 'none' | 'zstd'): Promise<{ memory: Buffer; range: RecordRange }> {
  const builder = new BatchBuilder(1 << 20)
  const texts = Array.from({ length: ROUNDS }, () => EVENTS).flat()
  for (const [i, text] of texts.entries()) {
    const value = Buffer.from(text)
    const headers = text === '' ? [{ key: 'millrace-dead', value: Buffer.from('too_long') }] : undefined
    builder.append(Buffer.from(`${SOURCE}@${i * 100}+100`), value, 0, value.length, 1000, headers)
  }
  const { body, records } = await builder.seal(codec)
  const memory = Buffer.allocUnsafeSlow(body.length + Buffer.poolSize)
  body.copy(memory)
  const head = { topic: 'visits', partition: 0, records, compression: codec, endOffset: records }
  const offsets = { baseOffset: 0, firstOffset: 0, lastOffset: records - 1, baseTimestampMs: 1000 }
  const packed = memory.subarray(0, body.length)
  return {
    memory,
    range: createRange({ ...head, ...offsets, appendTimestampMs: undefined }, packed, new SharedMemory(memory)),
  }
}

for (const codec of ['none', 'zstd'] as const) {
  void test(`${codec}: rows and dead letters are copies: nothing of a piece is lost with the batch's memory`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const route = routeIn(folder)
    const build = async (release: boolean) => {
      const place = {
        route,
        codec: openCodec(route),
        at: { topic: 'visits', partition: 0 },
        pool: new RowPool(1 << 16),
      }
      const builder = new PieceBuilder(place, 1 << 24, new Map())
      const { memory, range } = await fetched(codec)
      await range.ready()
      assert.equal(builder.take(range, 0, 5000), ROUNDS * EVENTS.length)
      if (release) range.release()
      if (release) assert.equal(memory.length, 0)
      const { rows, letters, reasons, offsets } = builder.seal()
      // failed_at is the time of the letter
      return {
        rows: rows.slice().toString('hex'),
        letters: letters.map(({ length }) => length),
        texts: letters.map(eventIn),
        reasons,
        offsets,
      }
    }
    const [kept, released] = [await build(false), await build(true)]
    assert.equal(kept.offsets.length, 2 * ROUNDS)
    assert.equal(kept.letters.length, 3 * ROUNDS)
    assert.deepEqual(released, kept)
  })
}

void test('dead letters fill a piece as rows do', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const route = routeIn(folder)
  const at = { topic: 'visits', partition: 0 }
  const place = { route, codec: openCodec(route), at, pool: new RowPool(1 << 16) }
  const refused = new Map(Array.from({ length: ROUNDS * EVENTS.length }, (_, offset) => [offset, 'refused']))
  const builder = new PieceBuilder(place, 2000, refused)
  const { range } = await fetched('none')
  const next = builder.take(range, 0, 5000)
  const { rows, letters } = builder.seal()
  assert.deepEqual([rows.rows, letters.length, letters.length < 40], [0, next, true])
})

/** Which event's bytes a letter holds. */
function eventIn(letter: Buffer): string | undefined {
  return EVENTS.find((text) => text !== '' && letter.includes(text))
}
