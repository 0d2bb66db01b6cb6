import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import fc from 'fast-check'
import { compileRoute, RowBuffer } from '../../shared/codec/index.ts'
import { recordFromTableSchema } from '../../shared/schema/bigquery.ts'
import { openReadBack } from '../support/read-back.ts'
import { NOWHERE, routeOf } from '../support/rows.ts'

// What the codec takes, the service takes: a row that the service refused would hold up its neighbours. GEOGRAPHY is not
// here: the codec does not read it, and the service's refusal of a row becomes a dead letter.

const BIGNUMERIC_MAX = '578960446186580977117854925043439539266.34992332820282019728792003956564819967'

/** Columns, and values near the edge of what each takes. */
const COLUMNS: readonly (readonly [column: object, near: readonly string[]])[] = [
  [{ type: 'STRING', maxLength: '3' }, ['abc', 'ü😀x', '1.5']],
  [{ type: 'BYTES', maxLength: '2' }, ['AP8=', 'AAEC']],
  [{ type: 'INT64' }, ['9223372036854775807', '-9223372036854775808', '1e3']],
  [{ type: 'FLOAT64' }, ['1.5e308', 'NaN', '-inf']],
  [{ type: 'BOOL' }, ['true', '0']],
  [{ type: 'NUMERIC' }, ['99999999999999999999999999999.999999999', '1e10']],
  [{ type: 'NUMERIC', precision: '5', scale: '2' }, ['999.99', '-999.994', '999.995', '0.005']],
  [{ type: 'NUMERIC', precision: '3', scale: '3' }, ['0.999', '0.9995', '1', '-0.1']],
  [{ type: 'NUMERIC', precision: '4' }, ['9999', '9999.5', '-0.5']],
  [{ type: 'BIGNUMERIC' }, [BIGNUMERIC_MAX, `-${BIGNUMERIC_MAX}`, '1e-38']],
  [{ type: 'BIGNUMERIC', precision: '40', scale: '20' }, [`${'9'.repeat(20)}.${'9'.repeat(20)}`, '1e-21']],
  [{ type: 'BIGNUMERIC', precision: '76', scale: '38' }, [`${'9'.repeat(38)}.${'9'.repeat(38)}`, '1e38']],
  [{ type: 'TIMESTAMP' }, ['9999-12-31T23:59:59.999999Z', '0001-01-01 00:00:00', '1700000000.5', '-62135596800']],
  [{ type: 'DATE' }, ['9999-12-31', '0001-1-1']],
  [{ type: 'TIME' }, ['23:59:59.999999', '0:0:0']],
  [{ type: 'DATETIME' }, ['9999-12-31 23:59:59.999999', '0001-1-1']],
  [{ type: 'JSON' }, ['{"a":[1,null]}', '1e5', '"x\\u0000"']],
  [
    { type: 'INTERVAL' },
    ['1-2 3 4:5:6.789012', 'P1Y2M3W3DT4H5M6.5S', '-10000-0 0 0:0:0', '0-0 3660000 -87840000:0:0', 'PT87840000H'],
  ],
]

const CHARACTERS = '0123456789-+:. TZeEPYMWDHSnf/ü"'

function variations(near: readonly string[]): string[] {
  const edits = fc.array(fc.tuple(fc.nat(80), fc.nat(2), fc.constantFrom(...CHARACTERS, '')), { maxLength: 2 })
  const edited = fc.tuple(fc.constantFrom(...near), edits).map(([text, list]) => {
    const letters = [...text]
    for (const [at, deleted, letter] of list) letters.splice(at % (letters.length + 1), deleted, letter)
    return letters.join('')
  })
  return [...new Set([...near, ...fc.sample(edited, 1000)])]
}

test('what the codec takes, the service takes', async (t: TestContext) => {
  const { warehouse } = await openReadBack(t)
  for (const [index, [column, near]] of COLUMNS.entries()) {
    const codec = compileRoute(routeOf({}), recordFromTableSchema([{ name: 'v', ...column }], 't', 't'))
    const out = new RowBuffer(64)
    const taken = variations(near)
      .flatMap((text) => [text, JSON.stringify(text)])
      .filter((value) => {
        const event = Buffer.from(`{"v":${value}}`)
        return codec.encode(event, 0, event.length, NOWHERE, out) === undefined
      })
    assert.ok(taken.length > 3, JSON.stringify(column))
    const table = { project: 'ppp-ppp', dataset: 'd', table: `c${index}` }
    await warehouse.ensureTable(table, { fields: codec.fields })
    const appender = warehouse.openAppender(await warehouse.createStream(table, 'COMMITTED'), codec.descriptor)
    const answer = await appender.append(out.slice(), 0)
    appender.close()
    const refused = answer.kind === 'refused' ? answer.rows.map(({ index: row, message }) => [taken[row], message]) : []
    assert.deepEqual([answer.kind, refused], ['written', []], JSON.stringify(column))
  }
})
