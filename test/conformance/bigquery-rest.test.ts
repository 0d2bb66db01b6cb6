import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import type { BigQuery } from '@google-cloud/bigquery'
import { BigQueryProcess, PROJECT } from './bigquery-process.ts'
import { AppendConnection, rowType } from './bigquery-rows.ts'

/** The REST API through the official client. After each case the server is killed with kill -9 and everything must still be there. */

let server: BigQueryProcess
let bigquery: BigQuery
let names = 0

before(async () => {
  server = await BigQueryProcess.start()
  bigquery = server.bigquery()
  await bigquery.createDataset('d')
})

afterEach(async () => {
  await server.faults.clear()
  const kept = await inventory()
  await server.killAndRestart()
  bigquery = server.bigquery()
  assert.deepEqual(await inventory(), kept)
})

after(() => server.dispose())

/** The metadata of every table of the dataset; the count of rows not yet in DuckDB is the server's own affair. */
async function inventory() {
  const [tables] = await bigquery.dataset('d').getTables()
  return Promise.all(tables.map(async (table) => (await table.getMetadata())[0]))
}

interface Row {
  id: number
  day?: string
}

const SCHEMA = {
  fields: [
    { name: 'id', type: 'INT64' },
    { name: 'day', type: 'DATE' },
  ],
}
const ROW = rowType({ id: 'int64', day: 'string' })

async function newTable(options: object = { schema: SCHEMA }): Promise<string> {
  const name = `r${++names}`
  await bigquery.dataset('d').createTable(name, options)
  return name
}

async function write(table: string, rows: Row[]): Promise<void> {
  const connection = new AppendConnection(server.writeClient())
  const writeStream = `projects/${PROJECT}/datasets/d/tables/${table}/streams/_default`
  const response = await connection.send({ writeStream, type: ROW, rows: rows.map((row) => ROW.encode({ ...row })) })
  assert.equal(response.error, undefined)
  await connection.close()
}

async function query<T = Record<string, unknown>>(sql: string, more: object = {}): Promise<T[]> {
  const [rows] = await bigquery.query({ query: sql, useLegacySql: false, ...more })
  return rows as T[]
}

const idsOf = async (table: string) => (await query<Row>(`SELECT id FROM d.${table} ORDER BY id`)).map(({ id }) => id)

interface ApiFailure {
  code: number
  message: string
  errors: { reason: string }[]
}

async function failure(call: Promise<unknown>): Promise<ApiFailure> {
  try {
    await call
  } catch (error) {
    return error as ApiFailure
  }
  assert.fail('the call should have failed')
}

test('datasets: insert, get, patch, list, delete; 409 for a duplicate, 400 while it is in use', async () => {
  const [dataset] = await bigquery.createDataset('other', { location: 'EU' })
  const duplicate = await failure(bigquery.createDataset('other'))
  assert.deepEqual([duplicate.code, duplicate.errors[0]?.reason], [409, 'duplicate'])
  assert.match(duplicate.message, /Already Exists: Dataset conformance:other/)
  await dataset.setMetadata({ description: 'x', labels: { a: 'b' } })
  const [metadata] = await dataset.getMetadata()
  assert.deepEqual([metadata.description, metadata.labels, metadata.location], ['x', { a: 'b' }, 'EU'])
  assert.deepEqual(
    (await bigquery.getDatasets())[0].map(({ id }) => id),
    ['d', 'other'],
  )
  await dataset.createTable('t', { schema: SCHEMA })
  assert.equal((await failure(dataset.delete())).errors[0]?.reason, 'resourceInUse')
  await dataset.delete({ force: true })
  assert.equal((await failure(dataset.getMetadata())).code, 404)
})

test('tables: insert answers the schema in canonical names; 409 for a duplicate, 404 without its dataset', async () => {
  const name = await newTable({
    schema: SCHEMA,
    description: 'hits',
    clustering: { fields: ['id'] },
    timePartitioning: { type: 'DAY', field: 'day' },
  })
  const [metadata] = await bigquery.dataset('d').table(name).getMetadata()
  assert.deepEqual(metadata.schema.fields, [
    { name: 'id', type: 'INTEGER' },
    { name: 'day', type: 'DATE' },
  ])
  assert.deepEqual([metadata.type, metadata.description, metadata.numRows], ['TABLE', 'hits', '0'])
  assert.deepEqual(metadata.timePartitioning, { type: 'DAY', field: 'day' })
  assert.equal((await failure(bigquery.dataset('d').createTable(name, { schema: SCHEMA }))).code, 409)
  const orphan = await failure(bigquery.dataset('nowhere').createTable('t', { schema: SCHEMA }))
  assert.match(orphan.message, /Not found: Dataset conformance:nowhere/)
})

