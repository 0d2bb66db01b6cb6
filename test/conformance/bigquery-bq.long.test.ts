import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { needsTool } from '../support/tools.ts'
import { BigQueryProcess, PROJECT } from './bigquery-process.ts'

/** Google's own `bq` against the local BigQuery: what the documents tell a user to type. */

const run = promisify(execFile)
const HAS_BQ = spawnSync('bq', ['version']).status === 0
const SCHEMA = [
  { name: 'id', type: 'INTEGER', mode: 'REQUIRED' },
  { name: 'seen', type: 'TIMESTAMP' },
  { name: 'day', type: 'DATE' },
  { name: 'tags', type: 'STRING', mode: 'REPEATED' },
]

let server: BigQueryProcess
before(async () => {
  server = await BigQueryProcess.start()
})
after(() => server.dispose())

/** The output of a command; it rejects with what bq printed when bq fails. */
async function bq(...args: string[]): Promise<string> {
  const common = ['--api', server.rest, '--oauth_access_token=x', `--project_id=${PROJECT}`, '--headless', '--quiet']
  try {
    return (await run('bq', [...common, ...args])).stdout
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    throw new Error(stdout + stderr, { cause: error })
  }
}

async function query(sql: string, ...flags: string[]): Promise<unknown> {
  const output = await bq('--format=json', 'query', '--use_legacy_sql=false', ...flags, sql)
  return JSON.parse(output) as unknown
}

test('bq: mk, ls, show, query, head, cp, update, rm', async (t) => {
  if (!needsTool(t, 'bq', HAS_BQ)) return
  const schema = join(server.dataDir, 'schema.json')
  writeFileSync(schema, JSON.stringify(SCHEMA))
  await bq('mk', '--dataset', 'shop')
  await bq('mk', '--table', '--time_partitioning_field=day', 'shop.visits', schema)
  assert.match(await bq('ls', 'shop'), /visits +TABLE +DAY \(field: day\)/)
  assert.deepEqual(JSON.parse(await bq('show', '--schema', 'shop.visits')), SCHEMA)
  const insert = `INSERT INTO shop.visits (id, seen, day, tags)
    VALUES (1, TIMESTAMP '2026-01-02 03:04:05+00', DATE '2026-01-02', ['a', 'b']), (2, NULL, DATE '2026-01-03', [])`
  assert.match(await bq('query', '--use_legacy_sql=false', insert), /Number of affected rows: 2/)
  assert.deepEqual(await query('SELECT id, seen, day, tags FROM shop.visits ORDER BY id'), [
    { id: '1', seen: '2026-01-02 03:04:05', day: '2026-01-02', tags: ['a', 'b'] },
    { id: '2', seen: null, day: '2026-01-03', tags: [] },
  ])
  assert.deepEqual(await query('SELECT COUNT(*) AS n FROM shop.visits WHERE id > @low', '--parameter=low:INT64:1'), [
    { n: '1' },
  ])
  assert.equal((JSON.parse(await bq('--format=json', 'head', '-n', '1', 'shop.visits')) as unknown[]).length, 1)
  await bq('cp', 'shop.visits', 'shop.copy')
  await bq('cp', '-f', 'shop.copy$20260103', 'shop.visits$20260103')
  assert.deepEqual(await query('SELECT COUNT(*) AS n FROM shop.visits'), [{ n: '2' }])
  await bq('update', '--description', 'hits', 'shop.visits')
  assert.match(await bq('--format=json', 'show', 'shop.visits'), /"description":"hits"/)
  await bq('rm', '-f', '-t', 'shop.copy')
  await bq('rm', '-r', '-f', '--dataset', 'shop')
  assert.equal((await bq('ls')).trim(), '')
})

test('bq: errors are told in its own words', async (t) => {
  if (!needsTool(t, 'bq', HAS_BQ)) return
  await assert.rejects(query('SELECT * FROM nowhere.nothing'), /Not found:\s(Table|Dataset)\sconformance:nowhere/)
  await assert.rejects(query('SELEC 1'), /Syntax error/)
  await assert.rejects(bq('query', '--use_legacy_sql=true', 'SELECT 1'), /Legacy\sSQL/)
  await assert.rejects(bq('show', 'nowhere.nothing'), /Not found/)
})
