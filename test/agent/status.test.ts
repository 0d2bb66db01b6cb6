import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import test from 'node:test'
import { freePort } from '../../local/free-port.ts'
import { bucketBench } from '../support/agent-bucket.ts'
import { eventually } from '../support/eventually.ts'
import { LogWriter } from '../support/log-writer.ts'

interface Status {
  lag_bytes: number
  lag_seconds: number
  chunks_total: number
  chunk_bytes_total: number
  open: { position: number; size: number; lag_bytes: number; carrier: string }[]
}

test('of a route without topic only finished files are late, until they are in the bucket', async (t) => {
  const port = await freePort()
  const { bench, storage, chunks } = await bucketBench(t, {
    paths: ['app.log'],
    agent: { finish_after: '300ms', port },
    route: { topic: undefined },
  })
  const status = async () => (await (await fetch(`http://127.0.0.1:${port}/status`)).json()) as Status
  const writer = new LogWriter(join(bench.folder, 'app.log'))
  writer.write(10)
  const agent = bench.start()
  const { open, ...written } = await eventually(async () => {
    const now = await status()
    return now.open.length === 1 && now
  })
  assert.deepEqual(
    open.map(({ position, size, lag_bytes, carrier }) => ({ position, size, lag_bytes, carrier })),
    [{ position: 0, size: 1200, lag_bytes: 0, carrier: 'chunk' }],
  )
  assert.deepEqual([written.lag_bytes, written.lag_seconds], [0, 0])

  writer.rotate()
  writer.write(5)
  await eventually(async () => (await chunks()).length === 1)
  await eventually(async () => {
    const { lag_bytes, open } = await status()
    const carried = new Map(open.map(({ size, position }) => [size, position]))
    return lag_bytes === 0 && carried.get(1200) === 1200 && carried.get(600) === 0
  })

  const compressed = gzipSync('another line\n'.repeat(100))
  writeFileSync(join(bench.folder, 'app.log.7.gz'), compressed)
  await eventually(async () => (await status()).open.some(({ size, position }) => size === 1300 && position === 1300))
  const { chunks_total, chunk_bytes_total } = await status()
  assert.equal(chunks_total, 2)
  assert.ok(chunk_bytes_total > 0 && chunk_bytes_total < 1300, `${chunk_bytes_total} is not the compressed size`)

  await storage.stop()
  writer.rotate()
  writer.write(1)
  await eventually(async () => (await status()).lag_bytes === 600)
  await eventually(async () => (await status()).lag_seconds > 0)
  assert.equal(await agent.stop(), 0)
})