test('tables: names, types, reserved prefixes and partitioning are checked', async () => {
  const refused: [options: object, reason: RegExp][] = [
    [{ schema: { fields: [{ name: '1a', type: 'STRING' }] } }, /Invalid field name/],
    [{ schema: { fields: [{ name: '_PARTITION_x', type: 'STRING' }] } }, /reserved prefix/],
    [{ schema: { fields: [{ name: 'a', type: 'TEXT' }] } }, /not a valid value/],
    [
      {
        schema: {
          fields: [
            { name: 'a', type: 'STRING' },
            { name: 'A', type: 'STRING' },
          ],
        },
      },
      /already exists/,
    ],
    [{ schema: { fields: [{ name: 'a', type: 'RECORD' }] } }, /has no schema/],
    [{ schema: SCHEMA, timePartitioning: { type: 'DAY', field: 'id' } }, /only be of type TIMESTAMP, DATE or DATETIME/],
    [{ schema: SCHEMA, timePartitioning: { type: 'DAY', field: 'x' } }, /cannot be found/],
    [{ schema: SCHEMA, clustering: { fields: ['x'] } }, /cannot be found/],
  ]
  for (const [options, reason] of refused) assert.match((await failure(newTable(options))).message, reason)
})

test('tables.patch: columns are gained and relaxed; anything else is refused and changes nothing', async () => {
  const fields = [
    { name: 'id', type: 'INT64', mode: 'REQUIRED' },
    { name: 'r', type: 'RECORD', fields: [{ name: 'a', type: 'STRING' }] },
  ]
  const table = bigquery.dataset('d').table(await newTable({ schema: { fields } }))
  const patch = (next: object[]) => table.setMetadata({ schema: { fields: next } })
  const refused: [fields: object[], reason: RegExp][] = [
    [[fields[0] ?? {}], /Field r is missing in new schema/],
    [[{ name: 'id', type: 'STRING' }, fields[1] ?? {}], /Field id has changed type from INTEGER to STRING/],
    [[...fields, { name: 'n', type: 'STRING', mode: 'REQUIRED' }], /Cannot add required fields/],
    [[fields[0] ?? {}, { ...fields[1], mode: 'REPEATED' }], /Field r has changed mode from NULLABLE to REPEATED/],
  ]
  for (const [next, reason] of refused) {
    const { code, message } = await failure(patch(next))
    assert.equal(code, 400)
    assert.match(message, reason)
  }
  await patch([
    { name: 'id', type: 'INTEGER', mode: 'NULLABLE' },
    {
      name: 'r',
      type: 'STRUCT',
      fields: [
        { name: 'a', type: 'STRING' },
        { name: 'b', type: 'INT64', mode: 'REPEATED' },
      ],
    },
    { name: 'l', type: 'STRING', mode: 'REPEATED' },
  ])
  const [metadata] = await table.getMetadata()
  const shape = (list: { name: string; mode?: string }[]) => list.map(({ name, mode }) => [name, mode])
  assert.deepEqual(shape(metadata.schema.fields), [
    ['id', 'NULLABLE'],
    ['r', undefined],
    ['l', 'REPEATED'],
  ])
  assert.deepEqual(shape(metadata.schema.fields[1].fields), [
    ['a', undefined],
    ['b', 'REPEATED'],
  ])
})

