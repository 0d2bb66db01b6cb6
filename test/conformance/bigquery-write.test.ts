import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import type { BigQuery } from '@google-cloud/bigquery'
import { adapt, type BigQueryWriteClient, managedwriter, protos } from '@google-cloud/bigquery-storage'
import { status } from '@grpc/grpc-js'
import { eventually } from '../support/eventually.ts'
import { BigQueryProcess, PROJECT } from './bigquery-process.ts'
import { AppendConnection, type AppendResponse, rowType } from './bigquery-rows.ts'

/**
 * Storage Write through the official client: a case for each behaviour that a faithful stand-in must have, by its number
 * in the specification. After each of them the server is killed with kill -9: every row and every stream must be as it was.
 */

const { StorageError } = protos.google.cloud.bigquery.storage.v1
const CODES = StorageError.StorageErrorCode
const DAY_MS = 24 * 3_600_000
const PERSON = rowType({ id: 'int64', name: 'string' })
const FIELDS = [
  { name: 'id', type: 'INT64', mode: 'REQUIRED' },
  { name: 'name', type: 'STRING' },
]
const people = (from: number, count: number) =>
  Array.from({ length: count }, (_, at) => PERSON.encode({ id: from + at, name: `p${from + at}` }))

let server: BigQueryProcess
let bigquery: BigQuery
let client: BigQueryWriteClient
let tables = 0

before(async () => {
  server = await BigQueryProcess.start()
  reconnect()
  await bigquery.createDataset('d')
})

afterEach(async () => {
  await server.faults.clear()
  const made = Array.from({ length: tables - checkedTables }, (_, at) => `t${checkedTables + at + 1}`)
  for (const table of made) acknowledged.set(table, await rowsOf(table))
  await server.killAndRestart()
  reconnect()
  for (const table of made) assert.deepEqual(await rowsOf(table), acknowledged.get(table), table)
  checkedTables = tables
})

after(async () => {
  for (const [table, rows] of acknowledged) assert.deepEqual(await rowsOf(table), rows, table)
  await server.dispose()
})

/** Every row that was there at the end of a case, by table. */
const acknowledged = new Map<string, unknown[]>()
let checkedTables = 0

function reconnect(): void {
  bigquery = server.bigquery()
  client = server.writeClient()
}

async function rowsOf(table: string): Promise<unknown[]> {
  const [rows] = await bigquery.query({ query: `SELECT * FROM d.${table}`, useLegacySql: false })
  return (rows as unknown[]).map((row) => JSON.stringify(row)).sort()
}

async function count(table: string): Promise<number> {
  const [rows] = await bigquery.query({ query: `SELECT COUNT(*) AS n FROM d.${table}`, useLegacySql: false })
  return (rows as { n: number }[])[0]?.n ?? -1
}

async function newTable(fields: object[] = FIELDS): Promise<{ table: string; parent: string }> {
  const table = `t${++tables}`
  await bigquery.dataset('d').createTable(table, { schema: { fields } })
  return { table, parent: `projects/${PROJECT}/datasets/d/tables/${table}` }
}

async function newStream(type: 'COMMITTED' | 'PENDING' = 'COMMITTED', fields: object[] = FIELDS) {
  const { table, parent } = await newTable(fields)
  const [stream] = await client.createWriteStream({ parent, writeStream: { type } })
  return { table, parent, name: stream.name ?? '', stream }
}

/** The end of a call: its code and text, and the StorageError that its trailer carries. */
async function failure(call: Promise<unknown>): Promise<{ code: number; message: string }> {
  try {
    await call
  } catch (error) {
    return { code: (error as { code: number }).code, message: (error as Error).message }
  }
  assert.fail('the call should have failed')
}

function storageError(response: AppendResponse): { code: number; entity: string; message: string } {
  const detail = response.error?.details[0]
  assert.equal(detail?.type_url, 'type.googleapis.com/google.cloud.bigquery.storage.v1.StorageError')
  const { code, entity, errorMessage } = StorageError.decode(detail?.value ?? Buffer.alloc(0))
  return { code: code as number, entity, message: errorMessage }
}

