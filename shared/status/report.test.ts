import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OpenChunk } from './chunks.ts'
import { type Limits, type SourceStatus, type StatusReport, wrongs } from './report.ts'

const LIMITS: Limits = { lateMs: 300_000, deadLettersMax: 0, needsKafka: true }

const SOURCE: SourceStatus = {
  source: 'a',
  route: 'r',
  path: '/a.log',
  position: 0,
  size: 9,
  lag_bytes: 9,
  lag_seconds: 300,
  carrier: 'kafka',
  finished: false,
  chunks: [],
}
const AGENT = { agent: 'host', in_touch: 1, lag_bytes: 0, lag_seconds: 0, open: [SOURCE] }
const PARTITION = { topic: 't', partition: 0, committed: 5, start: 0, end: 9, lag: 4, late: 0 }
const CONSUMER = { group: 'g', members: 1, partitions: [PARTITION], missing: [] }
const CHUNK: OpenChunk = { object: 'o', state: 'undecided', age_seconds: 1, late: false }
const CHUNKS = { since: '2026-01-01', seen: 3, undecided: 1, waiting: 1, failed: 0, listed: [CHUNK] }
const LETTERS = [{ route: 'r', reason: 'x', letters: 2, last: '' }]

const of = (report: Partial<StatusReport>, limits: Partial<Limits> = {}) =>
  wrongs({ unreachable: {}, ...report }, { ...LIMITS, ...limits })

test('what is under way is not wrong', () => {
  assert.deepEqual(of({}), [])
  assert.deepEqual(of({ agent: AGENT, consumer: CONSUMER, chunks: CHUNKS, dead_letters: [], positions: [] }), [])
  assert.deepEqual(of({ agent: { ...AGENT, in_touch: 0 } }, { needsKafka: false }), [])
  assert.deepEqual(of({ dead_letters: LETTERS }, { deadLettersMax: 2 }), [])
  const none = { ...PARTITION, committed: null, start: 3 }
  assert.deepEqual(of({ consumer: { ...CONSUMER, partitions: [none] } }), [], 'nothing was taken, nothing was lost')
})

test('each thing that is wrong has a sentence', () => {
  const partition = (change: Partial<typeof PARTITION>, members = 1) =>
    of({ consumer: { ...CONSUMER, members, partitions: [{ ...PARTITION, ...change }] } })
  const chunk = (change: Partial<OpenChunk>) => of({ chunks: { ...CHUNKS, listed: [{ ...CHUNK, ...change }] } })
  const cases: [found: string[], expected: string][] = [
    [of({ unreachable: { chunks: 'no answer' } }), 'chunks cannot be asked'],
    [of({ agent: { ...AGENT, in_touch: 0 } }), 'agent host is not in touch with Kafka'],
    [
      of({ agent: { ...AGENT, open: [{ ...SOURCE, lag_seconds: 301 }] } }),
      'agent host: 9 bytes of /a.log have waited for 301 s',
    ],
    [of({ consumer: { ...CONSUMER, missing: ['gone'] } }), 'topic gone is not in Kafka'],
    [partition({ start: 7 }), 't/0: Kafka has deleted 2 records that group g has not taken'],
    [partition({ committed: 10 }), 't/0: group g stands behind the end of the topic'],
    [partition({ late: 3 }), 't/0: 3 records have waited for more than 300 s for group g'],
    [partition({ late: 3 }, 0), 't/0: 3 records have waited for more than 300 s for group g, which has no member now'],
    [of({ chunks: { ...CHUNKS, failed: 2 } }), 'chunks: 2 could not be loaded'],
    [chunk({ late: true }), 'chunks: 1 should be decided by now'],
    [chunk({ late: true, state: 'waiting' }), 'chunks: 1 should be committed by now'],
    [of({ dead_letters: LETTERS }), 'dead letters: 2 events of the last day have no row'],
  ]
  for (const [found, expected] of cases) assert.deepEqual(found, [expected])
})
