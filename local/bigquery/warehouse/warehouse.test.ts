import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Warehouse } from './warehouse.ts'

/** DuckDB's row group has 122,880 rows: the second insert goes beyond it. */
const FIRST = 36_175
const SECOND = 113_861

void test('a table with a RECORD of strings grows beyond a row group of DuckDB', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-warehouse-'))
  const warehouse = await Warehouse.open(folder)
  t.after(() => {
    warehouse.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const file = join(folder, 'rows.parquet')
  const rows = `SELECT i AS number, {'source': 'source of the row ' || (i // 40000), 'position': i} AS origin FROM range(${SECOND}) AS r(i)`
  const insert = `INSERT INTO t BY NAME SELECT * FROM read_parquet('${file}')`
  await warehouse.transact(async (connection) => {
    await connection.run(`COPY (${rows}) TO '${file}' (FORMAT parquet, ROW_GROUP_SIZE 200000)`)
    await connection.run(`CREATE TABLE t AS ${rows} LIMIT 0`)
  })
  await warehouse.transact((connection) => connection.run(`${insert} LIMIT ${FIRST}`))
  await warehouse.transact((connection) => connection.run(insert))
  const connection = await warehouse.connect()
  const read = await connection.runAndReadAll(
    `SELECT count(*) FROM t WHERE origin.position = number AND origin.source = 'source of the row ' || (number // 40000)`,
  )
  assert.equal(Number(read.getRows()[0]?.[0]), FIRST + SECOND)
  connection.closeSync()
})