test('row 1: CreateWriteStream makes COMMITTED and PENDING streams; the answer has the schema and no location', async () => {
  const { stream, parent } = await newStream()
  assert.match(stream.name ?? '', new RegExp(`^${parent}/streams/[^/]+$`))
  assert.equal(stream.type, 'COMMITTED')
  assert.equal(stream.location, '')
  assert.deepEqual(stream.commitTime, stream.createTime)
  assert.deepEqual(
    stream.tableSchema?.fields?.map(({ name, type, mode }) => [name, type, mode]),
    [
      ['id', 'INT64', 'REQUIRED'],
      ['name', 'STRING', 'NULLABLE'],
    ],
  )
  const [pending] = await client.createWriteStream({ parent, writeStream: { type: 'PENDING' } })
  assert.equal(pending.type, 'PENDING')
  assert.equal(pending.commitTime, null)
  const buffered = await failure(client.createWriteStream({ parent, writeStream: { type: 'BUFFERED' } }))
  assert.equal(buffered.code, status.UNIMPLEMENTED)
})

test('row 2: GetWriteStream(_default) exists for every table, BASIC and FULL', async () => {
  const { parent } = await newTable()
  const name = `${parent}/streams/_default`
  const [basic] = await client.getWriteStream({ name })
  assert.deepEqual([basic.type, basic.location, basic.tableSchema], ['COMMITTED', 'us', null])
  const [full] = await client.getWriteStream({ name, view: 'FULL' })
  assert.equal(full.tableSchema?.fields?.length, 2)
})

test('row 3: GetWriteStream of an unknown stream is INVALID_ARGUMENT "Invalid stream name"', async () => {
  const { parent } = await newTable()
  const name = `${parent}/streams/never-created`
  const { code, message } = await failure(client.getWriteStream({ name }))
  assert.equal(code, status.INVALID_ARGUMENT)
  assert.ok(message.includes(`Invalid stream name. Entity: ${name}`), message)
})

test('row 4: FinalizeWriteStream answers the row count, again and again; _default is NOT_FOUND', async () => {
  const { name, parent } = await newStream()
  const connection = new AppendConnection(client)
  await connection.send({ writeStream: name, offset: 0, type: PERSON, rows: people(0, 3) })
  await connection.close()
  for (let time = 0; time < 2; time++) assert.equal((await client.finalizeWriteStream({ name }))[0].rowCount, '3')
  const { code, message } = await failure(client.finalizeWriteStream({ name: `${parent}/streams/_default` }))
  assert.equal(code, status.NOT_FOUND)
  assert.match(message, /Requested entity was not found. Entity: /)
})

test('row 5: a missing table is PERMISSION_DENIED everywhere, never NOT_FOUND', async () => {
  const parent = `projects/${PROJECT}/datasets/d/tables/missing`
  const expected = { code: status.PERMISSION_DENIED, message: /denied on resource '.*missing' \(or it may not exist\)/ }
  const connection = new AppendConnection(client)
  const calls = [
    () => client.createWriteStream({ parent, writeStream: { type: 'COMMITTED' } }),
    () => client.getWriteStream({ name: `${parent}/streams/_default` }),
    () => client.finalizeWriteStream({ name: `${parent}/streams/x` }),
    () => client.batchCommitWriteStreams({ parent, writeStreams: [`${parent}/streams/x`] }),
    () => connection.send({ writeStream: `${parent}/streams/_default`, type: PERSON, rows: people(0, 1) }),
  ]
  for (const call of calls) {
    const { code, message } = await failure(call())
    assert.equal(code, expected.code)
    assert.match(message, expected.message)
  }
})

test('row 6: right after its creation a table may deny new streams for a while, on demand', async () => {
  await server.faults.set([{ method: 'tables.insert', fault: { kind: 'deny-new-streams', forMs: 10_000 } }])
  const { parent } = await newTable()
  const create = () => client.createWriteStream({ parent, writeStream: { type: 'COMMITTED' } })
  assert.equal((await failure(create())).code, status.PERMISSION_DENIED)
  const connection = new AppendConnection(client)
  const response = await connection.send({
    writeStream: `${parent}/streams/_default`,
    type: PERSON,
    rows: people(0, 1),
  })
  assert.equal(response.error, undefined)
  await connection.close()
  await server.faults.advance(10_000)
  assert.equal((await create())[0].type, 'COMMITTED')
})

