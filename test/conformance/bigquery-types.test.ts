import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { BigQueryProcess, PROJECT } from './bigquery-process.ts'
import { AppendConnection, type Message, rowType } from './bigquery-rows.ts'

/**
 * Row 21 of the specification: every type, through the official clients alone. Values are written over Storage Write in
 * each protobuf type that the service takes for the column, and read over REST as the API writes them.
 */

let server: BigQueryProcess

before(async () => {
  server = await BigQueryProcess.start()
  await server.bigquery().createDataset('d')
})
after(() => server.dispose())

interface Field {
  name: string
  type: string
  mode?: string
  fields?: Field[]
}

let tables = 0

/** Writes the rows to a new table, kills the server, and reads them back as the REST API has them. */
async function roundTrip(fields: Field[], message: Message, rows: Record<string, unknown>[]) {
  const table = `t${++tables}`
  await server.bigquery().dataset('d').createTable(table, { schema: { fields } })
  const type = rowType(message)
  const connection = new AppendConnection(server.writeClient())
  const writeStream = `projects/${PROJECT}/datasets/d/tables/${table}/streams/_default`
  const response = await connection.send({ writeStream, type, rows: rows.map(type.encode) })
  assert.deepEqual([response.error?.message, response.rowErrors.map(({ message: text }) => text)], [undefined, []])
  await connection.close()
  await server.killAndRestart()
  return restRows(table)
}

async function restRows(table: string): Promise<unknown[][]> {
  const url = `${server.rest}/bigquery/v2/projects/${PROJECT}/datasets/d/tables/${table}/data?formatOptions.useInt64Timestamp=true`
  const { rows = [] } = (await (await fetch(url)).json()) as { rows?: { f: { v: unknown }[] }[] }
  return rows.map(({ f }) => f.map(({ v }) => plain(v)))
}

/** `{f: [{v}]}` as lists. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(({ v }: { v: unknown }) => plain(v))
  if (typeof value === 'object' && value !== null) return (value as { f: { v: unknown }[] }).f.map(({ v }) => plain(v))
  return value
}

/** [column type, protobuf type, value written, value read] */
const SCALARS: [type: string, proto: string, written: unknown, read: string][] = [
  ['INT64', 'int64', '9223372036854775807', '9223372036854775807'],
  ['INT64', 'int64', '-9223372036854775808', '-9223372036854775808'],
  ['INT64', 'int32', -5, '-5'],
  ['INT64', 'uint32', 4_294_967_295, '4294967295'],
  ['INT64', 'sint64', '-9223372036854775808', '-9223372036854775808'],
  ['INT64', 'sint32', -2_147_483_648, '-2147483648'],
  ['INT64', 'sfixed64', '-9007199254740993', '-9007199254740993'],
  ['INT64', 'sfixed32', -7, '-7'],
  ['INT64', 'fixed64', '9223372036854775807', '9223372036854775807'],
  ['FLOAT64', 'double', 0.1, '0.1'],
  ['FLOAT64', 'double', Number.NaN, 'NaN'],
  ['FLOAT64', 'double', Number.POSITIVE_INFINITY, 'Infinity'],
  ['FLOAT64', 'double', Number.NEGATIVE_INFINITY, '-Infinity'],
  ['FLOAT64', 'float', 0.5, '0.5'],
  ['BOOL', 'bool', true, 'true'],
  ['BOOL', 'int64', 0, 'false'],
  ['BOOL', 'uint32', 2, 'true'],
  ['STRING', 'string', 'Grüße, 世界 🌍\u0000', 'Grüße, 世界 🌍\u0000'],
  ['BYTES', 'bytes', Buffer.from([0, 255, 10]), 'AP8K'],
  ['BYTES', 'string', 'abc', 'YWJj'],
  ['NUMERIC', 'string', '99999999999999999999999999999.999999999', '99999999999999999999999999999.999999999'],
  ['NUMERIC', 'string', '-1.5e-3', '-0.0015'],
  ['NUMERIC', 'int64', -42, '-42'],
  ['NUMERIC', 'uint64', '18446744073709551615', '18446744073709551615'],
  ['NUMERIC', 'fixed64', '18446744073709551615', '18446744073709551615'],
  ['NUMERIC', 'double', 1.25, '1.25'],
  ['NUMERIC', 'bytes', littleEndian(-12_345_000_000n), '-12.345'],
  ['BIGNUMERIC', 'string', '0.00000000000000000000000000000000000001', '0.00000000000000000000000000000000000001'],
  ['BIGNUMERIC', 'bytes', littleEndian(3n * 10n ** 38n), '3'],
  ['TIMESTAMP', 'int64', '1700000000123456', '1700000000123456'],
  ['TIMESTAMP', 'int64', '-62135596800000000', '-62135596800000000'],
  ['TIMESTAMP', 'int64', '253402300799999999', '253402300799999999'],
  ['DATE', 'int32', 19_000, '2022-01-08'],
  ['DATE', 'int64', -719_162, '0001-01-01'],
  ['DATE', 'string', '9999-12-31', '9999-12-31'],
  ['TIME', 'string', '23:59:59.999999', '23:59:59.999999'],
  ['TIME', 'int64', String(packedTime(12, 34, 56, 789_000)), '12:34:56.789000'],
  ['DATETIME', 'string', '2024-02-29 01:02:03.000004', '2024-02-29T01:02:03.000004'],
  ['DATETIME', 'int64', String(packedDatetime(1969, 7, 20, packedTime(20, 17, 40, 0))), '1969-07-20T20:17:40'],
  ['JSON', 'string', '{"a":[1,null,"x"]}', '{"a":[1,null,"x"]}'],
  ['GEOGRAPHY', 'string', 'POINT(1 2)', 'POINT(1 2)'],
  ['INTERVAL', 'string', '1-2 3 4:5:6.789012', '1-2 3 4:5:6.789012'],
  ['INTERVAL', 'string', 'P-1Y2M-3DT-0.000001S', '-0-10 -3 -0:0:0.000001'],
]

