import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Type } from 'protobufjs'
import protojson from 'protobufjs/ext/protojson.js'
import { compileRoute } from '../../shared/codec/index.ts'
import { recordFromTableSchema } from '../../shared/schema/bigquery.ts'
import { recordFromMessage } from '../../shared/schema/proto.ts'
import { rootOf } from '../support/random-messages.ts'
import { openReadBack } from '../support/read-back.ts'
import { routeOf } from '../support/rows.ts'

// Rows on their whole way: encoded by the codec, appended, and read back by SQL through the official client.

type Events = readonly (readonly [value: unknown, read: unknown])[]

/** What each column type takes in JSON, and what SQL then says. */
const COLUMNS: Readonly<Record<string, Events>> = {
  STRING: [
    ['', ''],
    ['Grüße, 世界 🌍 \u0000 "\\\n', 'Grüße, 世界 🌍 \u0000 "\\\n'],
    ['x'.repeat(70_000), 'x'.repeat(70_000)],
    [1.5, '1.5'],
    [true, 'true'],
  ],
  BYTES: [
    ['', ''],
    ['AP8K', 'AP8K'],
    ['-_8=', '+/8='],
  ],
  INT64: [
    [0, '0'],
    ['9223372036854775807', '9223372036854775807'],
    ['-9223372036854775808', '-9223372036854775808'],
    [9007199254740991, '9007199254740991'],
    [-1e3, '-1000'],
  ],
  FLOAT64: [
    [0.1, 0.1],
    [-0.0, 0],
    [5e-324, 5e-324],
    [1.7976931348623157e308, 1.7976931348623157e308],
    ['NaN', Number.NaN],
    ['Infinity', Number.POSITIVE_INFINITY],
    ['-inf', Number.NEGATIVE_INFINITY],
  ],
  BOOL: [
    [true, true],
    [false, false],
    ['t', true],
    ['No', false],
    [1, true],
  ],
  NUMERIC: [
    ['99999999999999999999999999999.999999999', '99999999999999999999999999999.999999999'],
    ['-99999999999999999999999999999.999999999', '-99999999999999999999999999999.999999999'],
    [0.1, '0.1'],
    ['0.0000000005', '0.000000001'],
    ['-1.50e3', '-1500'],
    [0, '0'],
  ],
  BIGNUMERIC: [
    [
      '578960446186580977117854925043439539266.34992332820282019728792003956564819967',
      '578960446186580977117854925043439539266.34992332820282019728792003956564819967',
    ],
    [
      '-578960446186580977117854925043439539266.34992332820282019728792003956564819968',
      '-578960446186580977117854925043439539266.34992332820282019728792003956564819968',
    ],
    ['1e-38', '0.00000000000000000000000000000000000001'],
    [1e20, '100000000000000000000'],
  ],
  TIMESTAMP: [
    ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000000Z'],
    ['9999-12-31T23:59:59.999999999Z', '9999-12-31T23:59:59.999999Z'],
    ['2024-02-29 01:02:03.5+05:30', '2024-02-28T19:32:03.500000Z'],
    ['1969-12-31 23:59:58.5 UTC', '1969-12-31T23:59:58.500000Z'],
    [1700000000, '2023-11-14T22:13:20.000000Z'],
    [1700000000.123456, '2023-11-14T22:13:20.123456Z'],
    [1700000000123, '2023-11-14T22:13:20.123000Z'],
    [-1, '1969-12-31T23:59:59.000000Z'],
  ],
  DATE: [
    ['0001-01-01', '0001-01-01'],
    ['9999-12-31', '9999-12-31'],
    ['2024-2-9', '2024-02-09'],
  ],
  TIME: [
    ['00:00:00', '00:00:00'],
    ['23:59:59.999999', '23:59:59.999999'],
    ['1:2:3', '01:02:03'],
  ],
  DATETIME: [
    ['0001-01-01T00:00:00', '0001-01-01T00:00:00'],
    ['9999-12-31 23:59:59.999999', '9999-12-31T23:59:59.999999'],
    ['2024-2-9', '2024-02-09T00:00:00'],
  ],
  JSON: [
    [{ a: [1, null, 'ü"'], b: {} }, '{"a":[1,null,"ü\\""],"b":{}}'],
    ['text', '"text"'],
    [12, '12'],
    [false, 'false'],
  ],
  GEOGRAPHY: [['POINT(1 2)', 'POINT(1 2)']],
  INTERVAL: [
    ['1-2 3 4:5:6.789012', '1-2 3 4:5:6.789012'],
    ['-10000-0 0 0:0:0', '-10000-0 0 0:0:0'],
    ['P1Y2M3DT4H5M6.5S', '1-2 3 4:5:6.500000'],
    ['0-0 3660000 87840000:0:0', '0-0 3660000 87840000:0:0'],
  ],
}

/** Values at rest, arrays of them, and both again inside of RECORDs. */
function tableOf(types: readonly string[]): object[] {
  const columns = types.flatMap((type) => [
    { name: `one_${type}`, type },
    { name: `many_${type}`, type, mode: 'REPEATED' },
  ])
  return [
    ...columns,
    { name: 'r', type: 'RECORD', fields: columns },
    { name: 'rs', type: 'RECORD', mode: 'REPEATED', fields: columns },
  ]
}