test('row 7: COMMITTED streams live 3 days without traffic, PENDING ones must be committed in 24 h', async () => {
  const committed = await newStream()
  const pending = await newStream('PENDING')
  for (const { name } of [committed, pending]) {
    const connection = new AppendConnection(client)
    await connection.send({ writeStream: name, offset: 0, type: PERSON, rows: people(0, 2) })
    await connection.close()
  }
  await client.finalizeWriteStream({ name: pending.name })
  await server.faults.advance(DAY_MS)
  const [{ streamErrors, commitTime }] = await client.batchCommitWriteStreams({
    parent: pending.parent,
    writeStreams: [pending.name],
  })
  assert.deepEqual([streamErrors?.[0]?.code, commitTime], ['STREAM_NOT_FOUND', null])
  await server.faults.advance(2 * DAY_MS - 60_000)
  assert.equal((await client.getWriteStream({ name: committed.name }))[0].type, 'COMMITTED')
  await server.faults.advance(60_000)
  assert.equal((await failure(client.finalizeWriteStream({ name: committed.name }))).code, status.NOT_FOUND)
  assert.equal((await failure(client.getWriteStream({ name: committed.name }))).code, status.INVALID_ARGUMENT)
  const connection = new AppendConnection(client)
  const late = connection.send({ writeStream: committed.name, offset: 2, type: PERSON, rows: people(2, 1) })
  assert.equal((await failure(late)).code, status.NOT_FOUND)
  assert.deepEqual([await count(committed.table), await count(pending.table)], [2, 0])
})

test('row 8: an idle connection ends after 600 s with ABORTED', async () => {
  const { name } = await newStream()
  const connection = new AppendConnection(client)
  await connection.send({ writeStream: name, offset: 0, type: PERSON, rows: people(0, 1) })
  await server.faults.advance(599_000)
  const answered = await connection.send({ writeStream: name, offset: 1, rows: people(1, 1) })
  assert.equal(answered.error, undefined)
  await server.faults.advance(600_000)
  const ended = await connection.ended
  assert.equal(ended?.code, status.ABORTED)
  assert.match(ended?.message ?? '', /Closing the stream because it has been inactive for 600 seconds/)
})

test('row 9: an acknowledgement carries the offset of the first row; _default gives none', async () => {
  const { name, parent } = await newStream()
  const connection = new AppendConnection(client)
  const first = await connection.send({ writeStream: name, offset: 0, type: PERSON, rows: people(0, 4) })
  const second = await connection.send({ writeStream: name, rows: people(4, 2) })
  assert.deepEqual(
    [first, second].map((response) => response.appendResult?.offset?.value),
    ['0', '4'],
  )
  const other = new AppendConnection(client)
  const response = await other.send({ writeStream: `${parent}/streams/_default`, type: PERSON, rows: people(9, 1) })
  assert.equal(response.appendResult?.offset ?? null, null)
  await Promise.all([connection.close(), other.close()])
})

test('row 10: an offset before the end is ALREADY_EXISTS and writes nothing, also when it overlaps in part', async () => {
  const { name, table } = await newStream()
  const connection = new AppendConnection(client)
  await connection.send({ writeStream: name, offset: 0, type: PERSON, rows: people(0, 4) })
  for (const [offset, rows] of [
    [0, 4],
    [2, 4],
    [3, 1],
  ] as const) {
    const response = await connection.send({ writeStream: name, offset, rows: people(offset, rows) })
    assert.equal(response.error?.code, status.ALREADY_EXISTS)
    assert.match(response.error?.message ?? '', new RegExp(`expected offset 4, received ${offset}`))
    const { code, entity } = storageError(response)
    assert.deepEqual([code, entity], [CODES.OFFSET_ALREADY_EXISTS, name])
  }
  await connection.close()
  assert.equal(await count(table), 4)
})

test('row 11: an offset beyond the end is OUT_OF_RANGE', async () => {
  const { name, table } = await newStream()
  const connection = new AppendConnection(client)
  const response = await connection.send({ writeStream: name, offset: 5, type: PERSON, rows: people(5, 1) })
  assert.equal(response.error?.code, status.OUT_OF_RANGE)
  assert.match(response.error?.message ?? '', /expected offset 0, received 5/)
  assert.equal(storageError(response).code, CODES.OFFSET_OUT_OF_RANGE)
  await connection.close()
  assert.equal(await count(table), 0)
})

