import assert from 'node:assert/strict'
import { test } from 'node:test'
import { adapt, managedwriter } from '@google-cloud/bigquery-storage'
import { status } from '@grpc/grpc-js'
import { eventually } from '../support/eventually.ts'
import { AppendConnection, rowType } from './bigquery-rows.ts'
import { CODES, FIELDS, PERSON, people, storageError, WriteSuite } from './bigquery-suite.ts'

/**
 * AppendRows through the official client: a case for each behaviour that a faithful stand-in must have, by its number in
 * the specification. After each of them the server is killed with kill -9, and every row must be as it was.
 */

const suite = new WriteSuite()

test('row 9: an acknowledgement carries the offset of the first row; _default gives none', async () => {
  const { name, parent } = await suite.newStream()
  const connection = new AppendConnection(suite.client)
  const first = await connection.send({ writeStream: name, offset: 0, type: PERSON, rows: people(0, 4) })
  const second = await connection.send({ writeStream: name, rows: people(4, 2) })
  assert.deepEqual(
    [first, second].map((response) => response.appendResult?.offset?.value),
    ['0', '4'],
  )
  const other = new AppendConnection(suite.client)
  const response = await other.send({ writeStream: `${parent}/streams/_default`, type: PERSON, rows: people(9, 1) })
  assert.equal(response.appendResult?.offset ?? null, null)
  await Promise.all([connection.close(), other.close()])
})

test('row 10: an offset before the end is ALREADY_EXISTS and writes nothing, also when it overlaps in part', async () => {
  const { name, table } = await suite.newStream()
  const connection = new AppendConnection(suite.client)
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
  assert.equal(await suite.count(table), 4)
})

test('row 11: an offset beyond the end is OUT_OF_RANGE', async () => {
  const { name, table } = await suite.newStream()
  const connection = new AppendConnection(suite.client)
  const response = await connection.send({ writeStream: name, offset: 5, type: PERSON, rows: people(5, 1) })
  assert.equal(response.error?.code, status.OUT_OF_RANGE)
  assert.match(response.error?.message ?? '', /expected offset 0, received 5/)
  assert.equal(storageError(response).code, CODES.OFFSET_OUT_OF_RANGE)
  await connection.close()
  assert.equal(await suite.count(table), 0)
})

test('row 12: an offset on _default is INVALID_ARGUMENT', async () => {
  const { parent, table } = await suite.newTable()
  const connection = new AppendConnection(suite.client)
  const writeStream = `${parent}/streams/_default`
  const response = await connection.send({ writeStream, offset: 0, type: PERSON, rows: people(0, 1) })
  assert.equal(response.error?.code, status.INVALID_ARGUMENT)
  await connection.close()
  assert.equal(await suite.count(table), 0)
})

test('row 13: a finalized stream takes no rows', async () => {
  const { name, table } = await suite.newStream()
  await suite.client.finalizeWriteStream({ name })
  const connection = new AppendConnection(suite.client)
  const response = await connection.send({ writeStream: name, offset: 0, type: PERSON, rows: people(0, 1) })
  assert.equal(response.error?.code, status.INVALID_ARGUMENT)
  assert.match(response.error?.message ?? '', /Stream has been finalized and cannot be appended/)
  assert.equal(storageError(response).code, CODES.STREAM_FINALIZED)
  await connection.close()
  assert.equal(await suite.count(table), 0)
})

test('row 14: after an in-band error the call stays open and later requests are served in order', async () => {
  const { name, table } = await suite.newStream()
  const connection = new AppendConnection(suite.client)
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
  assert.equal(await suite.count(table), 2)
})

for (const type of ['COMMITTED', 'PENDING'] as const) {
  test(`row 15: one bad row writes nothing of its request, and each bad row is named: ${type}`, async () => {
    const fields = [...FIELDS, { name: 'data', type: 'JSON' }, { name: 'amount', type: 'NUMERIC' }]
    const { name, table } = await suite.newStream(type, fields)
    const row = rowType({ id: 'int64', name: 'string', data: 'string', amount: 'string' })
    const rows = [
      { id: 1 },
      { name: 'no id' },
      { id: 2, data: '{' },
      { id: 3, data: '{}' },
      { id: 4, amount: '1e30' },
    ].map(row.encode)
    const connection = new AppendConnection(suite.client)
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
    assert.equal(await suite.count(table), type === 'PENDING' ? 0 : 2)
  })
}