test('BigQuery schemas: every type in every place', async (t: TestContext) => {
  const { load, read } = await openReadBack(t)
  const types = Object.keys(COLUMNS)
  const codec = compileRoute(routeOf({}), recordFromTableSchema(tableOf(types), 't', 't'))
  const events: unknown[] = [
    {},
    { rs: [] },
    { r: {}, rs: [{}, {}] },
    Object.fromEntries(types.map((type) => [`one_${type}`, null])),
  ]
  const expected: unknown[] = [{}, {}, { r: {}, rs: [{}, {}] }, {}]
  for (let index = 0; index < 8; index++) {
    const row = (side: 0 | 1) => {
      const of = (type: string) => COLUMNS[type]?.map((pair) => pair[side]) ?? []
      const record = Object.fromEntries(
        types.flatMap((type) => [
          [`one_${type}`, of(type)[index % of(type).length]],
          [`many_${type}`, of(type).slice(0, index + 1)],
        ]),
      )
      return { ...record, r: record, rs: [record, record] }
    }
    events.push(row(0))
    expected.push(row(1))
  }
  const table = await load(
    codec,
    events.map((event) => Buffer.from(JSON.stringify(event))),
  )
  assert.deepEqual(await read(table), expected)
})

/** What each field type takes in protobuf's JSON, and what SQL then says; the first value is its default. */
const FIELDS: Readonly<Record<string, Events>> = {
  double: [
    [0, 0],
    [-1.5, -1.5],
    ['NaN', Number.NaN],
    ['-Infinity', Number.NEGATIVE_INFINITY],
  ],
  float: [
    [0, 0],
    [0.1, Math.fround(0.1)],
    ['Infinity', Number.POSITIVE_INFINITY],
  ],
  ...integers(['int32', 'sint32', 'sfixed32'], '-2147483648', '2147483647'),
  ...integers(['uint32', 'fixed32'], '1', '4294967295'),
  ...integers(['int64', 'sint64', 'sfixed64'], '-9223372036854775808', '9223372036854775807'),
  ...integers(['uint64', 'fixed64'], '9007199254740993', '18446744073709551615'),
  bool: [
    [false, false],
    [true, true],
  ],
  string: [
    ['', ''],
    ['Grüße, 世界 🌍 \u0000', 'Grüße, 世界 🌍 \u0000'],
  ],
  bytes: [
    ['', ''],
    ['AP8K', 'AP8K'],
  ],
  E: [
    ['ZERO', 'ZERO'],
    ['TWO', 'TWO'],
    ['MINUS', 'MINUS'],
    [77, '77'],
  ],
}

function integers(types: readonly string[], ...values: readonly string[]): Record<string, Events> {
  const events = ['0', ...values].map((value) => [value, value] as const)
  return Object.fromEntries(types.map((type) => [type, events]))
}

/** Messages that become one column. */
const MESSAGES: Readonly<Record<string, Events>> = {
  ...Object.fromEntries(
    ['Double', 'Float', 'Int64', 'UInt64', 'Int32', 'UInt32', 'Bool', 'String', 'Bytes'].map((name) => [
      `google.protobuf.${name}Value`,
      FIELDS[name.toLowerCase()] ?? [],
    ]),
  ),
  'google.protobuf.Timestamp': [
    ['1970-01-01T00:00:00Z', '1970-01-01T00:00:00.000000Z'],
    ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000000Z'],
    ['9999-12-31T23:59:59.999999999Z', '9999-12-31T23:59:59.999999Z'],
    ['1969-12-31T23:59:58.500Z', '1969-12-31T23:59:58.500000Z'],
  ],
  'google.protobuf.Duration': [
    ['0s', '0-0 0 0:0:0'],
    ['3661.000001s', '0-0 0 1:1:1.000001'],
    ['-0.500s', '0-0 0 -0:0:0.500000'],
    ['315576000000s', '0-0 0 87660000:0:0'],
  ],
  'google.protobuf.FieldMask': [
    ['', ''],
    ['foo,barBaz.x', 'foo,barBaz.x'],
  ],
  'google.protobuf.Struct': [
    [{}, '{}'],
    [{ a: [1.5, null, 'ü', { b: true }] }, '{"a":[1.5,null,"ü",{"b":true}]}'],
  ],
  'google.protobuf.Value': [
    [null, 'null'],
    [0, '0'],
    [['x', {}], '["x",{}]'],
  ],
  'google.protobuf.ListValue': [
    [[], '[]'],
    [[1, [null]], '[1,[null]]'],
  ],
  'google.protobuf.Empty': [[{}, '{}']],
  'google.type.Date': [
    [{ year: 1970, month: 1, day: 1 }, '1970-01-01'],
    [{ year: 1, month: 1, day: 1 }, '0001-01-01'],
    [{ year: 9999, month: 12, day: 31 }, '9999-12-31'],
  ],
  'google.type.TimeOfDay': [
    [{}, '00:00:00'],
    [{ hours: 23, minutes: 59, seconds: 59, nanos: 999999999 }, '23:59:59.999999'],
  ],
  // A message that comes again is JSON from there on.
  Node: [
    [{}, { name: '' }],
    [
      { name: 'a', next: { name: 'b', next: {} } },
      { name: 'a', next: '{"name":"b","next":{}}' },
    ],
  ],
}