test('a gained column reaches rows that are there, that wait, and that come, at every depth', async () => {
  const before = {
    fields: [
      { name: 'id', type: 'INT64' },
      { name: 'r', type: 'RECORD', mode: 'REPEATED', fields: [{ name: 'a', type: 'INT64' }] },
    ],
  }
  const name = await newTable({ schema: before })
  const narrow = rowType({ id: 'int64', r: [{ a: 'int64' }] })
  const connection = new AppendConnection(server.writeClient())
  const writeStream = `projects/${PROJECT}/datasets/d/tables/${name}/streams/_default`
  await connection.send({ writeStream, type: narrow, rows: [narrow.encode({ id: 1, r: [{ a: 1 }] })] })
  assert.deepEqual(await idsOf(name), [1])
  await connection.send({ rows: [narrow.encode({ id: 2, r: [{ a: 2 }] })] })
  const inner = [
    { name: 'a', type: 'INT64' },
    { name: 'b', type: 'STRING' },
  ]
  const fields = [
    { name: 'id', type: 'INT64' },
    { name: 'r', type: 'RECORD', mode: 'REPEATED', fields: inner },
    { name: 't', type: 'STRING', mode: 'REPEATED' },
  ]
  await bigquery.dataset('d').table(name).setMetadata({ schema: { fields } })
  const wide = rowType({ id: 'int64', r: [{ a: 'int64', b: 'string' }], t: 'repeated string' })
  await connection.send({ type: wide, rows: [wide.encode({ id: 3, r: [{ b: 'x' }], t: ['y'] })] })
  await connection.close()
  assert.deepEqual(await query(`SELECT * FROM d.${name} ORDER BY id`), [
    { id: 1, r: [{ a: 1, b: null }], t: [] },
    { id: 2, r: [{ a: 2, b: null }], t: [] },
    { id: 3, r: [{ a: null, b: 'x' }], t: ['y'] },
  ])
})

test('etag: If-Match of an older state is 412', async () => {
  const table = bigquery.dataset('d').table(await newTable())
  const [{ etag }] = await table.getMetadata()
  const patch = (ifMatch: string) =>
    fetch(`${server.rest}/bigquery/v2/projects/${PROJECT}/datasets/d/tables/${table.id}`, {
      method: 'PATCH',
      headers: { 'if-match': ifMatch, 'content-type': 'application/json' },
      body: JSON.stringify({ description: ifMatch }),
    })
  assert.equal((await patch(etag)).status, 200)
  const stale = await patch(etag)
  const { error } = (await stale.json()) as { error: { status: string; errors: { reason: string }[] } }
  assert.deepEqual(
    [stale.status, error.status, error.errors[0]?.reason],
    [412, 'FAILED_PRECONDITION', 'conditionNotMet'],
  )
})

test('a table that is deleted and made again has no rows and no streams of the former one', async () => {
  const name = await newTable()
  await write(name, [{ id: 1 }])
  const parent = `projects/${PROJECT}/datasets/d/tables/${name}`
  const [stream] = await server.writeClient().createWriteStream({ parent, writeStream: { type: 'COMMITTED' } })
  await bigquery.dataset('d').table(name).delete()
  await assert.rejects(query(`SELECT * FROM d.${name}`), /Not found: Table/)
  await bigquery.dataset('d').createTable(name, { schema: SCHEMA })
  assert.deepEqual(await idsOf(name), [])
  await assert.rejects(server.writeClient().getWriteStream({ name: stream.name ?? '' }), /Invalid stream name/)
})

test('queries: parameters, named and positional, and a default dataset', async () => {
  const name = await newTable()
  await write(name, [{ id: 1 }, { id: 2 }, { id: 3, day: '2026-01-31' }])
  const named = await query(`SELECT id FROM ${name} WHERE id > @low AND id IN UNNEST(@ids)`, {
    params: { low: 1, ids: [1, 2] },
    defaultDataset: { datasetId: 'd', projectId: PROJECT },
  })
  assert.deepEqual(named, [{ id: 2 }])
  assert.deepEqual(await query(`SELECT id FROM d.${name} WHERE id = ?`, { params: [3] }), [{ id: 3 }])
})

test('queries: paging gives every row once', async () => {
  const name = await newTable()
  await write(
    name,
    Array.from({ length: 2_500 }, (_, id) => ({ id })),
  )
  const [job] = await bigquery.createQueryJob({ query: `SELECT id FROM d.${name} ORDER BY id`, useLegacySql: false })
  const ids: number[] = []
  let next: object | null = { maxResults: 1_000, autoPaginate: false }
  for (let pages = 1; next !== null; pages++) {
    const [rows, more] = (await job.getQueryResults(next)) as unknown as [Row[], object | null]
    ids.push(...rows.map(({ id }) => id))
    assert.ok(pages <= 3)
    next = more
  }
  assert.deepEqual(
    ids,
    Array.from({ length: 2_500 }, (_, id) => id),
  )
})

