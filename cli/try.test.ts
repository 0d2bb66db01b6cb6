import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { folderWith, millrace } from '../test/support/command.ts'

const CONFIG = `{ project: p, dataset: d, bucket: bbb, routes: { e: { schema: e.json, table: e } } }`
const SCHEMA = '[{"name":"id","type":"INT64"}]'
const GOOD = '{"id":1}\n{"id":2}\n'
const BAD = '{"id":1}\n{"id":"x"}\n'

const parse = (stdout: string) =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<'row' | 'deadLetter', Record<string, unknown>>)

test('rows as JSON lines, the count on stderr, exit 0', async (t) => {
  const folder = folderWith(t, { 'millrace.yaml': CONFIG, 'e.json': SCHEMA, log: GOOD, 'log.gz': gzipSync(GOOD) })
  for (const file of ['log', 'log.gz', '-']) {
    const { code, stdout, stderr } = await millrace(folder, ['try', 'e', file], Buffer.from(GOOD))
    assert.deepEqual([code, stderr], [0, '2 rows, 0 dead letters\n'], file)
    assert.deepEqual(
      parse(stdout).map(({ row }) => row['id']),
      ['1', '2'],
    )
    assert.partialDeepStrictEqual(parse(stdout)[1], { row: { millrace: { source: file, position: '9', size: '9' } } })
  }
})

test('dead letters: exit 1', async (t) => {
  const folder = folderWith(t, { 'millrace.yaml': CONFIG, 'e.json': SCHEMA, log: BAD })
  const { code, stdout } = await millrace(folder, ['try', 'e', 'log'])
  assert.equal(code, 1)
  const [, second] = parse(stdout)
  assert.partialDeepStrictEqual(second, {
    deadLetter: { reason: 'invalid_value', field: 'id', position: '9', size: '11' },
  })
})

test('what cannot be tried: exit 2', async (t) => {
  const folder = folderWith(t, { 'millrace.yaml': CONFIG, 'e.json': SCHEMA, 'cut.gz': gzipSync(GOOD).subarray(0, 20) })
  const cases: [args: string[], error: RegExp][] = [
    [['x', 'log'], /there is no route x\nfix: use one of: e/],
    [['e', 'missing'], /cannot read missing: /],
    [['e', '.'], /cannot read \.: /],
    [['e', 'cut.gz'], /cut.gz: cannot be decompressed/],
  ]
  for (const [args, error] of cases) {
    const { code, stderr } = await millrace(folder, ['try', ...args])
    assert.equal(code, 2)
    assert.match(stderr, error)
  }
})
