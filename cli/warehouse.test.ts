import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, suite, test } from 'node:test'
import { bigQueryFor, folderWith, millrace } from '../test/support/command.ts'

// The commands that ask BigQuery: query, schema, audit, check.

const SCHEMA = [{ name: 'id', type: 'INT64', mode: 'REQUIRED' }]
const NOWHERE = "endpoints: { bigquery: 'http://127.0.0.1:1', bigquery_storage: '127.0.0.1:1' }"

const configOf = (endpoints: string, more: string) =>
  `{ project: p, dataset: d, bucket: bbb, routes: { e: { schema: e.json, table: e${more} } }, ${endpoints} }`

/** A folder with a configuration, and a way to run a command there. `more`: of the route. */
async function project(t: TestContext, cloud = true, more = '') {
  const { server, endpoints } = cloud ? await bigQueryFor(t) : { server: undefined, endpoints: NOWHERE }
  const folder = folderWith(t, { 'millrace.yaml': configOf(endpoints, more), 'e.json': JSON.stringify(SCHEMA) })
  return {
    /** BigQuery's REST interface; the path behind that of the project. */
    rest: async (method: string, path: string, body?: object) => {
      const headers = { 'content-type': 'application/json' }
      const url = `${server?.rest}/bigquery/v2/projects/p/${path}`
      const response = await fetch(url, { method, headers, ...(body && { body: JSON.stringify(body) }) })
      assert.ok(response.ok, `${method} ${path}: ${response.status}`)
      return (await response.json()) as Record<string, unknown>
    },
    setSchema: (schema: object[]) => writeFileSync(join(folder, 'e.json'), JSON.stringify(schema)),
    run: (...args: string[]) => millrace(folder, args),
  }
}

