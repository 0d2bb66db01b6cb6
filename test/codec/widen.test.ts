import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { openCodec, RowBuffer, type RowCodec } from '../../shared/codec/index.ts'
import { loadConfig } from '../../shared/config/index.ts'
import { openWarehouse } from '../../shared/warehouse/index.ts'
import { bigQueryFor, folderWith, millrace } from '../support/command.ts'
import { NOWHERE } from '../support/rows.ts'

// Schema change on its whole way: a table with rows, `millrace schema --apply`, and rows of the new schema.

const TABLE = { project: 'ppp-ppp', dataset: 'd', table: 'e' }

/** A route, its table, and rows through the product's own writer. */
async function project(t: TestContext, columns: object[]) {
  const { endpoints } = await bigQueryFor(t)
  const folder = folderWith(t, {
    'millrace.yaml': `{ project: ppp-ppp, dataset: d, bucket: bbb, routes: { e: { schema: e.json, table: e } }, ${endpoints} }`,
  })
  const setSchema = (wanted: object[]) => writeFileSync(join(folder, 'e.json'), JSON.stringify(wanted))
  setSchema(columns)
  const config = loadConfig(join(folder, 'millrace.yaml'), {})
  const warehouse = openWarehouse(config, 'test')
  t.after(() => warehouse.close())
  const route = config.routes['e']
  assert.ok(route)
  const append = async (codec: RowCodec, ...events: object[]) => {
    const out = new RowBuffer(64)
    for (const event of events) {
      const bytes = Buffer.from(JSON.stringify(event))
      assert.equal(codec.encode(bytes, 0, bytes.length, NOWHERE, out), undefined, bytes.toString())
    }
    const appender = warehouse.openAppender(await warehouse.createStream(TABLE, 'COMMITTED'), codec.descriptor)
    const answer = await appender.append(out.slice(), 0)
    appender.close()
    return answer.kind
  }
  return {
    setSchema,
    append,
    codec: () => openCodec(route),
    run: (...args: string[]) => millrace(folder, args),
    rows: (sql: string) => Array.fromAsync(warehouse.query(sql)),
  }
}

const WIDER: readonly (readonly [from: string, to: string])[] = [
  ['INT64', 'NUMERIC'],
  ['INT64', 'BIGNUMERIC'],
  ['INT64', 'FLOAT64'],
  ['NUMERIC', 'BIGNUMERIC'],
  ['NUMERIC', 'FLOAT64'],
]

test('numbers are widened, with the rows that are there', async (t) => {
  const columns = (side: 0 | 1) => [
    { name: 'id', type: 'INT64' },
    ...WIDER.map((types, index) => ({ name: `c${index}`, type: types[side] })),
  ]
  const { append, codec, run, rows, setSchema } = await project(t, columns(0))
  assert.equal((await run('schema', 'e', '--apply')).code, 0)
  const former = codec()
  const whole = { c0: '9223372036854775807', c1: '-9223372036854775808', c2: 3, c3: '12345.50', c4: '-0.5' }
  assert.equal(await append(former, { id: 1, ...whole }, { id: 2 }), 'written')

  setSchema(columns(1))
  const list = WIDER.map(([from, to], index) => `c${index} (${from} widened to ${to})`)
  assert.deepEqual(await run('schema', 'e', '--diff'), {
    code: 1,
    stdout: list.map((line) => `+ ${line}\n`).join(''),
    stderr: '',
  })
  assert.equal((await run('schema', 'e', '--apply')).stdout, `ppp-ppp.d.e: patched, gained ${list.join(', ')}\n`)
  assert.deepEqual(await run('schema', 'e', '--diff'), { code: 0, stdout: '', stderr: '' })

  const wide = { c0: '9223372036854775808.5', c1: '1e-38', c2: 0.25, c3: '1e30', c4: 1e300 }
  assert.equal(await append(codec(), { id: 3, ...wide }), 'written')
  assert.deepEqual(await rows('SELECT * EXCEPT (millrace, extra) FROM d.e ORDER BY id'), [
    { id: '1', c0: '9223372036854775807', c1: '-9223372036854775808', c2: 3, c3: '12345.5', c4: -0.5 },
    { id: '2' },
    {
      id: '3',
      c0: '9223372036854775808.5',
      c1: '0.00000000000000000000000000000000000001',
      c2: 0.25,
      c3: '1000000000000000000000000000000',
      c4: 1e300,
    },
  ])
})

test('limits are widened, and hold for the next row', async (t) => {
  const columns = (maxLength: string, precision: string) => [
    { name: 'id', type: 'INT64' },
    { name: 's', type: 'STRING', maxLength },
    { name: 'n', type: 'NUMERIC', precision, scale: '2' },
  ]
  const { append, codec, run, rows, setSchema } = await project(t, columns('3', '4'))
  await run('schema', 'e', '--apply')
  assert.equal(await append(codec(), { id: 1, s: 'abc', n: 99.99 }), 'written')
  setSchema(columns('5', '6'))
  const list = 's (STRING(3) widened to STRING(5)), n (NUMERIC(4, 2) widened to NUMERIC(6, 2))'
  assert.equal((await run('schema', 'e', '--apply')).stdout, `ppp-ppp.d.e: patched, gained ${list}\n`)
  assert.deepEqual(await run('schema', 'e', '--diff'), { code: 0, stdout: '', stderr: '' })
  assert.equal(await append(codec(), { id: 2, s: 'abcde', n: 9999.99 }), 'written')
  assert.deepEqual(await rows('SELECT id, s, n FROM d.e ORDER BY id'), [
    { id: '1', s: 'abc', n: '99.99' },
    { id: '2', s: 'abcde', n: '9999.99' },
  ])
})

