import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeRows, NOWHERE, routeOf } from '../../test/support/rows.ts'
import { recordFromTableSchema } from '../schema/bigquery.ts'
import { type CodecRoute, compileRoute, type Rejection, RowBuffer } from './index.ts'

const TABLE = [
  { name: 'id', type: 'INT64' },
  { name: 'name', type: 'STRING' },
  { name: 'at', type: 'TIMESTAMP' },
  { name: 'day', type: 'DATE' },
  { name: 'time', type: 'TIME' },
  { name: 'local', type: 'DATETIME' },
  { name: 'price', type: 'NUMERIC' },
  { name: 'big', type: 'BIGNUMERIC' },
  { name: 'ratio', type: 'FLOAT64' },
  { name: 'ok', type: 'BOOL' },
  { name: 'blob', type: 'BYTES' },
  { name: 'doc', type: 'JSON' },
  { name: 'tags', type: 'STRING', mode: 'REPEATED' },
  {
    name: 'items',
    type: 'RECORD',
    mode: 'REPEATED',
    fields: [
      { name: 'x', type: 'INT64', mode: 'REQUIRED' },
      { name: 'y', type: 'FLOAT64' },
    ],
  },
]

function codecOf(route: Partial<CodecRoute> = {}) {
  return compileRoute(routeOf(route), recordFromTableSchema(TABLE, 'table', 'test'))
}

type Row = Record<string, unknown>

/** The row of an event, or why there is none. */
function readWith(codec: ReturnType<typeof codecOf>, json: string | Buffer): Row | Rejection {
  const out = new RowBuffer(64)
  const bytes = Buffer.from(json as string)
  const rejection = codec.encode(bytes, 0, bytes.length, NOWHERE, out)
  if (rejection) return rejection
  const [{ millrace: _, ...row } = {}] = decodeRows(codec, out)
  return row as Row
}

const keep = codecOf()
const read = (json: string | Buffer) => readWith(keep, json)
const reason = (json: string | Buffer) => {
  const answer = read(json)
  return 'reason' in answer ? answer['reason'] : answer
}
const micros = (iso: string) => String(BigInt(Date.parse(iso)) * 1000n)

test('what BigQuery loads from JSON is loaded', () => {
  const at = micros('2018-08-19T12:11:35.220Z')
  for (const text of [
    '2018-08-19 12:11:35.220 UTC',
    '2018-08-19T12:11:35.22Z',
    '2018-08-19T14:11:35.220+02:00',
    '2018-8-19 12:11:35.220',
    '1534680695.22',
  ]) {
    assert.deepEqual(read(JSON.stringify({ at: text })), { at }, text)
  }
  assert.deepEqual(read('{"at":1534680695.22}'), { at })
  assert.deepEqual(read('{"at":1534680695220}'), { at }, 'milliseconds')
  assert.deepEqual(read('{"at":1534680695220000}'), { at }, 'microseconds')
  assert.deepEqual(read('{"at":"9999-12-31T23:59:59.999999Z"}'), { at: '253402300799999999' }, 'beyond 2255')
  assert.deepEqual(read('{"day":"2024-2-9","time":"1:02:03.5","local":"2024-02-09 1:02:03"}'), {
    day: 19_762,
    time: '01:02:03.5',
    local: '2024-02-09T01:02:03',
  })
  assert.deepEqual(read('{"price":"12.50","big":1e20}'), { price: '12.5', big: '100000000000000000000' })
  assert.deepEqual(read('{"price":0.30000000000000004,"big":"-0.1"}'), { price: '0.3', big: '-0.1' })
  assert.deepEqual(read('{"price":1.0000000005}'), { price: '1.000000001' })
  assert.deepEqual(read('{"id":"-9007199254740993","ratio":"1.5","ok":"TRUE","blob":"AQI"}'), {
    id: '-9007199254740993',
    ratio: 1.5,
    ok: true,
    blob: 'AQI=',
  })
  assert.deepEqual(read('{"name":12.5,"ok":1,"ratio":"inf"}'), {
    name: '12.5',
    ok: true,
    ratio: Number.POSITIVE_INFINITY,
  })
  assert.deepEqual(read('{"doc":{"a":[1,null]},"tags":["a","b"],"items":[{"x":1},{"x":"2","y":3}]}'), {
    doc: '{"a":[1,null]}',
    tags: ['a', 'b'],
    items: [{ x: '1' }, { x: '2', y: 3 }],
  })
  assert.deepEqual(read('{"ID":5,"Name":"x"}'), { id: '5', name: 'x' }, 'names in any case')
})