test('row 12: an offset on _default is INVALID_ARGUMENT', async () => {
  const { parent, table } = await newTable()
  const connection = new AppendConnection(client)
  const writeStream = `${parent}/streams/_default`
  const response = await connection.send({ writeStream, offset: 0, type: PERSON, rows: people(0, 1) })
  assert.equal(response.error?.code, status.INVALID_ARGUMENT)
  await connection.close()
  assert.equal(await count(table), 0)
})

test('row 13: a finalized stream takes no rows', async () => {
  const { name, table } = await newStream()
  await client.finalizeWriteStream({ name })
  const connection = new AppendConnection(client)
  const response = await connection.send({ writeStream: name, offset: 0, type: PERSON, rows: people(0, 1) })
  assert.equal(response.error?.code, status.INVALID_ARGUMENT)
  assert.match(response.error?.message ?? '', /Stream has been finalized and cannot be appended/)
  assert.equal(storageError(response).code, CODES.STREAM_FINALIZED)
  await connection.close()
  assert.equal(await count(table), 0)
})

test('row 14: after an in-band error the call stays open and later requests are served in order', async () => {
  const { name, table } = await newStream()
  const connection = new AppendConnection(client)
  const responses = await Promise.all([
    connection.send({ writeStream: name, offset: 7, type: PERSON, rows: people(7, 1) }),
    connection.send({ writeStream: name, offset: 0, rows: people(0, 1) }),
    connection.send({ writeStream: name, offset: 0, rows: people(0, 1) }),
    connection.send({ writeStream: name, offset: 1, rows: people(1, 1) }),
  ])
  assert.deepEqual(
    responses.map(({ error }) => error?.code ?? 0),
    [status.OUT_OF_RANGE, 0, status.ALREADY_EXISTS, 0],
  )
  await connection.close()
  assert.equal(await count(table), 2)
})

for (const type of ['COMMITTED', 'PENDING'] as const) {
  test(`row 15: one bad row writes nothing of its request, and each bad row is named: ${type}`, async () => {
    const fields = [...FIELDS, { name: 'data', type: 'JSON' }, { name: 'amount', type: 'NUMERIC' }]
    const { name, table } = await newStream(type, fields)
    const row = rowType({ id: 'int64', name: 'string', data: 'string', amount: 'string' })
    const rows = [
      { id: 1 },
      { name: 'no id' },
      { id: 2, data: '{' },
      { id: 3, data: '{}' },
      { id: 4, amount: '1e30' },
    ].map(row.encode)
    const connection = new AppendConnection(client)
    const response = await connection.send({ writeStream: name, offset: 0, type: row, rows })
    assert.deepEqual(
      response.rowErrors.map(({ index, code }) => [index, code]),
      [1, 2, 4].map((index) => [String(index), 'FIELDS_ERROR']),
    )
    assert.deepEqual(
      response.rowErrors.map(({ message }) => message.match(/id|data|amount/)?.[0]),
      ['id', 'data', 'amount'],
    )
    const again = await connection.send({
      writeStream: name,
      offset: 0,
      rows: [rows[0], rows[3]].flatMap((one) => one ?? []),
    })
    assert.equal(again.appendResult?.offset?.value, '0')
    await connection.close()
    assert.equal(await count(table), type === 'PENDING' ? 0 : 2)
  })
}

test('row 16: bad rows are INVALID_ARGUMENT, which no client retries', async () => {
  const { name } = await newStream()
  const connection = new AppendConnection(client)
  const response = await connection.send({
    writeStream: name,
    offset: 0,
    type: PERSON,
    rows: [PERSON.encode({ name: 'x' })],
  })
  assert.equal(response.error?.code, status.INVALID_ARGUMENT)
  await connection.close()
})

