import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { status } from '@grpc/grpc-js'
import { BigQueryProcess, PROJECT } from './bigquery-process.ts'
import { AppendConnection, rowType } from './bigquery-rows.ts'

/** `store: 'count'`: for benchmarks of clients. It keeps nothing and reads no row, but offsets hold as ever. */

const ROW = rowType({ id: 'int64' })
let server: BigQueryProcess

before(async () => {
  server = await BigQueryProcess.start('count')
  await server.bigquery().createDataset('d')
  await server
    .bigquery()
    .dataset('d')
    .createTable('t', { schema: { fields: [{ name: 'id', type: 'INT64' }] } })
})
after(() => server.dispose())

test('offsets are enforced and rows are counted; nothing is on disk, and nothing can be read', async () => {
  const parent = `projects/${PROJECT}/datasets/d/tables/t`
  const [{ name }] = await server.writeClient().createWriteStream({ parent, writeStream: { type: 'COMMITTED' } })
  const writeStream = name ?? ''
  const connection = new AppendConnection(server.writeClient())
  const rows = (count: number) => Array.from({ length: count }, (_, id) => ROW.encode({ id }))
  const codes: number[] = []
  for (const [offset, count] of [
    [0, 3],
    [0, 3],
    [4, 1],
    [3, 2],
  ] as const) {
    codes.push((await connection.send({ writeStream, offset, type: ROW, rows: rows(count) })).error?.code ?? 0)
  }
  assert.deepEqual(codes, [0, status.ALREADY_EXISTS, status.OUT_OF_RANGE, 0])
  await connection.close()
  assert.equal((await server.writeClient().finalizeWriteStream({ name: writeStream }))[0].rowCount, '5')
  assert.deepEqual(readdirSync(server.dataDir), [])
  const query = server.bigquery().query({ query: 'SELECT * FROM d.t', useLegacySql: false })
  await assert.rejects(query, /store that only counts is not built/)
})