test('what it does not load is refused', () => {
  assert.equal(reason('{"price":1e29}'), 'out_of_range')
  assert.equal(reason('{"big":"1e39"}'), 'out_of_range')
  assert.equal(reason('{"at":"yesterday"}'), 'invalid_value')
  assert.equal(reason('{"day":"2024-02-30"}'), 'invalid_value')
  assert.equal(reason('{"id":1.5}'), 'invalid_value')
  assert.equal(reason('{"ok":"perhaps"}'), 'invalid_value')
  assert.equal(reason('{"name":{}}'), 'wrong_type')
  assert.equal(reason('{"tags":"a"}'), 'wrong_type')
  assert.equal(reason('{"id":1,"ID":2}'), 'duplicate_field')
})

test('a refusal names the field', () => {
  const field = (json: string) => (read(json) as Rejection).field
  assert.equal(field('{"items":[{"x":1},{"x":"?"}]}'), 'items[1].x')
  assert.equal(field('{"items":[{"y":1}]}'), 'items[0].x')
  assert.equal(field('{"tags":["a",[]]}'), 'tags[1]')
})

test('unknown fields are kept as they stand, dropped, or refused', () => {
  const event = '{"new":{"a" : [1.0,"\\u00e9"]},"id":1,"items":[{"x":1,"z":true}],"n\\"q":null}'
  const row = { id: '1', items: [{ x: '1' }] }
  assert.deepEqual(read(event), { ...row, extra: '{"new":{"a" : [1.0,"\\u00e9"]},"items.z":true,"n\\"q":null}' })
  assert.deepEqual(readWith(codecOf({ unknown: 'drop' }), event), row)
  assert.deepEqual(readWith(codecOf({ unknown: 'reject' }), event), {
    reason: 'unknown_field',
    field: 'new',
    message: 'new: a field that the schema does not have',
  })
  assert.equal(reason('{"new":[1,}'), 'json_syntax', 'what is kept or dropped is checked')
  assert.equal(reason('{"new":1"id":2}'), 'json_syntax', 'a comma is needed behind it, too')
})

test('names are found in any order, with any white space, and escaped', () => {
  assert.deepEqual(read('{"name":"a","id":1}'), { id: '1', name: 'a' })
  assert.deepEqual(read('{"id":1,"name":"a"}'), { id: '1', name: 'a' })
  assert.deepEqual(read('{ "id" : 1 ,\n"name"\t: "a" }'), { id: '1', name: 'a' })
  assert.deepEqual(read('{"\\u0069d":1,"n\\u0061me":"a"}'), { id: '1', name: 'a' })
  assert.equal(reason('{"id":1,"\\u0069d":2}'), 'duplicate_field')
  assert.equal(reason('{"id":1,"name":"a","id":2}'), 'duplicate_field')
})

test('strings of all lengths, with something special at every place', () => {
  for (let length = 0; length < 300; length += length < 40 ? 1 : 37) {
    for (const special of ['', '"', '\\', '\n', 'é', '😀', '\u0000', '\u007f', '\u2028']) {
      for (const at of [0, length >> 1, length]) {
        const name = 'x'.repeat(at) + special + 'y'.repeat(length - at)
        assert.deepEqual(read(JSON.stringify({ name })), { name })
      }
    }
  }
})

