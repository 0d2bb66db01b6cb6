import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeRows, NOWHERE, routeOf } from '../../test/support/rows.ts'
import { recordFromTableSchema } from '../schema/bigquery.ts'
import { type CodecRoute, compileRoute, RowBuffer } from './index.ts'

const TABLE = [
  { name: 'name', type: 'STRING', maxLength: '3' },
  { name: 'names', type: 'STRING', maxLength: '3', mode: 'REPEATED' },
  { name: 'blob', type: 'BYTES', maxLength: '2' },
  { name: 'price', type: 'NUMERIC', precision: '5', scale: '2' },
  { name: 'share', type: 'NUMERIC', precision: '2', scale: '2' },
  { name: 'fair', type: 'NUMERIC', precision: '5', scale: '2', roundingMode: 'ROUND_HALF_EVEN' },
  { name: 'whole', type: 'BIGNUMERIC', precision: '4' },
]

function reader(route: Partial<CodecRoute>, columns: object[]) {
  const codec = compileRoute(routeOf(route), recordFromTableSchema(columns, 'table', 'test'))
  return (event: string) => {
    const out = new RowBuffer(64)
    const bytes = Buffer.from(event)
    const rejection = codec.encode(bytes, 0, bytes.length, NOWHERE, out)
    if (rejection) return `${rejection.reason} ${rejection.field}`
    const [row] = decodeRows(codec, out)
    delete row?.['millrace']
    return row
  }
}

test('a text beyond its column is out of range, with the path of its field', () => {
  const read = reader({}, [...TABLE, { name: 'r', type: 'RECORD', mode: 'REPEATED', fields: TABLE }])
  assert.deepEqual(read('{"name":"ü😀x","names":["","abc"],"blob":"AP8="}'), {
    name: 'ü😀x',
    names: ['', 'abc'],
    blob: 'AP8=',
  })
  assert.deepEqual(read('{"name":"\\u00fc\\ud83d\\ude00x"}'), { name: 'ü😀x' })
  assert.equal(read('{"name":"abcd"}'), 'out_of_range name')
  assert.equal(read('{"name":1234}'), 'out_of_range name')
  assert.equal(read('{"blob":"AAEC"}'), 'out_of_range blob')
  assert.equal(read('{"blob":12}'), 'wrong_type blob')
  assert.equal(read(`{"name":"${'é'.repeat(200)}"}`), 'out_of_range name')
  assert.equal(read('{"r":[{},{"names":["a","abcd"]}]}'), 'out_of_range r[1].names[1]')
})

test('a decimal is rounded to its scale, and out of range beyond its precision', () => {
  const read = reader({}, TABLE)
  for (const [column, text, read_] of [
    ['price', '999.99', '999.99'],
    ['price', '999.994', '999.99'],
    ['price', '-0.005', '-0.01'],
    ['price', '0.125', '0.13'],
    ['price', '1e2', '100'],
    ['share', '0.99', '0.99'],
    ['share', '-0.994', '-0.99'],
    ['share', '0', '0'],
    ['fair', '0.125', '0.12'],
    ['fair', '-0.135', '-0.14'],
    ['fair', '0.1251', '0.13'],
    ['whole', '9999.4', '9999'],
    ['whole', '0.5', '1'],
  ] as const) {
    assert.deepEqual(read(`{"${column}":${text}}`), { [column]: read_ }, `${column} ${text}`)
    assert.deepEqual(read(`{"${column}":"${text}"}`), { [column]: read_ }, `${column} ${text}`)
  }
  for (const [column, text] of [
    ['price', '1000'],
    ['price', '999.995'],
    ['share', '1'],
    ['share', '0.995'],
    ['whole', '-9999.5'],
    ['whole', '1e999'],
  ])
    assert.equal(read(`{"${column}":${text}}`), `out_of_range ${column}`)
})

test('text columns have the same limits', () => {
  const read = reader({ format: 'text', preset: 'logfmt' }, TABLE.slice(0, 1).concat(TABLE.slice(2)))
  assert.deepEqual(read('name=abc price=1.005'), { name: 'abc', price: '1.01' })
  assert.equal(read('name=abcd'), 'out_of_range name')
  assert.equal(read('price=1000'), 'out_of_range price')
})
