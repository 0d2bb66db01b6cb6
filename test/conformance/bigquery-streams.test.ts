import assert from 'node:assert/strict'
import { test } from 'node:test'
import { status } from '@grpc/grpc-js'
import { PROJECT } from './bigquery-process.ts'
import { AppendConnection } from './bigquery-rows.ts'
import { PERSON, failure, people, WriteSuite } from './bigquery-suite.ts'

/**
 * Streams and commits of the Storage Write API through the official client: a case for each behaviour that a faithful stand-in must have, by its number in
 * the specification. After each of them the server is killed with kill -9, and every row must be as it was.
 */

const suite = new WriteSuite()

const DAY_MS = 24 * 3_600_000

test('row 1: CreateWriteStream makes COMMITTED and PENDING streams; the answer has the schema and no location', async () => {
  const { stream, parent } = await suite.newStream()
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
  const [pending] = await suite.client.createWriteStream({ parent, writeStream: { type: 'PENDING' } })
  assert.equal(pending.type, 'PENDING')
  assert.equal(pending.commitTime, null)
  const buffered = await failure(suite.client.createWriteStream({ parent, writeStream: { type: 'BUFFERED' } }))
  assert.equal(buffered.code, status.UNIMPLEMENTED)
})

test('row 2: GetWriteStream(_default) exists for every table, BASIC and FULL', async () => {
  const { parent } = await suite.newTable()
  const name = `${parent}/streams/_default`
  const [basic] = await suite.client.getWriteStream({ name })
  assert.deepEqual([basic.type, basic.location, basic.tableSchema], ['COMMITTED', 'us', null])
  const [full] = await suite.client.getWriteStream({ name, view: 'FULL' })
  assert.equal(full.tableSchema?.fields?.length, 2)
})

test('row 3: GetWriteStream of an unknown stream is INVALID_ARGUMENT "Invalid stream name"', async () => {
  const { parent } = await suite.newTable()
  const name = `${parent}/streams/never-created`
  const { code, message } = await failure(suite.client.getWriteStream({ name }))
  assert.equal(code, status.INVALID_ARGUMENT)
  assert.ok(message.includes(`Invalid stream name. Entity: ${name}`), message)
})

test('row 4: FinalizeWriteStream answers the row count, again and again; _default is NOT_FOUND', async () => {
  const { name, parent } = await suite.newStream()
  const connection = new AppendConnection(suite.client)
  await connection.send({ writeStream: name, offset: 0, type: PERSON, rows: people(0, 3) })
  await connection.close()
  for (let time = 0; time < 2; time++) assert.equal((await suite.client.finalizeWriteStream({ name }))[0].rowCount, '3')
  const { code, message } = await failure(suite.client.finalizeWriteStream({ name: `${parent}/streams/_default` }))
  assert.equal(code, status.NOT_FOUND)
  assert.match(message, /Requested entity was not found. Entity: /)
})

test('row 5: a missing table is PERMISSION_DENIED everywhere, never NOT_FOUND', async () => {
  const parent = `projects/${PROJECT}/datasets/d/tables/missing`
  const expected = { code: status.PERMISSION_DENIED, message: /denied on resource '.*missing' \(or it may not exist\)/ }
  const connection = new AppendConnection(suite.client)
  const calls = [
    () => suite.client.createWriteStream({ parent, writeStream: { type: 'COMMITTED' } }),
    () => suite.client.getWriteStream({ name: `${parent}/streams/_default` }),
    () => suite.client.finalizeWriteStream({ name: `${parent}/streams/x` }),
    () => suite.client.batchCommitWriteStreams({ parent, writeStreams: [`${parent}/streams/x`] }),
    () => connection.send({ writeStream: `${parent}/streams/_default`, type: PERSON, rows: people(0, 1) }),
  ]
  for (const call of calls) {
    const { code, message } = await failure(call())
    assert.equal(code, expected.code)
    assert.match(message, expected.message)
  }
})

test('row 6: right after its creation a table may deny new streams for a while, on demand', async () => {
  await suite.server.faults.set([{ method: 'tables.insert', fault: { kind: 'deny-new-streams', forMs: 60_000 } }])
  const { parent } = await suite.newTable()
  const create = () => suite.client.createWriteStream({ parent, writeStream: { type: 'COMMITTED' } })
  assert.equal((await failure(create())).code, status.PERMISSION_DENIED)
  const connection = new AppendConnection(suite.client)
  const response = await connection.send({
    writeStream: `${parent}/streams/_default`,
    type: PERSON,
    rows: people(0, 1),
  })
  assert.equal(response.error, undefined)
  await connection.close()
  await suite.server.faults.advance(60_000)
  assert.equal((await create())[0].type, 'COMMITTED')
})