test('row 16: bad rows are INVALID_ARGUMENT, which no suite.client retries', async () => {
  const { name } = await suite.newStream()
  const connection = new AppendConnection(suite.client)
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
  const { name, table } = await suite.newStream()
  const connection = new AppendConnection(suite.client)
  await connection.send({ writeStream: name, type: PERSON, rows: people(0, 1) })
  const bare = await connection.send({ rows: people(1, 1) })
  assert.equal(bare.appendResult?.offset?.value, '1')
  const turned = rowType({ name: 'string', id: 'int32' })
  const changed = await connection.send({ type: turned, rows: [turned.encode({ id: 2, name: 'p2' })] })
  assert.equal(changed.appendResult?.offset?.value, '2')
  await connection.close()
  assert.deepEqual(
    await suite.rowsOf(table),
    [0, 1, 2].map((id) => JSON.stringify({ id, name: `p${id}` })),
  )
})

test('row 18: a field that the table does not have is SCHEMA_MISMATCH_EXTRA_FIELDS', async () => {
  const { name } = await suite.newStream()
  const type = rowType({ id: 'int64', nickname: 'string' })
  const connection = new AppendConnection(suite.client)
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
  const { name, table } = await suite.newStream('COMMITTED', fields)
  const type = rowType({ id: 'int64', kind: 'string' })
  const connection = new AppendConnection(suite.client)
  const rows = (id: number) => [type.encode({ id })]
  await connection.send({ writeStream: name, offset: 0, type, rows: rows(0) })
  await connection.send({ offset: 1, rows: rows(1), defaultMissingValueInterpretation: 'DEFAULT_VALUE' })
  await connection.send({ offset: 2, rows: rows(2), missingValueInterpretations: { size: 'NULL_VALUE' } })
  await connection.close()
  const sql = `SELECT id, kind, size, since IS NOT NULL AS has_time FROM d.${table} ORDER BY id`
  const [found] = await suite.bigquery.query({ query: sql, useLegacySql: false })
  assert.deepEqual(found, [
    { id: 0, kind: null, size: null, has_time: false },
    { id: 1, kind: 'none', size: -7, has_time: true },
    { id: 2, kind: 'none', size: null, has_time: true },
  ])
})

test('row 20: a request of 20 MB is refused, one a little below is taken', async () => {
  const { name, table } = await suite.newStream()
  const connection = new AppendConnection(suite.client)
  const row = (bytes: number) => [PERSON.encode({ id: 1, name: 'x'.repeat(bytes) })]
  const large = await connection.send({ writeStream: name, offset: 0, type: PERSON, rows: row(20_000_000) })
  assert.equal(large.error?.code, status.INVALID_ARGUMENT)
  const below = await connection.send({ writeStream: name, offset: 0, rows: row(19_900_000) })
  assert.equal(below.error, undefined)
  await connection.close()
  assert.equal(await suite.count(table), 1)
})

test('row 22: a new column is told by updated_schema with its real type; on demand appends see it late', async () => {
  const { name, table } = await suite.newStream()
  const connection = new AppendConnection(suite.client)
  await connection.send({ writeStream: name, offset: 0, type: PERSON, rows: people(0, 1) })
  await suite.server.faults.set([{ method: 'tables.patch', fault: { kind: 'late-columns', forMs: 35_000 } }])
  await suite.bigquery
    .dataset('d')
    .table(table)
    .setMetadata({ schema: { fields: [...FIELDS, { name: 'score', type: 'NUMERIC' }] } })
  const wider = rowType({ id: 'int64', name: 'string', score: 'string' })
  const wide = [wider.encode({ id: 1, score: '1.5' })]
  const early = await connection.send({ writeStream: name, offset: 1, type: wider, rows: wide })
  assert.equal(storageError(early).code, CODES.SCHEMA_MISMATCH_EXTRA_FIELDS)
  await suite.server.faults.advance(35_000)
  const told = await connection.send({ writeStream: name, offset: 1, type: PERSON, rows: people(1, 1) })
  assert.deepEqual(told.updatedSchema?.fields.map((field) => [field.name, field.type, field.mode]).at(-1), [
    'score',
    'NUMERIC',
    'NULLABLE',
  ])
  const late = await connection.send({ writeStream: name, offset: 2, type: wider, rows: wide })
  assert.deepEqual([late.error, late.updatedSchema ?? undefined], [undefined, undefined])
  await connection.close()
  const [found] = await suite.bigquery.query({
    query: `SELECT COUNTIF(score = 1.5) AS n FROM d.${table}`,
    useLegacySql: false,
  })
  assert.deepEqual(found, [{ n: 1 }])
})

