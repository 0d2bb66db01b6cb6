import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rootOf } from '../../test/support/random-messages.ts'
import { decodeRows, NOWHERE, routeOf } from '../../test/support/rows.ts'
import { recordFromMessage } from '../schema/proto.ts'
import { type CodecRoute, compileRoute, type Rejection, RowBuffer } from './index.ts'

const PROTO = `
syntax = "proto2";
message M {
  required int32 id = 1;
  optional string name = 2;
  repeated int32 packed = 3 [packed = true];
  repeated int32 loose = 4;
  optional group G = 5 { optional int32 a = 6; optional M again = 7; }
  optional bool flag = 8;
  optional Inner inner = 9;
  map<string, int32> counts = 10;
  oneof choice { string left = 11; int32 right = 12; }
  optional uint32 size = 13;
  optional google.protobuf.Timestamp at = 14;
  repeated E kinds = 15;
  optional sint64 delta = 16;
}
message Inner { required string key = 1; optional double value = 2; }
enum E { ZERO = 0; ONE = 1; }
`
const record = recordFromMessage(rootOf(PROTO).lookupType('M'), 'test')
const keep = compileRoute(routeOf({ format: 'protobuf' }), record)

type Row = Record<string, unknown>

function read(bytes: readonly number[], codec = keep): Row | Rejection {
  const out = new RowBuffer(64)
  const input = Buffer.from([0xff, ...bytes, 0x08, 0x07])
  const rejection = codec.encode(input, 1, 1 + bytes.length, NOWHERE, out)
  if (rejection) return rejection
  const [{ millrace: _, ...row } = {}] = decodeRows(codec, out)
  return row as Row
}

const reason = (bytes: readonly number[], route?: Partial<CodecRoute>) => {
  const codec = route && compileRoute(routeOf({ format: 'protobuf', ...route }), record)
  const answer = read(bytes, codec)
  return 'reason' in answer
    ? [answer['reason'], answer['field']].filter((part) => part !== undefined).join(' ')
    : answer
}

const ID = [0x08, 1]

test('what is not protobuf is refused', () => {
  for (const bad of [
    [0x08],
    [0x08, 0x80],
    [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
    [0x12, 5, 0x61],
    [0x12, 0xff, 0xff, 0xff, 0xff, 0x0f],
    [0x00, 1],
    [0x0f, 1],
    [0x2c],
    [0x2b, 0x30, 1],
    [0x2b, 0x30, 1, 0x34],
    [0x1a, 2, 0x80, 0x80],
    [0x72, 1, 0x08],
    [0xf9, 0x07, 1, 2],
    [0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  ]) {
    assert.match(String(reason([...ID, ...bad])), /^wire_format/, Buffer.from(bad).toString('hex'))
  }
})

test('text must be UTF-8, required fields there, moments within the years 1 to 9999', () => {
  assert.equal(reason([...ID, 0x12, 2, 0xc3, 0x28]), 'invalid_utf8 name')
  assert.equal(reason([0x12, 1, 0x61]), 'missing_required id')
  assert.equal(reason([...ID, 0x4a, 0]), 'missing_required inner.key')
  assert.equal(
    reason([...ID, 0x72, 6, 0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40].map((b, i) => (i === 3 ? 7 : b)).concat(1)),
    'out_of_range at',
  )
})

test('lists are taken packed and not, whatever the schema says', () => {
  const expected = { id: '1', packed: ['1', '2', '-1'], loose: ['3', '4'] }
  const minus = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]
  assert.deepEqual(read([...ID, 0x1a, 12, 1, 2, ...minus, 0x20, 3, 0x20, 4]), expected)
  assert.deepEqual(read([...ID, 0x18, 1, 0x18, 2, 0x18, ...minus, 0x22, 2, 3, 4]), expected)
  assert.deepEqual(read([...ID, 0x7a, 2, 0, 1, 0x78, 1]), { id: '1', kinds: ['ZERO', 'ONE', 'ONE'] })
  assert.deepEqual(read([...ID, 0x1a, 0, 0x22, 0]), { id: '1' })
})

test('numbers of 32 bits are cut like a parser cuts them', () => {
  const long = [0x81, 0x80, 0x80, 0x80, 0xf0, 0xff, 0xff, 0xff, 0x7f]
  assert.deepEqual(read([0x08, ...long, 0x68, ...long, 0x40, 0x80, 1]), { id: '1', size: '1', flag: true })
  assert.deepEqual(read([0x08, 0xff, 0xff, 0xff, 0xff, 0x0f]), { id: '-1' })
})

test('the last of a singular field counts, messages are merged, of a oneof and a key the last', () => {
  assert.deepEqual(read([...ID, 0x08, 2, 0x12, 1, 0x61, 0x12, 1, 0x62]), { id: '2', name: 'b' })
  assert.deepEqual(read([...ID, 0x4a, 3, 0x0a, 1, 0x6b, 0x4a, 9, 0x11, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]), {
    id: '1',
    inner: { key: 'k', value: 1 },
  })
  assert.deepEqual(read([...ID, 0x5a, 1, 0x61, 0x60, 7]), { id: '1', right: '7' })
  const entry = (value: number) => [0x52, 5, 0x0a, 1, 0x61, 0x10, value]
  assert.deepEqual(read([...ID, ...entry(1), 0x52, 0, ...entry(2)]), {
    id: '1',
    counts: [
      { key: '', value: '0' },
      { key: 'a', value: '2' },
    ],
  })
})

test('groups become records; a group in itself is JSON', () => {
  assert.deepEqual(read([...ID, 0x2b, 0x30, 5, 0x2c]), { id: '1', g: { a: '5' } })
  assert.deepEqual(read([...ID, 0x2b, 0x3a, 2, 0x08, 9, 0x2c]), { id: '1', g: { again: '{"id":9}' } })
  assert.deepEqual(read([...ID, 0x2b, 0x30, 5, 0x2c, 0x2b, 0x30, 6, 0x2c]), { id: '1', g: { a: '6' } })
})

test('unknown fields are kept as a message in base64, dropped, or refused', () => {
  const unknown = [0xa8, 0x06, 1, 0xab, 0x06, 0xac, 0x06]
  const kept = JSON.stringify({ protobuf: Buffer.from(unknown).toString('base64') })
  assert.deepEqual(read([...unknown.slice(0, 3), ...ID, ...unknown.slice(3)]), { id: '1', extra: kept })
  assert.deepEqual(read([...ID, 0x4a, 6, 0x0a, 1, 0x6b, ...unknown.slice(0, 3)]), {
    id: '1',
    inner: { key: 'k' },
    extra: '{"inner.protobuf":"qAYB"}',
  })
  assert.deepEqual(reason([...ID, ...unknown], { unknown: 'drop' }), { id: '1' })
  assert.equal(reason([...ID, ...unknown], { unknown: 'reject' }), 'unknown_field 101')
  assert.deepEqual(
    read([...ID, 0x10, 5]),
    { id: '1', extra: '{"protobuf":"EAU="}' },
    'a wrong wire type is unknown, too',
  )
})

test('depth is limited', () => {
  const deep = Array.from({ length: 120 }, () => 0xab).flatMap((byte) => [byte, 0x06])
  assert.equal(reason([...ID, ...deep]), 'wire_format')
})