test('queries: a large result is read by pages with bounded memory', async () => {
  const sql = 'SELECT n, REPEAT("x", 100) AS x FROM UNNEST(GENERATE_ARRAY(1, 200000)) AS n'
  const [job] = await bigquery.createQueryJob({ query: sql, useLegacySql: false })
  let [count, sum] = [0, 0]
  for await (const row of job.getQueryResultsStream() as AsyncIterable<{ n: number }>) {
    count++
    sum += row.n
  }
  assert.deepEqual([count, sum], [200_000, 20_000_100_000])
})

test('queries: errors have the form of the API', async () => {
  const syntax = await failure(query('SELEC 1'))
  assert.deepEqual([syntax.code, syntax.errors[0]?.reason], [400, 'invalidQuery'])
  const missing = await failure(query('SELECT * FROM d.nothing'))
  assert.deepEqual([missing.code, missing.errors[0]?.reason], [404, 'notFound'])
  assert.match(missing.message, /Not found: Table conformance:d.nothing/)
  const job = await failure(
    bigquery.createQueryJob({ query: 'SELECT nope', useLegacySql: false }).then(([made]) => made.getQueryResults()),
  )
  assert.match(job.message, /nope/)
})

test('jobs: an id is used once', async () => {
  const jobId = 'only-once'
  const [job] = await bigquery.createQueryJob({ query: 'SELECT 1 AS x', jobId, useLegacySql: false })
  assert.deepEqual((await job.getQueryResults())[0], [{ x: 1 }])
  const again = await failure(bigquery.createQueryJob({ query: 'SELECT 1 AS x', jobId, useLegacySql: false }))
  assert.deepEqual([again.code, again.errors[0]?.reason], [409, 'duplicate'])
})

test('jobs: DML changes rows once, and its id stays used after a restart', async () => {
  const name = await newTable()
  await write(name, [{ id: 1 }, { id: 2 }, { id: 3 }])
  const options = { query: `DELETE FROM d.${name} WHERE id = 2`, jobId: `delete-${name}`, useLegacySql: false }
  const [job] = await bigquery.createQueryJob(options)
  await job.getQueryResults()
  const [metadata] = await job.getMetadata()
  assert.equal(metadata.statistics.query.numDmlAffectedRows, '1')
  await write(name, [{ id: 2 }])
  await server.killAndRestart()
  bigquery = server.bigquery()
  assert.equal((await failure(bigquery.createQueryJob(options))).code, 409)
  assert.deepEqual(await idsOf(name), [1, 2, 3])
})

test('views: made by the API and by SQL, readable, with their columns', async () => {
  const name = await newTable()
  await write(name, [{ id: 1 }, { id: 2 }])
  const view = `v_${name}`
  await bigquery
    .dataset('d')
    .createTable(view, { view: { query: `SELECT id * 2 AS twice FROM d.${name}`, useLegacySql: false } })
  const [metadata] = await bigquery.dataset('d').table(view).getMetadata()
  assert.deepEqual([metadata.type, metadata.schema.fields[0].name], ['VIEW', 'twice'])
  await write(name, [{ id: 3 }])
  assert.deepEqual(await query(`SELECT SUM(twice) AS s FROM d.${view}`), [{ s: 12 }])
  await query(`CREATE OR REPLACE VIEW d.${view} AS SELECT id + 1 AS more FROM d.${name}`)
  assert.deepEqual(await query(`SELECT SUM(more) AS s FROM d.${view}`), [{ s: 9 }])
})

test('tabledata.list: pages in the order of the rows, and selected fields', async () => {
  const name = await newTable()
  await write(
    name,
    Array.from({ length: 25 }, (_, id) => ({ id, day: '2026-02-03' })),
  )
  const [rows] = await bigquery.dataset('d').table(name).getRows()
  assert.equal(rows.length, 25)
  const [some] = await bigquery
    .dataset('d')
    .table(name)
    .getRows({ maxResults: 2, startIndex: '20', autoPaginate: false })
  assert.deepEqual(
    (some as Row[]).map(({ id }) => id),
    [20, 21],
  )
})