/** Little-endian two's complement in the fewest bytes, as clients encode NUMERIC. */
function littleEndian(value: bigint): Buffer {
  const bytes: number[] = []
  let rest = value
  do {
    bytes.push(Number(rest & 0xffn))
    rest >>= 8n
  } while (!((rest === 0n && (bytes.at(-1) ?? 0) < 128) || (rest === -1n && (bytes.at(-1) ?? 0) >= 128)))
  return Buffer.from(bytes)
}

function packedTime(hour: number, minute: number, second: number, micro: number): bigint {
  return (((BigInt(hour) << 6n) | BigInt(minute)) << 26n) | (BigInt(second) << 20n) | BigInt(micro)
}

function packedDatetime(year: number, month: number, day: number, time: bigint): bigint {
  return (((((BigInt(year) << 4n) | BigInt(month)) << 5n) | BigInt(day)) << 37n) | time
}

test('row 21: each scalar type, from each protobuf type that it takes', async () => {
  const fields = SCALARS.map(([type], at) => ({ name: `c${at}`, type }))
  const message = Object.fromEntries(SCALARS.map(([, proto], at) => [`c${at}`, proto]))
  const written = Object.fromEntries(SCALARS.map(([, , value], at) => [`c${at}`, value]))
  const [values, absent] = await roundTrip(fields, message, [written, {}])
  for (const [at, [type, proto, value, read]] of SCALARS.entries()) {
    assert.equal(values?.[at], read, `${type} from ${proto} ${String(value)}`)
  }
  assert.deepEqual(new Set(absent), new Set([null]))
})

test('row 21: an integer keeps every bit: powers of two and their neighbours', async () => {
  const values = Array.from({ length: 64 }, (_, bit) => 1n << BigInt(bit)).flatMap((value) => [
    value - 1n,
    value,
    -value,
  ])
  const inRange = values.filter((value) => BigInt.asIntN(64, value) === value).map(String)
  const rows = await roundTrip(
    [{ name: 'n', type: 'INT64' }],
    { n: 'int64' },
    inRange.map((n) => ({ n })),
  )
  assert.deepEqual(rows.flat(), inRange)
})

test('row 21: REPEATED, packed and not, empty and absent', async () => {
  const fields = [
    { name: 'n', type: 'INT64', mode: 'REPEATED' },
    { name: 's', type: 'STRING', mode: 'REPEATED' },
    { name: 'b', type: 'BOOL', mode: 'REPEATED' },
  ]
  const message = { n: 'repeated int64', s: 'repeated string', b: 'repeated bool' }
  const rows = await roundTrip(fields, message, [{ n: [1, -2, 3], s: ['a', ''], b: [true, false] }, {}, { n: [4] }])
  assert.deepEqual(rows, [
    [
      ['1', '-2', '3'],
      ['a', ''],
      ['true', 'false'],
    ],
    [[], [], []],
    [['4'], [], []],
  ])
})

test('row 21: records in lists in records, absent at every level', async () => {
  const point: Field[] = [
    { name: 'x', type: 'INT64' },
    { name: 'tags', type: 'STRING', mode: 'REPEATED' },
  ]
  const fields: Field[] = [
    {
      name: 'a',
      type: 'RECORD',
      fields: [
        { name: 'l', type: 'RECORD', mode: 'REPEATED', fields: point },
        { name: 'n', type: 'INT64' },
      ],
    },
    { name: 'z', type: 'INT64' },
  ]
  const message = { a: { l: [{ x: 'int64', tags: 'repeated string' }], n: 'int64' }, z: 'int64' } as const
  const rows = await roundTrip(fields, message, [
    { a: { l: [{ x: 1, tags: ['p', 'q'] }, {}, { tags: ['r'] }], n: 5 }, z: 9 },
    { z: 8 },
    { a: {}, z: 7 },
    { a: { l: [{ x: 2 }] } },
  ])
  assert.deepEqual(rows, [
    [
      [
        [
          ['1', ['p', 'q']],
          [null, []],
          [null, ['r']],
        ],
        '5',
      ],
      '9',
    ],
    [null, '8'],
    [[[], null], '7'],
    [[[['2', []]], null], null],
  ])
})