test('what is no text is refused wherever it stands', () => {
  for (const bad of [
    [0xff],
    [0xc0, 0x80],
    [0xe0, 0x80, 0x80],
    [0xed, 0xa0, 0x80],
    [0xf4, 0x90, 0x80, 0x80],
    [0x80],
    [0xc3],
  ]) {
    for (const before of [0, 1, 3, 50]) {
      const text = Buffer.concat([Buffer.from(`{"name":"${'x'.repeat(before)}`), Buffer.from(bad), Buffer.from('"}')])
      assert.equal(reason(text), 'invalid_utf8')
      assert.equal(reason(Buffer.concat([Buffer.from('{"doc":'), text, Buffer.from('}')])), 'invalid_utf8')
    }
  }
  assert.equal(reason('{"name":"a\tb"}'), 'json_syntax')
})

test('numbers at the edges of the quick ways are exact', () => {
  for (const id of [
    '0',
    '7',
    '999999999',
    '1000000000',
    '4294967296',
    '268435455',
    '268435456',
    '999999999999999',
    '1000000000000000',
    '9223372036854775807',
  ]) {
    assert.deepEqual(read(`{"id":${id}}`), { id })
    assert.deepEqual(read(`{"id":-${id} }`), { id: id === '0' ? '0' : `-${id}` })
  }
  for (const ratio of [
    '0.1',
    '-0.0',
    '123456789.123456',
    '0.000001',
    '1e-7',
    '5e-324',
    '179769313486231570000',
    '9007199254740993',
    '0.30000000000000004',
    '1.7976931348623157e308',
    '123456789012345.6',
  ]) {
    assert.deepEqual(read(`{"ratio":${ratio}}`), { ratio: Number(ratio) })
  }
  for (const wrong of ['01', '-01', '01.5', '1.', '.5', '+1', '1e', '--1', '0x1', '1_0', '-']) {
    assert.equal(reason(`{"id":${wrong}}`), 'json_syntax', wrong)
    assert.equal(reason(`{"ratio":${wrong}}`), 'json_syntax', wrong)
  }
})

test('an event ends where its record ends', () => {
  const whole = Buffer.from('{"name":"abc","id":12,"ratio":1.5,"ok":true,"tags":["x"],"at":"2024-01-02T03:04:05Z"}')
  const next = Buffer.from('"}3,true":]}"}\n{"id":1}')
  const input = Buffer.concat([whole, next])
  const out = new RowBuffer(64)
  for (let end = 0; end < whole.length; end++) {
    const rejection = keep.encode(input, 0, end, NOWHERE, out)
    assert.ok(rejection, `cut at ${end}`)
    assert.equal(rejection.reason, 'truncated', `cut at ${end}: ${input.toString('utf8', 0, end)}`)
    assert.equal(out.length, 0)
  }
})

test('a byte order mark is passed over, depth is limited', () => {
  assert.deepEqual(read(Buffer.from('\ufeff{"id":1}')), { id: '1' })
  assert.deepEqual(read(`{"doc":${'['.repeat(99)}${']'.repeat(99)}}`), { doc: '['.repeat(99) + ']'.repeat(99) })
  assert.equal(reason(`{"doc":${'['.repeat(101)}${']'.repeat(101)}}`), 'too_deep')
  assert.equal(reason(`{"new":${'{"a":'.repeat(101)}1${'}'.repeat(101)}}`), 'too_deep')
})

test('one bad event leaves its neighbours alone, and a small buffer grows', () => {
  const out = new RowBuffer(16)
  const events = [
    '{"id":1}',
    '{"items":[{"x":1},{"x":',
    `{"name":"${'x'.repeat(5000)}"}`,
    'nonsense',
    `{"items":[${'{"x":-1},'.repeat(500)}{"x":0}]}`,
    '{"id":2}',
  ]
  const reasons = events.map((event) => keep.encode(Buffer.from(event), 0, event.length, NOWHERE, out)?.reason)
  assert.deepEqual(reasons, [undefined, 'truncated', undefined, 'json_syntax', undefined, undefined])
  const rows = decodeRows(keep, out)
  assert.deepEqual(
    rows.map((row) => row['id']),
    ['1', undefined, undefined, '2'],
  )
  const items = rows[2]?.['items']
  assert.ok(Array.isArray(items) && items.length === 501)
  assert.equal(out.rows, 4)
})

test('a row that no append can hold is refused', () => {
  assert.equal(reason(`{"name":"${'x'.repeat(9 * 1024 * 1024)}"}`), 'too_large')
})
