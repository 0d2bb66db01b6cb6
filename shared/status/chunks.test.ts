import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Bucket, encodeMetadata, encodeState, type ObjectView, type Ranges, STATE_KEY } from '../chunks/index.ts'
import { parseConfig } from '../config/index.ts'
import { askChunks } from './index.ts'

const HOUR_MS = 3_600_000
/** Far from midnight. */
const NOW = Date.parse('2026-01-15T12:00:00Z')
const CONFIG = parseConfig(
  `{ project: p, dataset: d, bucket: bucket, agent: { finish_after: 1m, handover_after: 1h },
     routes: { lines: { format: raw, table: a }, web: { format: raw, table: b, prefix: foreign/ } } }`,
  '/millrace.yaml',
)

function object(name: string, ageMs: number, metadata: Record<string, string> = {}): ObjectView {
  const createdMs = NOW - ageMs
  return { name, generation: '1', metageneration: '1', size: 1, createdMs, metadata }
}

/** Of an agent, first read on a day that is so long ago. */
function chunk(letter: string, daysAgo: number, ageMs: number, ranges: Ranges, more: Record<string, string> = {}) {
  const day = new Date(NOW - daysAgo * 24 * HOUR_MS).toISOString().slice(0, 10).replaceAll('-', '/')
  const plain = { route: 'lines', format: 'raw', framing: 'lines', agent: 'host', path: '/a.log', source: letter }
  const rest = { start: 0, size: 5, events: 1, ranges, crc32c: '00000000' }
  return object(`lines/${day}/host/${letter}`, ageMs, { ...encodeMetadata({ ...plain, ...rest }), ...more })
}

/** In the order of names, and no more than is asked for. */
function bucketOf(objects: readonly ObjectView[]): Bucket {
  const sorted = objects.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  async function* list(prefix: string) {
    for (const found of sorted) if (found.name.startsWith(prefix)) yield found
  }
  const refuse = () => Promise.reject(new Error('only the listing is needed'))
  const read = () => {
    throw new Error('only the listing is needed')
  }
  return { name: 'bucket', list, stat: refuse, upload: refuse, patch: refuse, read }
}

const committed = (name: string) => ({
  [STATE_KEY]: encodeState(`bucket/${name}#1`, { state: 'committed', rows: 1, deadLetters: 0 }),
})

test('objects by what is to be done about them, the latest day first; late is what should be done by now', async (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: NOW })
  const objects = [
    chunk('a', 0, 0, [], committed(chunk('a', 0, 0, []).name)),
    chunk('b', 3, 2 * HOUR_MS, 'undecided'),
    chunk('c', 1, HOUR_MS, 'undecided'),
    chunk('d', 2, 2 * HOUR_MS, []),
    chunk('e', 4, 0, [], { 'millrace-start': 'nowhere' }),
    chunk('f', 20, 9 * HOUR_MS, 'undecided'),
    object('lines/notes.txt', 9 * HOUR_MS),
    object('foreign/access.log', 2 * HOUR_MS, committed('foreign/another.log')),
    object('foreign/folder/', 2 * HOUR_MS),
  ]
  const { listed, ...counts } = await askChunks(bucketOf(objects), CONFIG, 14)
  const since = new Date(NOW - 13 * 24 * HOUR_MS).toISOString().slice(0, 10)
  assert.deepEqual(counts, { since, seen: 6, undecided: 2, waiting: 2, failed: 1 })
  assert.deepEqual(
    listed.map(({ object, state, late, reason }) => [object.slice(-1), state, late, reason]),
    [
      ['c', 'undecided', false, undefined],
      ['d', 'waiting', true, undefined],
      ['b', 'undecided', true, undefined],
      ['e', 'failed', true, 'broken metadata: millrace-start is nowhere, not a whole number'],
      ['g', 'waiting', true, undefined],
    ],
  )
})

test('the listing is bounded, and says where it was cut', async (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: NOW })
  const one = chunk('a', 0, 0, 'undecided')
  const many = Array.from({ length: 20_001 }, (_, n) => ({ ...one, name: `${one.name}${String(n).padStart(6, '0')}` }))
  const { seen, undecided, listed, cut } = await askChunks(bucketOf(many), CONFIG, 1)
  assert.deepEqual([seen, undecided, listed.length, cut], [20_000, 20_000, 1000, many.at(-1)?.name])
})
