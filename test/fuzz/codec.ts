/**
 * The codec against what nobody would send: `npm run fuzz -- codec [--cases N] [--inputs N] [--seed N]`.
 * `--cases` random schemas with messages must give the rows of the slow mapper, from both forms (default 100,000);
 * `--inputs` mutated and random events must become rows or refusals of the closed list, without a look at the bytes
 * around them (default 10,000,000). Exits 1 at the first violation, with what repeats it.
 */
import assert from 'node:assert/strict'
import { parseArgs } from 'node:util'
import fc from 'fast-check'
import { compileRoute, REASONS, RowBuffer, type RowCodec } from '../../shared/codec/index.ts'
import type { RecordType } from '../../shared/schema/index.ts'
import { recordFromTableSchema } from '../../shared/schema/bigquery.ts'
import { recordFromMessage } from '../../shared/schema/proto.ts'
import { checkMerge, checkSample } from '../support/codec-properties.ts'
import { jsonOf, rootOf, samples } from '../support/random-messages.ts'
import { withoutCompiling } from '../support/without-compiling.ts'
import { decodeRows, HERE, NOWHERE, routeOf } from '../support/rows.ts'

const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '100000' },
    inputs: { type: 'string', default: '10000000' },
    seed: { type: 'string', default: String(Date.now() & 0x7fffffff) },
  },
})
const SEED = Number(values.seed)
/** Every so many inputs are encoded again amid other bytes, and their rows decoded. */
const CHECK_EVERY = 16

interface Target {
  readonly name: string
  readonly codec: RowCodec
  /** The same without compiled functions; undefined: it has none. */
  readonly general?: RowCodec
  readonly corpus: readonly Buffer[]
}

const PROTO = `syntax = "proto3"; enum E { ZERO = 0; ONE = 1; }
message Leaf { string name = 1; int32 n = 2; repeated Leaf more = 3; }
message M { int64 a = 1; string b = 2; repeated int32 c = 3; map<string, Leaf> d = 4; E e = 5; google.protobuf.Timestamp f = 6;
  Leaf g = 7; repeated Leaf h = 8; oneof o { string i = 9; Leaf j = 10; } optional double k = 11; sint64 l = 12; fixed64 m = 13;
  google.protobuf.Int32Value n = 14; bool p = 15; bytes q = 16; google.protobuf.Duration r = 17; google.protobuf.Struct s = 18;
  repeated string t = 19; float u = 300; google.protobuf.FieldMask v = 301; repeated E w = 302; google.protobuf.Any x = 303; map<int64, bool> y = 304; }`

const PLAIN = `syntax = "proto3"; message P { int64 a = 1; string b = 2; bool c = 3; string d_e = 4; int32 f = 5; double g = 6; bytes h = 7;
  float i = 8; uint32 j = 9; uint64 k = 15; string l = 16; string m = 17; int64 n = 2047; string o = 2048; }`

const PLAIN_MESSAGES = [
  {
    a: 5,
    b: 'text',
    c: true,
    d_e: 'more',
    f: 70_000,
    g: -0.25,
    h: Buffer.from([1, 255]),
    i: 1.5,
    j: 9,
    k: 10_000_000_000,
  },
  { a: -1, b: 'é😀', d_e: 'x'.repeat(130), f: -7, j: 4_000_000_000, l: 'long', m: 'ü', n: 3, o: 'far' },
  { b: '', c: true, l: 'only', g: 1e300 },
]

const COLUMNS = [
  'STRING',
  'BYTES',
  'INT64',
  'FLOAT64',
  'BOOL',
  'TIMESTAMP',
  'DATE',
  'TIME',
  'DATETIME',
  'NUMERIC',
  'BIGNUMERIC',
  'JSON',
  'GEOGRAPHY',
  'INTERVAL',
]

const LOADED = {
  string: 'text é 😀',
  bytes: 'AQID',
  int64: '-9007199254740993',
  float64: 1.5e-7,
  bool: true,
  timestamp: '2024-02-29 12:13:14.123456 UTC',
  date: '2024-02-29',
  time: '12:13:14.5',
  datetime: '2024-02-29T12:13:14',
  numeric: '123.456789',
  bignumeric: '1e20',
  json: { a: [1, null, 'x\u0000"'] },
  geography: 'POINT(1 2)',
  interval: '1-2 3 4:5:6',
  list: [{ x: 1 }, { x: '2', more: { deep: [] } }],
}

const LINE =
  '83.149.9.216 - frank [17/May/2015:10:05:03 +0000] "GET /a?b=\\"c HTTP/1.1" 200 203023 "http://x/" "Mozilla/5.0 \\x41"'