void suite('commands that ask BigQuery', { concurrency: 2 }, () => {
  test('query prints JSON lines in the form of try', async (t) => {
    const { run } = await project(t)
    const sql =
      "SELECT 9007199254740993 AS i, NUMERIC '1.50' AS n, TIMESTAMP '2024-01-02 03:04:05+01' AS t, b'ab' AS y, CAST(NULL AS STRING) AS nothing, [] AS none, 0.5 AS f, TRUE AS b"
    const { code, stdout, stderr } = await run('query', sql)
    assert.deepEqual([code, stderr], [0, ''])
    assert.deepEqual(JSON.parse(stdout), {
      i: '9007199254740993',
      n: '1.5',
      t: '2024-01-02T02:04:05.000000Z',
      y: 'YWI=',
      f: 0.5,
      b: true,
    })
  })

  test('query with broken SQL: exit 2, and what BigQuery says', async (t) => {
    const { run } = await project(t)
    const { code, stdout, stderr } = await run('query', 'SELECT nothing_such')
    assert.deepEqual([code, stdout], [2, ''])
    assert.match(stderr, /invalidQuery: .*nothing_such/)
    assert.doesNotMatch(stderr, /^ +at /m)
  })

  test('schema: printed, compared, applied, compared again', async (t) => {
    const { run, setSchema } = await project(t)
    const printed = JSON.parse((await run('schema', 'e')).stdout) as { name: string }[]
    assert.deepEqual(
      printed.map(({ name }) => name),
      ['id', 'millrace', 'extra'],
    )
    assert.deepEqual(await run('schema', 'e', '--diff'), {
      code: 1,
      stdout: 'p.d.e: there is no such table\n',
      stderr: '',
    })
    assert.equal((await run('schema', 'e', '--apply')).stdout, 'p.d.e: created\n')
    assert.deepEqual(await run('schema', 'e', '--diff'), { code: 0, stdout: '', stderr: '' })
    setSchema([
      { name: 'id', type: 'INT64' },
      { name: 'more', type: 'DATE' },
    ])
    assert.deepEqual(await run('schema', 'e', '--diff'), {
      code: 1,
      stdout: '+ id (no longer REQUIRED)\n+ more\n',
      stderr: '',
    })
    assert.equal((await run('schema', 'e', '--apply')).stdout, 'p.d.e: patched, gained id (no longer REQUIRED), more\n')
  })

  test("schema: a table is made with the route's partitioning, clustering, labels and expiry", async (t) => {
    const rest = async (more: string) => {
      const { run, rest: ask } = await project(
        t,
        true,
        `, labels: { team: web }, cluster: [id], expire_after: 2d${more}`,
      )
      assert.equal((await run('schema', 'e', '--apply')).stdout, 'p.d.e: created\n')
      return ask('GET', 'datasets/d/tables/e')
    }
    const [hourly, whole] = await Promise.all([rest(', partition: { by: hour }'), rest(', partition: { by: none }')])
    const [clustering, labels, expirationMs] = [{ fields: ['id'] }, { team: 'web' }, `${2 * 24 * 3_600_000}`]
    assert.partialDeepStrictEqual(hourly, { clustering, labels, timePartitioning: { type: 'HOUR', expirationMs } })
    assert.partialDeepStrictEqual(whole, { clustering, labels })
    assert.ok(Math.abs(Number(whole['expirationTime']) - Number(expirationMs) - Date.now()) < 60_000)
    assert.deepEqual([hourly['expirationTime'], whole['timePartitioning']], [undefined, undefined])
  })

  test("schema: a table of the user's own gets the column millrace with --apply, and keeps its own", async (t) => {
    const { run, rest } = await project(t)
    await rest('POST', 'datasets', { datasetReference: { projectId: 'p', datasetId: 'd' } })
    const fields = ['id', 'own'].map((name) => ({ name, type: 'INT64' }))
    const tableReference = { projectId: 'p', datasetId: 'd', tableId: 'e' }
    await rest('POST', 'datasets/d/tables', { tableReference, schema: { fields } })
    assert.deepEqual(await run('schema', 'e', '--diff'), { code: 1, stdout: '+ millrace\n+ extra\n', stderr: '' })
    assert.equal((await run('schema', 'e', '--apply')).stdout, 'p.d.e: patched, gained millrace, extra\n')
    const { schema } = (await rest('GET', 'datasets/d/tables/e')) as { schema: { fields: { name: string }[] } }
    assert.deepEqual(
      schema.fields.map(({ name }) => name),
      ['id', 'own', 'millrace', 'extra'],
    )
  })

  test('schema: what BigQuery cannot do is refused side by side, with a way out', async (t) => {
    const { run, setSchema } = await project(t)
    await run('schema', 'e', '--apply')
    setSchema([{ name: 'id', type: 'STRING' }])
    for (const option of ['--diff', '--apply']) {
      const { code, stderr } = await run('schema', 'e', option)
      assert.equal(code, 2)
      assert.match(stderr, /id: INT64 in the table, STRING in the route's schema/)
      assert.match(stderr, /the table +the route's schema\n +id INT64 REQUIRED +id STRING\n/)
      assert.match(stderr, /\nfix: give the changed column another name, name another table/)
    }
  })

  test('audit: nothing there is no fault; its report is the last line', async (t) => {
    const { run } = await project(t)
    await run('schema', 'e', '--apply')
    const { code, stdout } = await run('audit', '--day', '2024-01-02')
    assert.equal(code, 0)
    assert.partialDeepStrictEqual(JSON.parse(stdout), { sources: 0, faults: 0 })
  })

  test('check: the configuration, resolved on request', async (t) => {
    const { run, setSchema } = await project(t, false)
    assert.match((await run('check')).stdout, /1 routes, 0 logs, all well\n$/)
    assert.match((await run('check', '--print')).stdout, /^ +finish_after: 60000$/m)
    setSchema([{ name: 'id', type: 'BLOB' }])
    const { code, stderr } = await run('check')
    assert.equal(code, 2)
    assert.match(stderr, /routes.e: .*BLOB.*; fix: /)
  })

  test('nobody there: exit 2, and where it looked', async (t) => {
    const { run } = await project(t, false)
    const { code, stderr } = await run('query', 'SELECT 1')
    assert.equal(code, 2)
    assert.match(stderr, /127\.0\.0\.1:1\b/)
    assert.doesNotMatch(stderr, /^ +at /m)
  })
})