const DATES = `syntax = "proto3"; package google.type; message Date { int32 year = 1; int32 month = 2; int32 day = 3; }
message TimeOfDay { int32 hours = 1; int32 minutes = 2; int32 seconds = 3; int32 nanos = 4; }`

const HEAD = `enum E { ZERO = 0; TWO = 2; MINUS = -1; }`
const NODE = `message Node { string name = 1; Node next = 2; }`

/** Every type in every place, once on top and once in a message. */
function protoOf(): string {
  const types = Object.keys({ ...FIELDS, ...MESSAGES })
  const name = (type: string) => type.replaceAll('.', '_')
  const body = types.flatMap((type, index) => [
    `${type} one_${name(type)} = ${index * 5 + 1};`,
    `repeated ${type} many_${name(type)} = ${index * 5 + 2};`,
    `map<string, ${type}> map_${name(type)} = ${index * 5 + 3};`,
    `oneof either_${name(type)} { ${type} in_${name(type)} = ${index * 5 + 4}; bool other_${name(type)} = ${index * 5 + 5}; }`,
  ])
  return `syntax = "proto3"; ${HEAD} ${NODE} message Inner { ${body.join('\n')} }
message Outer { ${body.join('\n')} optional Inner inner = 1000; repeated Inner inners = 1001; }`
}

/** The columns of a message without content: implicit scalars and enums are their defaults. */
function standards(): Record<string, unknown> {
  return Object.fromEntries(Object.entries(FIELDS).map(([type, events]) => [`one_${type}`, events[0]?.[1]]))
}

function protoRow(side: 0 | 1, index: number): Record<string, unknown> {
  const entries = Object.entries({ ...FIELDS, ...MESSAGES }).flatMap(([type, events]) => {
    const values = events.map((pair) => pair[side])
    const value = values[index % values.length]
    const name = type.replaceAll('.', '_')
    // Fields of Value are not absent when they are null.
    const map = { a: values[0], ü: value }
    return [
      [`one_${name}`, value],
      [`many_${name}`, values.slice(0, index + 1)],
      [`map_${name}`, side === 0 ? map : Object.entries(map).map(([key, item]) => ({ key, value: item }))],
      [`in_${name}`, value],
    ]
  })
  return Object.fromEntries(entries) as Record<string, unknown>
}

for (const format of ['json', 'protobuf'] as const) {
  test(`messages from ${format}: every type in every place`, async (t: TestContext) => {
    const { load, read } = await openReadBack(t)
    const type = rootOf(protoOf(), DATES).lookupType('Outer')
    const codec = compileRoute(routeOf({ format, unknown: 'reject' }), recordFromMessage(type, 'test'))
    const rows = [0, 1, 2, 3].map((index) => [0, 1].map((side) => protoRow(side as 0 | 1, index)))
    const events = [
      {},
      { inner: {}, inners: [{}, {}] },
      ...rows.map(([event]) => ({ ...event, inner: event, inners: [{}, event] })),
    ]
    const expected = [
      standards(),
      { ...standards(), inner: standards(), inners: [standards(), standards()] },
      ...rows.map(([, row]) => ({ ...row, inner: row, inners: [standards(), row] })),
    ]
    const table = await load(
      codec,
      events.map((event) => (format === 'json' ? Buffer.from(JSON.stringify(event)) : wireOf(type, event))),
    )
    assert.deepEqual(await read(table), expected)
  })
}

function wireOf(type: Type, event: object): Buffer {
  return Buffer.from(type.encode(protojson.fromJson(type, event)).finish())
}

test('moments are exact to the microsecond', async (t: TestContext) => {
  const { load, warehouse } = await openReadBack(t)
  const codec = compileRoute(routeOf({}), recordFromTableSchema([{ name: 'moment', type: 'TIMESTAMP' }], 't', 't'))
  const moments = [
    -1n,
    -999_999n,
    -1_000_001n,
    9_007_199_254_740_993n,
    -62_135_596_799_999_999n,
    253_402_300_799_999_999n,
  ]
  const textOf = (micros: bigint) => {
    const fraction = ((micros % 1000n) + 1000n) % 1000n
    return new Date(Number((micros - fraction) / 1000n))
      .toISOString()
      .replace('Z', `${String(fraction).padStart(3, '0')}Z`)
  }
  const table = await load(
    codec,
    moments.map((micros) => Buffer.from(JSON.stringify({ moment: textOf(micros) }))),
  )
  const rows = await Array.fromAsync(
    warehouse.query(`SELECT UNIX_MICROS(moment) AS micros FROM d.${table} ORDER BY millrace.position`),
  )
  assert.deepEqual(
    rows.map(({ micros }) => micros),
    moments.map(String),
  )
})