function targets(): Target[] {
  const type = rootOf(PROTO).lookupType('M')
  const message = recordFromMessage(type, 'fuzz')
  const plain = rootOf(PLAIN).lookupType('P')
  const plainWires = PLAIN_MESSAGES.map((fields) => Buffer.from(plain.encode(fields).finish()))
  const [wires] = fc.sample(fc.constant(messagesOf(type)), 1)
  const columns = [
    ...COLUMNS.map((name) => ({ name: name.toLowerCase(), type: name })),
    { name: 'list', type: 'RECORD', mode: 'REPEATED', fields: [{ name: 'x', type: 'INT64' }] },
  ]
  const table = recordFromTableSchema(columns, 'fuzz', 'fuzz')
  const flat = recordFromTableSchema(
    columns.filter((column) => column.type !== 'RECORD'),
    'flat',
    'fuzz',
  )
  const logfmt =
    'string="a b" int64=7 bool float64=1.5 timestamp=2024-01-02T03:04:05Z numeric=1.25 other="x\\ty" time=1:02:03'
  const pattern = '(?<timestamp>[^ ]+) (?<int64>\\d+) (?<string>.*)'
  const conversion = { type: 'timestamp' as const, format: '%d/%b/%Y:%H:%M:%S%z' }
  const text = (line: string) => [Buffer.from(line)]
  return [
    { name: 'protobuf', ...twice({ format: 'protobuf' }, message), corpus: wires ?? [] },
    { name: 'proto json', ...twice({}, message), corpus: (wires ?? []).map((wire) => jsonOf(type, wire)) },
    { name: 'plain protobuf', ...twice({ format: 'protobuf' }, recordFromMessage(plain, 'plain')), corpus: plainWires },
    {
      name: 'plain json',
      ...twice({}, recordFromMessage(plain, 'plain')),
      corpus: plainWires.map((wire) => jsonOf(plain, wire)),
    },
    {
      name: 'table json',
      ...twice({}, table),
      corpus: [Buffer.from(JSON.stringify(LOADED)), Buffer.from(JSON.stringify(LOADED, null, 1))],
    },
    { name: 'combined', codec: compileRoute(routeOf({ format: 'text', preset: 'combined' })), corpus: text(LINE) },
    {
      name: 'common',
      codec: compileRoute(routeOf({ format: 'text', preset: 'common' })),
      corpus: text(LINE.split(' "http')[0] ?? ''),
    },
    { name: 'logfmt', codec: compileRoute(routeOf({ format: 'text', preset: 'logfmt' }), flat), corpus: text(logfmt) },
    {
      name: 'pattern',
      codec: compileRoute(routeOf({ format: 'text', pattern, convert: { timestamp: conversion } }), flat),
      corpus: text('17/May/2015:10:05:03+0000 7 the rest é'),
    },
    { name: 'raw', codec: compileRoute(routeOf({ format: 'raw' })), corpus: text('any é line 😀') },
  ]
}

function twice(route: Parameters<typeof routeOf>[0], record: RecordType): Pick<Target, 'codec' | 'general'> {
  const make = () => compileRoute(routeOf(route), record)
  return { codec: make(), general: withoutCompiling(make) }
}

function messagesOf(
  type: ReturnType<typeof rootOf>['lookupType'] extends (path: string) => infer T ? T : never,
): Buffer[] {
  const leaf = { name: 'léaf', n: -5, more: [{ name: 'x' }] }
  const full = {
    a: 5,
    b: 'text',
    c: [1, -2, 3],
    d: { k: leaf },
    e: 1,
    f: { seconds: 1_700_000_000, nanos: 5 },
    g: leaf,
    h: [leaf, {}],
    i: 'one',
    k: -0.5,
    l: -7,
    m: 9,
    n: { value: -1 },
    p: true,
    q: Buffer.from([0, 255]),
    r: { seconds: 5, nanos: 1 },
    t: ['a', '😀'],
    u: 1.5,
    v: { paths: ['a_b', 'c'] },
    w: [0, 1, 7],
    y: { 5: true },
  }
  const struct = {
    fields: { a: { numberValue: 1 }, b: { stringValue: 'x' }, c: { listValue: { values: [{ boolValue: true }] } } },
  }
  const withStruct = type.fromObject({ b: 'y', j: leaf, s: struct })
  return [full, { a: 1 }, { b: 'x'.repeat(200), h: [leaf, leaf] }]
    .map((message) => Buffer.from(type.encode(message).finish()))
    .concat(Buffer.from(type.encode(withStruct).finish()))
}