test('row 21: columns below 15 levels of records; below 16 is refused', async () => {
  const fieldsTo = (depth: number): Field =>
    depth === 1
      ? { name: 'leaf', type: 'INT64' }
      : { name: `r${depth}`, type: 'RECORD', mode: depth % 2 ? 'NULLABLE' : 'REPEATED', fields: [fieldsTo(depth - 1)] }
  const messageTo = (depth: number): Message => {
    if (depth === 1) return { leaf: 'int64' }
    return { [`r${depth}`]: depth % 2 ? messageTo(depth - 1) : [messageTo(depth - 1)] }
  }
  const valueTo = (depth: number): Record<string, unknown> =>
    depth === 1 ? { leaf: 42 } : { [`r${depth}`]: depth % 2 ? valueTo(depth - 1) : [valueTo(depth - 1), {}] }
  const rows = await roundTrip([fieldsTo(16)], messageTo(16), [valueTo(16)])
  assert.match(JSON.stringify(rows), /"42"/)
  const tooDeep = server
    .bigquery()
    .dataset('d')
    .createTable('deep', { schema: { fields: [fieldsTo(17)] } })
  await assert.rejects(tooDeep, /nest at most 15 levels/)
})

test('row 21: values that a type cannot hold are row errors, each of them', async () => {
  const cases: [type: string, proto: string, value: unknown][] = [
    ['INT64', 'fixed64', '18446744073709551615'],
    ['NUMERIC', 'string', '100000000000000000000000000000'],
    ['NUMERIC', 'string', 'abc'],
    ['BIGNUMERIC', 'string', '1e39'],
    ['TIMESTAMP', 'int64', '253402300800000000'],
    ['DATE', 'int32', 2_932_897],
    ['DATE', 'string', '2023-02-29'],
    ['TIME', 'string', '24:00:00'],
    ['DATETIME', 'string', 'yesterday'],
    ['JSON', 'string', '{a:1}'],
    ['INTERVAL', 'string', '10001-0 0 0:0:0'],
    ['GEOGRAPHY', 'string', 'here'],
    ['STRING', 'bytes as string', Buffer.from([0xff, 0xfe])],
  ]
  for (const [type, proto, value] of cases) {
    const table = `bad${++tables}`
    await server
      .bigquery()
      .dataset('d')
      .createTable(table, { schema: { fields: [{ name: 'c', type }] } })
    const as = rowType({ c: proto === 'bytes as string' ? 'bytes' : proto })
    const row = as.encode({ c: value })
    const writer = proto === 'bytes as string' ? rowType({ c: 'string' }) : as
    const connection = new AppendConnection(server.writeClient())
    const writeStream = `projects/${PROJECT}/datasets/d/tables/${table}/streams/_default`
    const response = await connection.send({ writeStream, type: writer, rows: [as.encode({}), row] })
    assert.deepEqual(
      response.rowErrors.map(({ index }) => index),
      ['1'],
      `${type} ${String(value)}`,
    )
    await connection.close()
  }
})

test('row 21: parameterized types bound their values, and round decimals', async () => {
  const fields = [
    { name: 's', type: 'STRING', maxLength: '3' },
    { name: 'b', type: 'BYTES', maxLength: '2' },
    { name: 'n', type: 'NUMERIC', precision: '5', scale: '2' },
    { name: 'g', type: 'BIGNUMERIC', precision: '4', scale: '1' },
  ]
  const message = { s: 'string', b: 'bytes', n: 'string', g: 'string' }
  const good = { s: 'äöü', b: Buffer.from([1, 2]), n: '-999.985', g: '12.25' }
  assert.deepEqual(await roundTrip(fields, message, [good]), [['äöü', 'AQI=', '-999.99', '12.3']])
  const type = rowType(message)
  const writeStream = `projects/${PROJECT}/datasets/d/tables/t${tables}/streams/_default`
  const connection = new AppendConnection(server.writeClient())
  const bad = [{ s: 'abcd' }, { b: Buffer.from([1, 2, 3]) }, { n: '999.995' }, { g: '1000' }]
  const response = await connection.send({ writeStream, type, rows: bad.map(type.encode) })
  assert.deepEqual(
    response.rowErrors.map(({ index }) => index),
    ['0', '1', '2', '3'],
  )
  await connection.close()
})

test('row 21: a protobuf type that a column does not take is refused with the schema', async () => {
  for (const [type, proto] of [
    ['INT64', 'string'],
    ['INT64', 'uint64'],
    ['TIMESTAMP', 'string'],
    ['STRING', 'int64'],
    ['INT64', 'repeated int64'],
  ] as const) {
    const table = `mismatch${++tables}`
    await server
      .bigquery()
      .dataset('d')
      .createTable(table, { schema: { fields: [{ name: 'c', type }] } })
    const connection = new AppendConnection(server.writeClient())
    const writeStream = `projects/${PROJECT}/datasets/d/tables/${table}/streams/_default`
    const as = rowType({ c: proto })
    const response = await connection.send({ writeStream, type: as, rows: [as.encode({})] })
    assert.match(response.error?.message ?? '', /The proto field mismatched with BigQuery field at c/)
    await connection.close()
  }
})
