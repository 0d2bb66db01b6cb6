import assert from 'node:assert/strict'
import { appendFileSync, existsSync, globSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { status } from '@grpc/grpc-js'
import { startBigQuery } from '../../local/bigquery/index.ts'
import { UserError } from '../../shared/errors.ts'
import { BigQueryProcess, PROJECT } from './bigquery-process.ts'
import { AppendConnection, rowType } from './bigquery-rows.ts'

/**
 * The data folder of the local BigQuery: kill -9 at any instant loses nothing that was acknowledged and invents nothing;
 * a torn tail is cut, real damage is refused with one clear error. See docs/protocols/local-bigquery.md.
 */

const ROW = rowType({ id: 'int64', text: 'string' })
const SCHEMA = {
  fields: [
    { name: 'id', type: 'INT64' },
    { name: 'text', type: 'STRING' },
  ],
}
const PARENT = `projects/${PROJECT}/datasets/d/tables/t`

let server: BigQueryProcess

before(async () => {
  server = await BigQueryProcess.start()
  await server.bigquery().createDataset('d')
  await server.bigquery().dataset('d').createTable('t', { schema: SCHEMA })
})
after(() => server.dispose())

async function newStream(type: 'COMMITTED' | 'PENDING' = 'COMMITTED'): Promise<string> {
  const [stream] = await server.writeClient().createWriteStream({ parent: PARENT, writeStream: { type } })
  return stream.name ?? ''
}

async function count(where = 'TRUE'): Promise<{ n: number; ids: number }> {
  const query = `SELECT COUNT(*) AS n, COUNT(DISTINCT id) AS ids FROM d.t WHERE ${where}`
  const [rows] = await server.bigquery().query({ query, useLegacySql: false })
  return rows[0] as { n: number; ids: number }
}

const rows = (from: number, size: number) =>
  Array.from({ length: size }, (_, at) => ROW.encode({ id: from + at, text: 'x'.repeat(100) }))

/** Appends pipelined at explicit offsets, kills the server after some answers, and returns the rows that were acknowledged. */
async function appendUntilDeath(name: string, base: number, queries: boolean): Promise<number> {
  const killAfter = 40 + Math.floor(Math.random() * 40)
  let answers = 0
  let killed: Promise<void> | undefined
  const connection = new AppendConnection(server.writeClient())
  let acknowledged = 0
  let sent = 0
  const asking = queries ? setInterval(() => void count().catch(() => undefined), 30) : undefined
  const pending: Promise<unknown>[] = []
  let dead = false
  void connection.ended.then(() => (dead = true))
  while (!dead) {
    const [offset, size] = [sent, 1 + (sent % 50)]
    sent += size
    const answer = connection.send({ writeStream: name, offset, type: ROW, rows: rows(base + offset, size) })
    pending.push(
      answer.then(
        (response) => {
          assert.equal(response.appendResult?.offset?.value, String(offset))
          acknowledged = offset + size
          if (++answers === killAfter) killed = server.kill()
        },
        () => (dead = true),
      ),
    )
    if (pending.length % 8 === 0) await pending.at(-8)
  }
  clearInterval(asking)
  await Promise.all(pending)
  await killed
  return acknowledged
}

for (const queries of [false, true]) {
  test(`killed during appends${queries ? ' and take-ups' : ''}: every acknowledged row once, and whole requests only`, async () => {
    const name = await newStream()
    const base = queries ? 20_000_000 : 10_000_000
    const acknowledged = await appendUntilDeath(name, base, queries)
    assert.ok(acknowledged > 0)
    await server.launch()
    const [{ rowCount }] = await server.writeClient().finalizeWriteStream({ name })
    const end = Number(rowCount)
    assert.ok(end >= acknowledged, `${end} rows after the restart, ${acknowledged} were acknowledged`)
    let boundary = 0
    while (boundary < end) boundary += 1 + (boundary % 50)
    assert.equal(boundary, end, 'the stream ends where a request ended')
    assert.deepEqual(await count(`id BETWEEN ${base} AND ${base + 9_999_999}`), { n: end, ids: end })
  })
}

test('killed at random during commits: a batch of streams is visible whole or not at all', async () => {
  for (let round = 0; round < 3; round++) {
    const base = 30_000_000 + round * 1_000
    const names = await Promise.all([0, 1, 2].map(() => newStream('PENDING')))
    for (const [at, writeStream] of names.entries()) {
      const connection = new AppendConnection(server.writeClient())
      await connection.send({ writeStream, offset: 0, type: ROW, rows: rows(base + at * 100, 50) })
      await connection.close()
      await server.writeClient().finalizeWriteStream({ name: writeStream })
    }
    const where = `id BETWEEN ${base} AND ${base + 999}`
    const commit = () => server.writeClient().batchCommitWriteStreams({ parent: PARENT, writeStreams: names })
    const committing = commit().then(
      () => true,
      () => false,
    )
    const asking = count(where).catch(() => undefined)
    // An instant in the middle of commit and take-up: a different one each time.
    await setTimeout(round * 7)
    await server.kill()
    const acknowledged = await committing
    await asking
    await server.launch()
    const { n } = await count(where)
    assert.ok(acknowledged ? n === 150 : n === 0 || n === 150, `${n} rows; acknowledged: ${acknowledged}`)
    const [again] = await commit()
    assert.deepEqual(
      [...new Set(again.streamErrors?.map(({ code }) => code))],
      n === 0 ? [] : ['STREAM_ALREADY_COMMITTED'],
    )
    assert.deepEqual(await count(where), { n: 150, ids: 150 })
  }
})

for (const [when, expected] of [
  ['before', 0],
  ['after', status.ALREADY_EXISTS],
] as const) {
  test(`a connection that is dropped ${when} the effect of an append: the same request again is ${expected ? 'ALREADY_EXISTS' : 'written'}`, async () => {
    const name = await newStream()
    await server.faults.set([{ method: 'AppendRows', resource: name, fault: { kind: 'drop', when } }])
    const request = { writeStream: name, offset: 0, type: ROW, rows: rows(40_000_000, 1) }
    await assert.rejects(new AppendConnection(server.writeClient()).send(request))
    const connection = new AppendConnection(server.writeClient())
    assert.equal((await connection.send(request)).error?.code ?? 0, expected)
    await connection.close()
  })
}

test('calls are recorded by their entry', async () => {
  await server.faults.clearCalls()
  await newStream()
  const { tallies } = await server.faults.calls()
  assert.deepEqual(
    tallies.map(({ entry, service, method }) => [entry, service, method]),
    [['unknown', 'bigquery-write', 'CreateWriteStream']],
  )
})

test('a torn tail is cut, anything else that is damaged is one clear error with the fix', async () => {
  const own = await BigQueryProcess.start()
  try {
    await own.bigquery().createDataset('d')
    await own.bigquery().dataset('d').createTable('t', { schema: SCHEMA })
    const [stream] = await own.writeClient().createWriteStream({ parent: PARENT, writeStream: { type: 'COMMITTED' } })
    const name = stream.name ?? ''
    const connection = new AppendConnection(own.writeClient())
    for (let at = 0; at < 3; at++)
      await connection.send({ writeStream: name, offset: at, type: ROW, rows: rows(at, 1) })
    await connection.close()
    await own.kill()
    const [segment = ''] = globSync(`${own.dataDir}/rows/*/*.000001`)
    const whole = readFileSync(segment)
    const catalog = join(own.dataDir, 'catalog.log')
    const journal = readFileSync(catalog)

    // A record of which only a part was written, and a line of the catalog of which only a part was written.
    appendFileSync(segment, whole.subarray(whole.length - 150, whole.length - 20).subarray(0, 20))
    appendFileSync(catalog, '0badf00d {"change":"da')
    await own.launch()
    assert.equal((await own.writeClient().finalizeWriteStream({ name }))[0].rowCount, '3')
    await own.kill()
    assert.equal(readFileSync(segment).length, whole.length)

    // The last record cut short: it was never acknowledged as far as the file can tell.
    writeFileSync(catalog, journal)
    truncateSync(segment, whole.length - 5)
    await own.launch()
    assert.equal((await own.writeClient().finalizeWriteStream({ name }))[0].rowCount, '2')
    await own.kill()

    const damage = async (file: string, change: (bytes: Buffer) => void, text: RegExp) => {
      const before = readFileSync(file)
      const bytes = Buffer.from(before)
      change(bytes)
      writeFileSync(file, bytes)
      await assert.rejects(startBigQuery({ dataDir: own.dataDir }), (error) => {
        assert.ok(error instanceof UserError)
        assert.match(error.message, text)
        assert.ok(error.message.includes(file) && /Move the folder away/.test(error.fix ?? ''))
        return true
      })
      writeFileSync(file, before)
    }
    writeFileSync(catalog, journal)
    writeFileSync(segment, whole)
    await damage(
      segment,
      (bytes) => bytes.fill(0xff, bytes.length - 200, bytes.length - 190),
      /record at byte \d+ is damaged/,
    )
    await damage(segment, (bytes) => bytes.write('XX'), /does not begin as a segment/)
    await damage(catalog, (bytes) => bytes.write('zz', 60), /does not match its checksum/)
    const warehouse = join(own.dataDir, 'warehouse.duckdb')
    assert.ok(existsSync(warehouse))
    await damage(warehouse, (bytes) => bytes.fill(0, 0, 4096), /warehouse\.duckdb/)
  } finally {
    await own.dispose()
  }
})

test('a folder that is in use, or a port that is taken, is one clear error', async () => {
  await assert.rejects(
    startBigQuery({ dataDir: server.dataDir }),
    (error) => error instanceof UserError && /in use by another process/.test(error.message),
  )
  const dataDir = await mkdtemp(join(tmpdir(), 'millrace-bigquery-'))
  const port = Number(server.grpc.split(':')[1])
  await assert.rejects(
    startBigQuery({ dataDir, ports: { grpc: port } }),
    (error) => error instanceof UserError && error.message.includes(String(port)),
  )
  await rm(dataDir, { recursive: true, force: true })
})