test('row 17: later requests may leave out stream and schema, and may change the schema', async () => {
  const { name, table } = await newStream()
  const connection = new AppendConnection(client)
  await connection.send({ writeStream: name, type: PERSON, rows: people(0, 1) })
  const bare = await connection.send({ rows: people(1, 1) })
  assert.equal(bare.appendResult?.offset?.value, '1')
  const turned = rowType({ name: 'string', id: 'int32' })
  const changed = await connection.send({ type: turned, rows: [turned.encode({ id: 2, name: 'p2' })] })
  assert.equal(changed.appendResult?.offset?.value, '2')
  await connection.close()
  assert.deepEqual(
    await rowsOf(table),
    [0, 1, 2].map((id) => JSON.stringify({ id, name: `p${id}` })),
  )
})

test('row 18: a field that the table does not have is SCHEMA_MISMATCH_EXTRA_FIELDS', async () => {
  const { name } = await newStream()
  const type = rowType({ id: 'int64', nickname: 'string' })
  const connection = new AppendConnection(client)
  const response = await connection.send({ writeStream: name, offset: 0, type, rows: [type.encode({ id: 1 })] })
  assert.equal(response.error?.code, status.INVALID_ARGUMENT)
  assert.match(response.error?.message ?? '', /more fields than BigQuery schema, extra fields: 'nickname'/)
  assert.equal(storageError(response).code, CODES.SCHEMA_MISMATCH_EXTRA_FIELDS)
  await connection.close()
})

test('row 19: a missing value is NULL, or the default of its column with DEFAULT_VALUE', async () => {
  const fields = [
    { name: 'id', type: 'INT64' },
    { name: 'kind', type: 'STRING', defaultValueExpression: "'none'" },
    { name: 'size', type: 'INT64', defaultValueExpression: '-7' },
    { name: 'since', type: 'TIMESTAMP', defaultValueExpression: 'CURRENT_TIMESTAMP()' },
  ]
  const { name, table } = await newStream('COMMITTED', fields)
  const type = rowType({ id: 'int64', kind: 'string' })
  const connection = new AppendConnection(client)
  const rows = (id: number) => [type.encode({ id })]
  await connection.send({ writeStream: name, offset: 0, type, rows: rows(0) })
  await connection.send({ offset: 1, rows: rows(1), defaultMissingValueInterpretation: 'DEFAULT_VALUE' })
  await connection.send({ offset: 2, rows: rows(2), missingValueInterpretations: { size: 'NULL_VALUE' } })
  await connection.close()
  const sql = `SELECT id, kind, size, since IS NOT NULL AS has_time FROM d.${table} ORDER BY id`
  const [found] = await bigquery.query({ query: sql, useLegacySql: false })
  assert.deepEqual(found, [
    { id: 0, kind: null, size: null, has_time: false },
    { id: 1, kind: 'none', size: -7, has_time: true },
    { id: 2, kind: 'none', size: null, has_time: true },
  ])
})

test('row 20: a request of 20 MB is refused, one a little below is taken', async () => {
  const { name, table } = await newStream()
  const connection = new AppendConnection(client)
  const row = (bytes: number) => [PERSON.encode({ id: 1, name: 'x'.repeat(bytes) })]
  const large = await connection.send({ writeStream: name, offset: 0, type: PERSON, rows: row(20_000_000) })
  assert.equal(large.error?.code, status.INVALID_ARGUMENT)
  const below = await connection.send({ writeStream: name, offset: 0, rows: row(19_900_000) })
  assert.equal(below.error, undefined)
  await connection.close()
  assert.equal(await count(table), 1)
})

test('row 22: a new column is told by updated_schema with its real type; on demand appends see it late', async () => {
  const { name, table } = await newStream()
  const connection = new AppendConnection(client)
  await connection.send({ writeStream: name, offset: 0, type: PERSON, rows: people(0, 1) })
  await server.faults.set([{ method: 'tables.patch', fault: { kind: 'late-columns', forMs: 35_000 } }])
  await bigquery
    .dataset('d')
    .table(table)
    .setMetadata({ schema: { fields: [...FIELDS, { name: 'score', type: 'NUMERIC' }] } })
  const wider = rowType({ id: 'int64', name: 'string', score: 'string' })
  const wide = [wider.encode({ id: 1, score: '1.5' })]
  const early = await connection.send({ writeStream: name, offset: 1, type: wider, rows: wide })
  assert.equal(storageError(early).code, CODES.SCHEMA_MISMATCH_EXTRA_FIELDS)
  await server.faults.advance(35_000)
  const told = await connection.send({ writeStream: name, offset: 1, type: PERSON, rows: people(1, 1) })
  assert.deepEqual(told.updatedSchema?.fields.map((field) => [field.name, field.type, field.mode]).at(-1), [
    'score',
    'NUMERIC',
    'NULLABLE',
  ])
  const late = await connection.send({ writeStream: name, offset: 2, type: wider, rows: wide })
  assert.deepEqual([late.error, late.updatedSchema ?? undefined], [undefined, undefined])
  await connection.close()
  const [found] = await bigquery.query({
    query: `SELECT COUNTIF(score = 1.5) AS n FROM d.${table}`,
    useLegacySql: false,
  })
  assert.deepEqual(found, [{ n: 1 }])
})