test('what is gained and relaxed at any depth is there for the next row', async (t) => {
  const inner = (...more: object[]) => [{ name: 'x', type: 'STRING', mode: 'REQUIRED' }, ...more]
  const { append, codec, run, rows, setSchema } = await project(t, [
    { name: 'id', type: 'INT64', mode: 'REQUIRED' },
    { name: 'r', type: 'RECORD', fields: inner() },
    { name: 'rs', type: 'RECORD', mode: 'REPEATED', fields: inner() },
  ])
  await run('schema', 'e', '--apply')
  assert.equal(await append(codec(), { id: 1, r: { x: 'a' }, rs: [{ x: 'b' }] }), 'written')
  const relaxed = [
    { name: 'x', type: 'STRING' },
    { name: 'y', type: 'INT64', mode: 'REPEATED' },
  ]
  setSchema([
    { name: 'id', type: 'INT64' },
    { name: 'r', type: 'RECORD', fields: relaxed },
    { name: 'rs', type: 'RECORD', mode: 'REPEATED', fields: relaxed },
    { name: 'days', type: 'DATE', mode: 'REPEATED' },
  ])
  assert.equal(
    (await run('schema', 'e', '--apply')).stdout,
    'ppp-ppp.d.e: patched, gained id (no longer REQUIRED), r.x (no longer REQUIRED), r.y, rs.x (no longer REQUIRED), rs.y, days\n',
  )
  assert.equal(await append(codec(), { r: { y: [1] }, rs: [{}, { y: [2, 3] }], days: ['2024-01-02'] }), 'written')
  assert.deepEqual(await rows('SELECT * EXCEPT (millrace, extra) FROM d.e ORDER BY id DESC'), [
    { id: '1', r: { x: 'a' }, rs: [{ x: 'b' }] },
    { r: { y: ['1'] }, rs: [{}, { y: ['2', '3'] }], days: ['2024-01-02'] },
  ])
})

/** What BigQuery cannot do without a rewrite, and the words for it. */
const REFUSED: readonly (readonly [from: object, to: object | undefined, problem: RegExp])[] = [
  [{ type: 'INT64' }, { type: 'STRING' }, /c: INT64 in the table, STRING in the route's schema/],
  [{ type: 'BYTES' }, { type: 'STRING' }, /c: BYTES in the table, STRING in/],
  [{ type: 'FLOAT64' }, { type: 'NUMERIC' }, /c: FLOAT64 in the table, NUMERIC in/],
  [{ type: 'STRING' }, { type: 'STRING', mode: 'REPEATED' }, /c: NULLABLE in the table, REPEATED in/],
  [{ type: 'STRING', mode: 'REPEATED' }, { type: 'STRING' }, /c: REPEATED in the table, NULLABLE in/],
  [{ type: 'INT64', mode: 'REPEATED' }, { type: 'NUMERIC', mode: 'REPEATED' }, /array it cannot be widened/],
  [{ type: 'STRING', mode: 'REQUIRED' }, undefined, /c: REQUIRED in the table, absent from/],
  [
    { type: 'RECORD', fields: [{ name: 'x', type: 'INT64' }] },
    { type: 'RECORD', fields: [{ name: 'x', type: 'FLOAT64' }] },
    /c\.x: INT64 in the table, FLOAT64 in the route's schema; inside a RECORD/,
  ],
  [{ type: 'JSON' }, { type: 'RECORD', fields: [{ name: 'x', type: 'INT64' }] }, /c: JSON in the table, RECORD in/],
]

test('what BigQuery cannot do is refused, and the table stays as it was', async (t) => {
  const { run, setSchema } = await project(t, [
    { name: 'id', type: 'INT64' },
    ...REFUSED.map(([from], index) => ({ name: `c${index}`, ...from })),
  ])
  await run('schema', 'e', '--apply')
  setSchema([
    { name: 'id', type: 'INT64' },
    ...REFUSED.flatMap(([, to], index) => (to ? [{ name: `c${index}`, ...to }] : [])),
    { name: 'late', type: 'INT64', mode: 'REQUIRED' },
  ])
  const { code, stderr } = await run('schema', 'e', '--apply')
  assert.equal(code, 2)
  for (const [index, [, , problem]] of REFUSED.entries())
    assert.match(
      stderr,
      new RegExp(problem.source.replaceAll('c', (letter, at: number) => (at === 0 ? `c${index}` : letter))),
    )
  assert.match(stderr, /late: a REQUIRED column cannot be added/)
  assert.match(stderr, /the table +the route's schema\n +id INT64 +id INT64\n +c0 INT64 +c0 STRING\n/)
  assert.match(stderr, /\nfix: give the changed column another name/)
  assert.match(
    (await run('query', "SELECT COUNT(*) AS n FROM d.INFORMATION_SCHEMA.COLUMNS WHERE column_name = 'late'")).stdout,
    /"n":"0"/,
  )
})