test('row 7: COMMITTED streams live 3 days without traffic, PENDING ones must be committed in 24 h', async () => {
  const committed = await suite.newStream()
  const pending = await suite.newStream('PENDING')
  for (const { name } of [committed, pending]) {
    const connection = new AppendConnection(suite.client)
    await connection.send({ writeStream: name, offset: 0, type: PERSON, rows: people(0, 2) })
    await connection.close()
  }
  await suite.client.finalizeWriteStream({ name: pending.name })
  await suite.server.faults.advance(DAY_MS)
  const [{ streamErrors, commitTime }] = await suite.client.batchCommitWriteStreams({
    parent: pending.parent,
    writeStreams: [pending.name],
  })
  assert.deepEqual([streamErrors?.[0]?.code, commitTime], ['STREAM_NOT_FOUND', null])
  await suite.server.faults.advance(2 * DAY_MS - 60_000)
  assert.equal((await suite.client.getWriteStream({ name: committed.name }))[0].type, 'COMMITTED')
  await suite.server.faults.advance(60_000)
  assert.equal((await failure(suite.client.finalizeWriteStream({ name: committed.name }))).code, status.NOT_FOUND)
  assert.equal((await failure(suite.client.getWriteStream({ name: committed.name }))).code, status.INVALID_ARGUMENT)
  const connection = new AppendConnection(suite.client)
  const late = connection.send({ writeStream: committed.name, offset: 2, type: PERSON, rows: people(2, 1) })
  assert.equal((await failure(late)).code, status.NOT_FOUND)
  assert.deepEqual([await suite.count(committed.table), await suite.count(pending.table)], [2, 0])
})

test('row 8: an idle connection ends after 600 s with ABORTED', async () => {
  const { name } = await suite.newStream()
  const connection = new AppendConnection(suite.client)
  await connection.send({ writeStream: name, offset: 0, type: PERSON, rows: people(0, 1) })
  await suite.server.faults.advance(540_000) // and the time that this takes
  const answered = await connection.send({ writeStream: name, offset: 1, rows: people(1, 1) })
  assert.equal(answered.error, undefined)
  await suite.server.faults.advance(600_000)
  const ended = await connection.ended
  assert.equal(ended?.code, status.ABORTED)
  assert.match(ended?.message ?? '', /Closing the stream because it has been inactive for 600 seconds/)
})

test('row 26: BatchCommit is all or nothing, needs finalized streams, and happens once', async () => {
  const { parent, table } = await suite.newTable()
  const create = async (type: 'COMMITTED' | 'PENDING') =>
    (await suite.client.createWriteStream({ parent, writeStream: { type } }))[0].name ?? ''
  const [first, second, committed] = [await create('PENDING'), await create('PENDING'), await create('COMMITTED')]
  for (const [at, writeStream] of [first, second].entries()) {
    const connection = new AppendConnection(suite.client)
    await connection.send({ writeStream, offset: 0, type: PERSON, rows: people(at * 10, 3) })
    await connection.close()
  }
  const commit = async (...writeStreams: string[]) =>
    (await suite.client.batchCommitWriteStreams({ parent, writeStreams }))[0]
  const codes = async (...names: string[]) => (await commit(...names)).streamErrors?.map(({ code }) => code)
  await suite.client.finalizeWriteStream({ name: first })
  const gone = second.replace(/.{6}$/, 'abcdef')
  assert.deepEqual(await codes(first, second, committed, gone), [
    'INVALID_STREAM_STATE',
    'INVALID_STREAM_TYPE',
    'STREAM_NOT_FOUND',
  ])
  assert.equal((await commit(first, second)).commitTime, null)
  assert.equal(await suite.count(table), 0)
  await suite.client.finalizeWriteStream({ name: second })
  const done = await commit(first, second)
  assert.deepEqual(done.streamErrors, [])
  assert.ok(Number(done.commitTime?.seconds) > 1_600_000_000)
  assert.deepEqual(await codes(first), ['STREAM_ALREADY_COMMITTED'])
  assert.equal(await suite.count(table), 6)
})

test('row 27: PENDING rows are invisible before the commit; no answer is older than a write', async () => {
  const { name, table, parent } = await suite.newStream('PENDING')
  const connection = new AppendConnection(suite.client)
  await connection.send({ writeStream: name, offset: 0, type: PERSON, rows: people(0, 2) })
  const other = new AppendConnection(suite.client)
  for (let rows = 1; rows <= 5; rows++) {
    await other.send({ writeStream: `${parent}/streams/_default`, type: PERSON, rows: people(100 + rows, 1) })
    assert.equal(await suite.count(table), rows)
  }
  await Promise.all([connection.close(), other.close()])
  await suite.client.finalizeWriteStream({ name })
  assert.equal(await suite.count(table), 5)
  await suite.client.batchCommitWriteStreams({ parent, writeStreams: [name] })
  assert.equal(await suite.count(table), 7)
})