test('row 23: an append that hangs is never answered and lands later, on demand', async () => {
  const { name, table } = await suite.newStream()
  await suite.server.faults.set([{ method: 'AppendRows', fault: { kind: 'hang', landAfterMs: 35 * 60_000 } }])
  const connection = new AppendConnection(suite.client)
  const hung = connection
    .send({ writeStream: name, offset: 0, type: PERSON, rows: people(0, 2) })
    .catch(() => undefined)
  await eventually(async () => (await suite.server.faults.plan())[0]?.struck === 1)
  assert.equal(await suite.count(table), 0)
  await suite.server.faults.advance(35 * 60_000)
  await eventually(async () => (await suite.count(table)) === 2)
  const retry = new AppendConnection(suite.client)
  const response = await retry.send({ writeStream: name, offset: 0, type: PERSON, rows: people(0, 2) })
  assert.equal(response.error?.code, status.ALREADY_EXISTS)
  await retry.close()
  // The hung call never gets an answer: it ends with its connection.
  await suite.server.kill()
  await hung
  await suite.server.launch()
  suite.reconnect()
})

test('row 24: _CHANGE_TYPE is not built on _default, and invalid elsewhere', async () => {
  const { name, parent } = await suite.newStream()
  const type = rowType({ id: 'int64', _CHANGE_TYPE: 'string' })
  const rows = [type.encode({ id: 1, _CHANGE_TYPE: 'UPSERT' })]
  const connection = new AppendConnection(suite.client)
  const created = await connection.send({ writeStream: name, type, rows })
  assert.equal(created.error?.code, status.INVALID_ARGUMENT)
  const fallback = await connection.send({ writeStream: `${parent}/streams/_default`, type, rows })
  assert.equal(fallback.error?.code, status.UNIMPLEMENTED)
  await connection.close()
})

test("the managed writer's own encoder: rows from JSON by the schema that the stream gives", async () => {
  const fields = [
    ...FIELDS,
    { name: 'since', type: 'TIMESTAMP' },
    { name: 'day', type: 'DATE' },
    { name: 'tags', type: 'STRING', mode: 'REPEATED' },
  ]
  const { parent, table } = await suite.newTable(fields)
  const writer = suite.server.writer()
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
  const [found] = await suite.bigquery.query({ query: sql, useLegacySql: false })
  assert.deepEqual(found, [{ id: 7, name: 'x', since: 1_700_000_000_123_000, day: '2022-01-08', tags: ['a', 'b'] }])
})

test('one connection has room for 100 calls; the next one waits until one of them ends', async () => {
  const { parent, table } = await suite.newTable()
  const writeStream = `${parent}/streams/_default`
  const open = Array.from({ length: 100 }, () => new AppendConnection(suite.client))
  await Promise.all(open.map((connection) => connection.send({ writeStream, type: PERSON, rows: people(0, 1) })))
  const extra = new AppendConnection(suite.client)
  let answered = false
  const waiting = extra.send({ writeStream, type: PERSON, rows: people(0, 1) }).then(() => (answered = true))
  const [rows] = await suite.bigquery.query({ query: `SELECT COUNT(*) AS n FROM d.${table}`, useLegacySql: false })
  assert.deepEqual([rows, answered], [[{ n: 100 }], false])
  await open[0]?.close()
  await waiting
  await Promise.all([...open.slice(1), extra].map((connection) => connection.close()))
})

test('two connections at the same offset: one is written, the other is ALREADY_EXISTS, under load, always', async () => {
  const { name, table } = await suite.newStream()
  const clients = [suite.client, suite.server.writeClient()]
  const connections = clients.map((one) => new AppendConnection(one))
  const ROUNDS = 300
  for (let round = 0; round < ROUNDS; round++) {
    const offset = round * 10
    const answers = await Promise.all(
      connections.map((connection, at) =>
        connection.send({ writeStream: name, offset, type: PERSON, rows: people(offset + at * 100_000, 10) }),
      ),
    )
    assert.deepEqual(
      answers.map(({ error }) => error?.code ?? 0).sort((a, b) => a - b),
      [0, status.ALREADY_EXISTS],
    )
  }
  await Promise.all(connections.map((connection) => connection.close()))
  assert.equal(await suite.count(table), ROUNDS * 10)
  assert.equal((await suite.client.finalizeWriteStream({ name }))[0].rowCount, String(ROUNDS * 10))
})