/** Marsaglia's xorshift32: fast, and repeatable from its seed. */
function random(seed: number): (below: number) => number {
  let state = seed | 1
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

const SPECIAL = Buffer.from('"\\{}[],:0123456789-+.eEntfu \n\t\u0000=/%')

/** A mutation of an event, in the middle of `room`; answers its length. */
function mutate(event: Buffer, other: Buffer, room: Buffer, at: number, next: (below: number) => number): number {
  let length = event.copy(room, at)
  for (let edits = 1 + next(3); edits > 0; edits--) {
    const spot = at + next(length + 1)
    const tail = at + length - spot
    const kind = next(8)
    if (kind < 2 && tail > 0) room[spot] = next(256)
    else if (kind === 2 && tail > 0) room[spot] = SPECIAL[next(SPECIAL.length)] as number
    else if (kind === 3 && tail > 0) room[spot] = (room[spot] as number) ^ (1 << next(8))
    else if (kind === 4) length = spot - at
    else if (kind === 5 && length < 2000) {
      room.copyWithin(spot + 1, spot, spot + tail)
      room[spot] = SPECIAL[next(SPECIAL.length)] as number
      length++
    } else if (kind === 6 && tail > 1) {
      const cut = 1 + next(Math.min(tail - 1, 8))
      room.copyWithin(spot, spot + cut, spot + tail)
      length -= cut
    } else if (other.length > 0 && length + other.length < 2000) {
      const from = next(other.length)
      const size = 1 + next(Math.min(other.length - from, 40))
      room.copyWithin(spot + size, spot, spot + tail)
      other.copy(room, spot, from, from + size)
      length += size
    }
  }
  return length
}

const KNOWN = new Set<string>(Object.keys(REASONS))

const compiledOut = new RowBuffer(1 << 16)
const generalOut = new RowBuffer(1 << 16)

/** The same row, or the same refusal, with compiled functions and without. */
function checkGeneral({ codec, general }: Target, room: Buffer, at: number, length: number): void {
  if (!general) return
  compiledOut.clear()
  generalOut.clear()
  const rejection = codec.encode(room, at, at + length, HERE, compiledOut)
  assert.deepEqual(general.encode(room, at, at + length, HERE, generalOut), rejection)
  assert.ok(generalOut.slice().equals(compiledOut.slice()), 'another row without compiled functions')
}

function checkInput(
  target: Target,
  room: Buffer,
  at: number,
  length: number,
  out: RowBuffer,
  thorough: boolean,
): boolean {
  out.clear()
  const rejection = target.codec.encode(room, at, at + length, NOWHERE, out)
  assert.ok(rejection === undefined || KNOWN.has(rejection.reason))
  assert.equal(out.rows, rejection ? 0 : 1)
  if (rejection) assert.equal(out.length, 0)
  checkGeneral(target, room, at, length)
  if (!thorough) return rejection === undefined
  if (!rejection) decodeRows(target.codec, out)
  const again = new RowBuffer(64)
  const alone = Buffer.from(room.subarray(at, at + length))
  assert.deepEqual(target.codec.encode(alone, 0, length, NOWHERE, again), rejection)
  assert.ok(again.slice().equals(out.slice()), 'the row depends on the bytes around the event')
  return rejection === undefined
}

function fuzzInputs(count: number): void {
  const next = random(SEED)
  const all = targets()
  const out = new RowBuffer(1 << 16)
  const room = Buffer.alloc(4096, '"')
  const rows = new Map<string, number>()
  for (let i = 0; i < count; i++) {
    const target = all[i % all.length] as Target
    const event = target.corpus[next(target.corpus.length)] as Buffer
    const other = all[next(all.length)]?.corpus[0] as Buffer
    const length = mutate(event, other, room, 100, next)
    try {
      if (checkInput(target, room, 100, length, out, i % CHECK_EVERY === 0))
        rows.set(target.name, (rows.get(target.name) ?? 0) + 1)
    } catch (error) {
      console.error(
        `input ${i} of seed ${SEED}, ${target.name}: ${JSON.stringify(room.toString('latin1', 100, 100 + length))}`,
      )
      throw error
    }
    if ((i + 1) % 1_000_000 === 0) console.log(`${i + 1} inputs`)
  }
  for (const { name } of all)
    console.log(`${name}: ${rows.get(name) ?? 0} of ${Math.ceil(count / all.length)} inputs became rows`)
}

console.log(`seed ${SEED}`)
const began = Date.now()
const both = (sample: Parameters<typeof checkSample>[0]) => {
  checkSample(sample)
  checkMerge(sample)
}
fc.assert(fc.property(samples, both), {
  numRuns: Number(values.cases),
  seed: SEED,
  interruptAfterTimeLimit: 24 * 3_600_000,
})
console.log(`${values.cases} schemas with their messages, ${Math.round((Date.now() - began) / 1000)} s`)
fuzzInputs(Number(values.inputs))
console.log(`${values.inputs} inputs, ${Math.round((Date.now() - began) / 1000)} s in all`)
