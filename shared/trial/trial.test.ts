import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { parseConfig } from '../config/index.ts'
import { UserError } from '../errors.ts'
import { type Outcome, tryEvents } from './index.ts'

const TOO_LONG = 'longer than an event may be (agent.max_event_bytes; kafka-push: 9 MiB)'
const COLUMNS = [
  ['i', 'INT64'],
  ['f', 'FLOAT64'],
  ['b', 'BOOL'],
  ['s', 'STRING'],
  ['y', 'BYTES'],
  ['n', 'NUMERIC'],
  ['big', 'BIGNUMERIC'],
  ['ts', 'TIMESTAMP'],
  ['d', 'DATE'],
  ['t', 'TIME'],
  ['dt', 'DATETIME'],
  ['j', 'JSON'],
] as const
const SCHEMA = [
  ...COLUMNS.map(([name, type]) => ({ name, type })),
  { name: 'list', type: 'INT64', mode: 'REPEATED' },
  {
    name: 'r',
    type: 'RECORD',
    fields: [
      { name: 'x', type: 'DATE', mode: 'REPEATED' },
      { name: 'ünder-score', type: 'STRING' },
    ],
  },
]
const PROTO = `syntax = "proto3";
import "google/protobuf/timestamp.proto";
import "bq_field.proto";
message E {
  sint32 a = 1; uint64 u = 2; google.protobuf.Timestamp at = 3; map<string, int64> m = 4; repeated double l = 5;
  int64 packed = 6 [(gen_bq_schema.bigquery).type_override = "DATETIME"];
  int64 time = 7 [(gen_bq_schema.bigquery).type_override = "TIME"];
}`

function routeIn(t: TestContext, yaml: string) {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-trial-'))
  t.after(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 's.json'), JSON.stringify(SCHEMA))
  writeFileSync(join(folder, 'e.proto'), PROTO)
  const text = `{ project: p, dataset: d, bucket: bbb, routes: { x: { ${yaml}, table: x } } }`
  const route = parseConfig(text, join(folder, 'millrace.yaml')).routes['x']
  assert.ok(route)
  return async (...pieces: Buffer[]): Promise<Outcome[]> => {
    const outcomes = await Array.fromAsync(
      tryEvents(route, Readable.from(pieces), { source: 'f', maxEventBytes: 4096 }),
    )
    for (const outcome of outcomes) {
      if (!('row' in outcome)) continue
      const { millrace } = outcome.row as { millrace: Record<string, unknown> }
      assert.match(String(millrace['ingested_at']), /^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
      delete millrace['ingested_at']
    }
    return outcomes
  }
}

const place = (position: number, size: number) => ({ source: 'f', position: String(position), size: String(size) })

test('every type in the form of query', async (t) => {
  const run = routeIn(t, 'schema: s.json')
  const line =
    '{"i":"9223372036854775807","f":-1.5,"b":false,"s":"ü","y":"AQI=","n":1.50,"big":1e20,"ts":"2024-01-02T03:04:05+01:00","d":"1969-12-31","t":"1:02:03.5","dt":"2024-1-2 3:04:05","j":{"a": [1]},"list":[0,-1],"r":{"x":["0001-01-01"]},"more":1}'
  assert.deepEqual(await run(Buffer.from(line)), [
    {
      row: {
        i: '9223372036854775807',
        f: -1.5,
        b: false,
        s: 'ü',
        y: 'AQI=',
        n: '1.5',
        big: '100000000000000000000',
        ts: '2024-01-02T02:04:05.000000Z',
        d: '1969-12-31',
        t: '01:02:03.5',
        dt: '2024-01-02T03:04:05',
        j: '{"a": [1]}',
        list: ['0', '-1'],
        r: { x: ['0001-01-01'] },
        extra: '{"more":1}',
        millrace: place(0, Buffer.byteLength(line)),
      },
    },
  ])
})

test('NULL and empty arrays are left out; names beyond ASCII, special doubles and the ends of time are kept', async (t) => {
  const run = routeIn(t, 'schema: s.json')
  const lines = [
    '{"list":[],"i":null}',
    '{"r":{"ünder-score":"x"},"f":"NaN","ts":"0001-01-01T00:00:00Z"}',
    '{"f":"-inf","ts":"9999-12-31T23:59:59.999999Z"}',
  ]
  const rows = (await run(Buffer.from(lines.join('\n')))).map((outcome) => {
    assert.ok('row' in outcome)
    const { millrace, ...row } = outcome.row as { millrace: unknown }
    assert.ok(millrace)
    return row
  })
  assert.deepEqual(rows, [
    {},
    { r: { 'ünder-score': 'x' }, f: 'NaN', ts: '0001-01-01T00:00:00.000000Z' },
    { f: '-Infinity', ts: '9999-12-31T23:59:59.999999Z' },
  ])
})

test('protobuf: lengths between events, packed civil times, maps as records', async (t) => {
  const run = routeIn(t, 'schema: "e.proto#E", format: protobuf')
  // a: -1; u: 2^64-1; packed: 2024-01-02T03:04:05.000006; time: 03:04:05
  const civil = (2024n << 46n) | (1n << 42n) | (2n << 37n) | (3n << 32n) | (4n << 26n) | (5n << 20n) | 6n
  const event = Buffer.concat([
    Buffer.from('080110ffffffffffffffffff01', 'hex'),
    varint(6n * 8n),
    varint(civil),
    varint(7n * 8n),
    varint((3n << 32n) | (4n << 26n) | (5n << 20n)),
  ])
  const [outcome] = await run(Buffer.concat([varint(BigInt(event.length)), event]))
  assert.deepEqual(outcome, {
    row: {
      a: '-1',
      u: '18446744073709551615',
      packed: '2024-01-02T03:04:05.000006',
      time: '03:04:05',
      millrace: place(0, event.length + 1),
    },
  })
})

function varint(value: bigint): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  return Buffer.from([...bytes, Number(rest)])
}

test('one bad event is a dead letter with its bytes and place, and harms no neighbour', async (t) => {
  const run = routeIn(t, 'schema: s.json')
  const outcomes = await run(Buffer.from(`{"i":1}\n\n{"i":"x"}\n${'y'.repeat(5000)}\n{"i":2}\n`))
  assert.deepEqual(outcomes, [
    { row: { i: '1', millrace: place(0, 9) } },
    {
      deadLetter: {
        reason: 'invalid_value',
        route: 'x',
        field: 'i',
        message: 'i: a value that the field cannot be read from',
        bytes: Buffer.from('{"i":"x"}').toString('base64'),
        ...place(9, 10),
      },
    },
    { deadLetter: { reason: 'too_long', route: 'x', message: TOO_LONG, ...place(19, 5001) } },
    { row: { i: '2', millrace: place(5020, 8) } },
  ])
})

test('gzip and zstd give what the plain file gives, in any pieces; a cut copy is said to be one', async (t) => {
  const run = routeIn(t, 'format: raw')
  const plain = Buffer.from('one\r\ntwo\nthree')
  const expected = await run(plain)
  assert.equal(expected.length, 3)
  for (const copy of [gzipSync(plain), zstdCompressSync(plain), plain]) {
    assert.deepEqual(await run(copy), expected)
    assert.deepEqual(await run(...Array.from(copy, (byte) => Buffer.from([byte]))), expected)
  }
  await assert.rejects(
    run(gzipSync(plain).subarray(0, -4)),
    (error) => error instanceof UserError && /cannot be decompressed/.test(error.message),
  )
})