test('row 23: an append that hangs is never answered and lands later, on demand', async () => {
  const { name, table } = await newStream()
  await server.faults.set([{ method: 'AppendRows', fault: { kind: 'hang', landAfterMs: 35 * 60_000 } }])
  const connection = new AppendConnection(client)
  const hung = connection
    .send({ writeStream: name, offset: 0, type: PERSON, rows: people(0, 2) })
    .catch(() => undefined)
  await eventually(async () => (await server.faults.plan())[0]?.struck === 1)
  assert.equal(await count(table), 0)
  await server.faults.advance(35 * 60_000)
  await eventually(async () => (await count(table)) === 2)
  const retry = new AppendConnection(client)
  const response = await retry.send({ writeStream: name, offset: 0, type: PERSON, rows: people(0, 2) })
  assert.equal(response.error?.code, status.ALREADY_EXISTS)
  await retry.close()
  // The hung call never gets an answer: it ends with its connection.
  await server.kill()
  await hung
  await server.launch()
  reconnect()
})

test('row 24: _CHANGE_TYPE is not built on _default, and invalid elsewhere', async () => {
  const { name, parent } = await newStream()
  const type = rowType({ id: 'int64', _CHANGE_TYPE: 'string' })
  const rows = [type.encode({ id: 1, _CHANGE_TYPE: 'UPSERT' })]
  const connection = new AppendConnection(client)
  const created = await connection.send({ writeStream: name, type, rows })
  assert.equal(created.error?.code, status.INVALID_ARGUMENT)
  const fallback = await connection.send({ writeStream: `${parent}/streams/_default`, type, rows })
  assert.equal(fallback.error?.code, status.UNIMPLEMENTED)
  await connection.close()
})

test('row 26: BatchCommit is all or nothing, needs finalized streams, and happens once', async () => {
  const { parent, table } = await newTable()
  const create = async (type: 'COMMITTED' | 'PENDING') =>
    (await client.createWriteStream({ parent, writeStream: { type } }))[0].name ?? ''
  const [first, second, committed] = [await create('PENDING'), await create('PENDING'), await create('COMMITTED')]
  for (const [at, writeStream] of [first, second].entries()) {
    const connection = new AppendConnection(client)
    await connection.send({ writeStream, offset: 0, type: PERSON, rows: people(at * 10, 3) })
    await connection.close()
  }
  const commit = async (...writeStreams: string[]) =>
    (await client.batchCommitWriteStreams({ parent, writeStreams }))[0]
  const codes = async (...names: string[]) => (await commit(...names)).streamErrors?.map(({ code }) => code)
  await client.finalizeWriteStream({ name: first })
  const gone = second.replace(/.{6}$/, 'abcdef')
  assert.deepEqual(await codes(first, second, committed, gone), [
    'INVALID_STREAM_STATE',
    'INVALID_STREAM_TYPE',
    'STREAM_NOT_FOUND',
  ])
  assert.equal((await commit(first, second)).commitTime, null)
  assert.equal(await count(table), 0)
  await client.finalizeWriteStream({ name: second })
  const done = await commit(first, second)
  assert.deepEqual(done.streamErrors, [])
  assert.ok(Number(done.commitTime?.seconds) > 1_600_000_000)
  assert.deepEqual(await codes(first), ['STREAM_ALREADY_COMMITTED'])
  assert.equal(await count(table), 6)
})