test('copy jobs: WRITE_TRUNCATE onto a day replaces that day alone, and only with rows of that day', async () => {
  const partitioned = { schema: SCHEMA, timePartitioning: { type: 'DAY', field: 'day' } }
  const [target, source] = [await newTable(partitioned), await newTable()]
  await write(target, [
    { id: 1, day: '2026-01-01' },
    { id: 2, day: '2026-01-02' },
    { id: 3, day: '2026-01-02' },
  ])
  await write(source, [{ id: 9, day: '2026-01-02' }])
  const copy = (to: string, writeDisposition: string) =>
    bigquery.dataset('d').table(source).copy(bigquery.dataset('d').table(to), { writeDisposition })
  await copy(`${target}$20260102`, 'WRITE_TRUNCATE')
  assert.deepEqual(await idsOf(target), [1, 9])
  await copy(`${target}$20260102`, 'WRITE_TRUNCATE')
  assert.deepEqual(await idsOf(target), [1, 9])
  const elsewhere = await failure(copy(`${target}$20260101`, 'WRITE_TRUNCATE'))
  assert.match(elsewhere.message, /belong to different partitions/)
  await copy(`${target}$20260102`, 'WRITE_APPEND')
  assert.deepEqual(await idsOf(target), [1, 9, 9])
  assert.match((await failure(copy(`${target}$20260102`, 'WRITE_EMPTY'))).message, /Already Exists/)
})

test('copy jobs: a whole table into one that is not there, and over one that is', async () => {
  const source = await newTable()
  await write(source, [{ id: 1 }, { id: 2 }])
  const target = `c_${source}`
  const copy = () =>
    bigquery
      .dataset('d')
      .table(source)
      .copy(bigquery.dataset('d').table(target), { writeDisposition: 'WRITE_TRUNCATE' })
  await copy()
  await write(source, [{ id: 3 }])
  await copy()
  assert.deepEqual(await idsOf(target), [1, 2, 3])
})

test('ingestion-time partitions: _PARTITIONTIME, and copies onto a day', async () => {
  const daily = { schema: SCHEMA, timePartitioning: { type: 'DAY' } }
  const [target, source] = [await newTable(daily), await newTable()]
  await write(target, [{ id: 1 }])
  await write(source, [{ id: 7 }])
  await bigquery
    .dataset('d')
    .table(source)
    .copy(bigquery.dataset('d').table(`${target}$20200229`), { writeDisposition: 'WRITE_TRUNCATE' })
  const rows = await query(`SELECT id, FORMAT_TIMESTAMP('%F', _PARTITIONTIME) AS day FROM d.${target} ORDER BY id`)
  assert.deepEqual(rows.at(-1), { id: 7, day: '2020-02-29' })
  assert.equal(rows.length, 2)
  assert.deepEqual(Object.keys((await query(`SELECT * FROM d.${target}`))[0] ?? {}), ['id', 'day'])
})

test('quota errors on demand have the form of the service', async () => {
  await server.faults.set([
    {
      service: 'bigquery',
      method: 'tables.get',
      fault: { kind: 'error', code: 'RESOURCE_EXHAUSTED', message: 'Exceeded rate limits' },
    },
    {
      service: 'bigquery',
      method: 'jobs.query',
      fault: { kind: 'error', code: 'PERMISSION_DENIED', reason: 'quotaExceeded' },
    },
  ])
  const rate = await failure(bigquery.dataset('d').table('x').getMetadata())
  assert.deepEqual([rate.code, rate.errors[0]?.reason], [429, 'rateLimitExceeded'])
  const quota = await failure(query('SELECT 1'))
  assert.deepEqual([quota.code, quota.errors[0]?.reason], [403, 'quotaExceeded'])
})

test('an answer that is lost after its effect: the table is there', async () => {
  await server.faults.set([{ method: 'tables.insert', fault: { kind: 'drop', when: 'after' } }])
  await failure(bigquery.dataset('d').createTable('lost', { schema: SCHEMA }))
  assert.deepEqual(await bigquery.dataset('d').table('lost').exists(), [true])
})

test('what is not built answers 501 in the form of the API', async () => {
  for (const [method, path] of [
    ['POST', '/datasets/d/tables/t/insertAll'],
    ['GET', '/datasets/d/routines'],
    ['GET', '/nothing'],
  ]) {
    const response = await fetch(`${server.rest}/bigquery/v2/projects/${PROJECT}${path}`, { method: method ?? 'GET' })
    const { error } = (await response.json()) as {
      error: { code: number; status: string; errors: { reason: string }[] }
    }
    assert.deepEqual(
      [response.status, error.code, error.status, error.errors[0]?.reason],
      [501, 501, 'UNIMPLEMENTED', 'notImplemented'],
    )
  }
  const legacy = await failure(bigquery.query({ query: 'SELECT 1', useLegacySql: true }))
  assert.equal(legacy.code, 501)
})