test('row 27: PENDING rows are invisible before the commit; no answer is older than a write', async () => {
  const { name, table, parent } = await newStream('PENDING')
  const connection = new AppendConnection(client)
  await connection.send({ writeStream: name, offset: 0, type: PERSON, rows: people(0, 2) })
  const other = new AppendConnection(client)
  for (let rows = 1; rows <= 5; rows++) {
    await other.send({ writeStream: `${parent}/streams/_default`, type: PERSON, rows: people(100 + rows, 1) })
    assert.equal(await count(table), rows)
  }
  await Promise.all([connection.close(), other.close()])
  await client.finalizeWriteStream({ name })
  assert.equal(await count(table), 5)
  await client.batchCommitWriteStreams({ parent, writeStreams: [name] })
  assert.equal(await count(table), 7)
})

test("the managed writer's own encoder: rows from JSON by the schema that the stream gives", async () => {
  const fields = [
    ...FIELDS,
    { name: 'since', type: 'TIMESTAMP' },
    { name: 'day', type: 'DATE' },
    { name: 'tags', type: 'STRING', mode: 'REPEATED' },
  ]
  const { parent, table } = await newTable(fields)
  const writer = server.writer()
  const stream = await writer.createWriteStreamFullResponse({
    destinationTable: parent,
    streamType: managedwriter.PendingStream,
  })
  const protoDescriptor = adapt.convertStorageSchemaToProto2Descriptor(stream.tableSchema ?? {}, 'root')
  const connection = await writer.createStreamConnection({ streamId: stream.name ?? '' })
  const json = new managedwriter.JSONWriter({ connection, protoDescriptor })
  const row = { id: 7, name: 'x', since: new Date(1_700_000_000_123), day: 19_000, tags: ['a', 'b'] }
  const result = await json.appendRows([row], 0).getResult()
  assert.equal(result.appendResult?.offset?.value, '0')
  await connection.finalize()
  connection.close()
  await writer.batchCommitWriteStream({ parent, writeStreams: [stream.name ?? ''] })
  const sql = `SELECT id, name, UNIX_MICROS(since) AS since, FORMAT_DATE('%F', day) AS day, tags FROM d.${table}`
  const [found] = await bigquery.query({ query: sql, useLegacySql: false })
  assert.deepEqual(found, [{ id: 7, name: 'x', since: 1_700_000_000_123_000, day: '2022-01-08', tags: ['a', 'b'] }])
})

test('one connection has room for 100 calls; the next one waits until one of them ends', async () => {
  const { parent, table } = await newTable()
  const writeStream = `${parent}/streams/_default`
  const open = Array.from({ length: 100 }, () => new AppendConnection(client))
  await Promise.all(open.map((connection) => connection.send({ writeStream, type: PERSON, rows: people(0, 1) })))
  const extra = new AppendConnection(client)
  let answered = false
  const waiting = extra.send({ writeStream, type: PERSON, rows: people(0, 1) }).then(() => (answered = true))
  const [rows] = await bigquery.query({ query: `SELECT COUNT(*) AS n FROM d.${table}`, useLegacySql: false })
  assert.deepEqual([rows, answered], [[{ n: 100 }], false])
  await open[0]?.close()
  await waiting
  await Promise.all([...open.slice(1), extra].map((connection) => connection.close()))
})

test('two connections at the same offset: one is written, the other is ALREADY_EXISTS, under load, always', async () => {
  const { name, table } = await newStream()
  const clients = [client, server.writeClient()]
  const connections = clients.map((one) => new AppendConnection(one))
  const ROUNDS = 300
  for (let round = 0; round < ROUNDS; round++) {
    const offset = round * 10
    const answers = await Promise.all(
      connections.map((connection, at) =>
        connection.send({ writeStream: name, offset, type: PERSON, rows: people(offset + at * 100_000, 10) }),
      ),
    )
    assert.deepEqual(answers.map(({ error }) => error?.code ?? 0).sort(), [0, status.ALREADY_EXISTS])
  }
  await Promise.all(connections.map((connection) => connection.close()))
  assert.equal(await count(table), ROUNDS * 10)
  assert.equal((await client.finalizeWriteStream({ name }))[0].rowCount, String(ROUNDS * 10))
})
