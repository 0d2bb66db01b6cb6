import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { appendFile, mkdtemp, readdir, readlink, rm, truncate, writeFile } from 'node:fs/promises'
import { Agent, type IncomingMessage, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { type ApiError, Storage } from '@google-cloud/storage'
import { crc32c } from '@node-rs/crc32'
import { UserError } from '../../shared/errors.ts'
import { eventually } from '../../test/support/eventually.ts'
import { needsTool } from '../../test/support/tools.ts'
import { createClock, createFaults } from '../faults/index.ts'
import { startStorage, type StorageOptions } from './index.ts'

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'millrace-store-'))
  t.after(() => rm(path, { recursive: true }))
  return path
}

async function start(t: TestContext, options: StorageOptions) {
  const storage = await startStorage({ buckets: ['test-bucket'], ...options })
  t.after(() => storage.stop())
  const client = new Storage({ apiEndpoint: storage.endpoint, projectId: 'p', retryOptions: { autoRetry: false } })
  return { storage, bucket: client.bucket('test-bucket') }
}

const isUserError = (pattern: RegExp) => (error: unknown) =>
  error instanceof UserError && pattern.test(error.message) && error.fix !== undefined

test('an object takes one update a second, by the clock: 429 rateLimitExceeded', async (t) => {
  const clock = createClock({ frozen: true })
  const { bucket } = await start(t, { dataDir: await folder(t), clock })
  const [file, other] = [bucket.file('a'), bucket.file('b')]
  for (const one of [file, other]) await one.save('x', { resumable: false })
  await file.setMetadata({ metadata: { n: '1' } })
  const limited = (error: ApiError) => error.code === 429 && error.errors?.[0]?.reason === 'rateLimitExceeded'
  await assert.rejects(file.setMetadata({ metadata: { n: '2' } }), limited)
  await other.setMetadata({ metadata: { n: '1' } })
  clock.advance(999)
  await assert.rejects(file.setMetadata({ metadata: { n: '2' } }), limited)
  clock.advance(1)
  await file.setMetadata({ metadata: { n: '2' } })
  assert.equal(Number(file.metadata.metageneration), 3)
})

test('a name takes one write of new content a second', async (t) => {
  const clock = createClock({ frozen: true })
  const { bucket } = await start(t, { dataDir: await folder(t), clock })
  await bucket.file('a').save('x', { resumable: false })
  await assert.rejects(bucket.file('a').save('y', { resumable: false }), (error: ApiError) => error.code === 429)
  clock.advance(1_000)
  await bucket.file('a').save('y', { resumable: false })
})

test('an update whose precondition fails does not count against the limit', async (t) => {
  const { bucket } = await start(t, { dataDir: await folder(t), clock: createClock({ frozen: true }) })
  const file = bucket.file('a')
  await file.save('x', { resumable: false })
  await assert.rejects(file.setMetadata({ metadata: { n: '1' } }, { ifMetagenerationMatch: 9 }))
  await file.setMetadata({ metadata: { n: '1' } }, { ifMetagenerationMatch: 1 })
})

test('the limit can be switched off', async (t) => {
  const { bucket } = await start(t, { dataDir: await folder(t), limitUpdates: false })
  const file = bucket.file('a')
  await file.save('x', { resumable: false })
  for (const n of ['1', '2', '3']) await file.setMetadata({ metadata: { n } })
})

test('no generation comes twice, though the clock stands still and the service restarts', async (t) => {
  const [dataDir, clock] = [await folder(t), createClock({ frozen: true })]
  const generations: number[] = []
  for (let life = 0; life < 3; life++) {
    const { storage, bucket } = await start(t, { dataDir, clock, limitUpdates: false })
    for (let i = 0; i < 2; i++) {
      const file = bucket.file('a')
      await file.save('x', { resumable: false })
      generations.push(Number(file.metadata.generation))
      await file.delete()
    }
    await storage.stop()
  }
  assert.deepEqual(
    generations,
    [...new Set(generations)].sort((a, b) => a - b),
  )
})

test('content files that nobody uses go with what used them, and after a crash at the next start', async (t) => {
  const dataDir = await folder(t)
  const { storage, bucket } = await start(t, { dataDir, limitUpdates: false })
  for (const content of ['x', 'y']) await bucket.file('a').save(content, { resumable: false })
  await bucket.file('a').copy(bucket.file('b'))
  await bucket.file('a').delete()
  const files = () => readdir(join(dataDir, 'content'))
  assert.equal((await files()).length, 1)
  await bucket.file('b').delete()
  assert.equal((await files()).length, 0)
  await storage.stop()
  await writeFile(join(dataDir, 'content', 'orphan'), 'left by a crash')
  await start(t, { dataDir })
  assert.deepEqual(await files(), [])
})

test('a folder that is in use is refused, one that a dead process held is taken', async (t) => {
  const dataDir = await folder(t)
  const { storage } = await start(t, { dataDir })
  await assert.rejects(startStorage({ dataDir }), isUserError(/is in use by process \d+/))
  await storage.stop()
  await writeFile(join(dataDir, 'lock'), '999999999 1')
  await start(t, { dataDir })
})

test('of many that open one folder at once, one gets it, also when a dead process held it', async (t) => {
  for (const dead of ['', '999999999 1']) {
    const dataDir = await folder(t)
    if (dead) await writeFile(join(dataDir, 'lock'), dead)
    const opened = await Promise.allSettled(Array.from({ length: 8 }, () => startStorage({ dataDir })))
    const running = opened.filter(({ status }) => status === 'fulfilled')
    for (const one of opened) if (one.status === 'fulfilled') await one.value.stop()
    assert.equal(running.length, 1)
  }
})

test('a damaged folder and a missing content file are each one clear error', async (t) => {
  const dataDir = await folder(t)
  const { storage, bucket } = await start(t, { dataDir })
  await bucket.file('a').save('some bytes', { resumable: false })
  await storage.stop()
  const [content = ''] = await readdir(join(dataDir, 'content'))
  await truncate(join(dataDir, 'content', content), 3)
  await assert.rejects(startStorage({ dataDir }), isUserError(/gs:\/\/test-bucket\/a are 3 long, not 10/))
  await rm(join(dataDir, 'content', content))
  await assert.rejects(startStorage({ dataDir }), isUserError(/gs:\/\/test-bucket\/a are missing/))
  await appendFile(join(dataDir, 'journal'), 'garbage\n')
  await assert.rejects(startStorage({ dataDir }), isUserError(/journal:\d+: .* is damaged/))
})

test('a folder of a later format is refused', async (t) => {
  const dataDir = await folder(t)
  const line = '[{"op":"format","version":99}]'
  await writeFile(join(dataDir, 'journal'), `${crc32c(line).toString(16).padStart(8, '0')} ${line}\n`)
  await assert.rejects(startStorage({ dataDir }), isUserError(/has format 99; this Millrace reads 1/))
})

test('a port that is taken is one clear error, and the folder is free again', async (t) => {
  const dataDir = await folder(t)
  const { storage } = await start(t, { dataDir: await folder(t) })
  const port = Number(new URL(storage.endpoint).port)
  await assert.rejects(startStorage({ dataDir, port }), isUserError(/port \d+: .*EADDRINUSE/))
  await start(t, { dataDir })
})

test('a folder that cannot be made is one clear error', async (t) => {
  const file = join(await folder(t), 'file')
  await writeFile(file, '')
  await assert.rejects(startStorage({ dataDir: join(file, 'data') }), isUserError(/ENOTDIR/))
})

test('a connection whose upload was refused before it was read carries the next request', async (t) => {
  const { storage, bucket } = await start(t, { dataDir: await folder(t) })
  await bucket.file('a').save('x', { resumable: false })
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.after(() => agent.destroy())
  const ask = async (method: string, path: string, body = Buffer.alloc(0)) => {
    const headers = { 'content-type': 'multipart/related; boundary=b', 'content-length': body.length }
    const asked = request(`${storage.endpoint}${path}`, { agent, method, headers }).end(body)
    const [answer] = (await once(asked, 'response')) as [IncomingMessage]
    answer.resume()
    await once(answer, 'end')
    return answer.statusCode
  }
  const head = '--b\r\ncontent-type: application/json\r\n\r\n{"name":"a"}\r\n--b\r\ncontent-type: text/plain\r\n\r\n'
  const upload = Buffer.concat([Buffer.from(head), Buffer.alloc(8 * 1024 * 1024), Buffer.from('\r\n--b--\r\n')])
  const path = '/upload/storage/v1/b/test-bucket/o?uploadType=multipart&ifGenerationMatch=0'
  assert.equal(await ask('POST', path, upload), 412)
  assert.equal(await ask('GET', '/storage/v1/b/test-bucket/o'), 200)
})

test('the file of an answer that nobody reads is closed', async (t) => {
  if (!needsTool(t, '/proc', existsSync('/proc/self/fd'))) return
  const dataDir = await folder(t)
  const faults = createFaults()
  const warnings: string[] = []
  const onWarning = ({ message }: Error) => warnings.push(message)
  process.on('warning', onWarning)
  t.after(() => process.off('warning', onWarning))
  const { storage, bucket } = await start(t, { dataDir, faults })
  await bucket.file('a').save('x'.repeat(4 * 1024 * 1024), { resumable: false })
  const url = `${storage.endpoint}/storage/v1/b/test-bucket/o/a?alt=media`
  for (const when of ['before', 'after'] as const) {
    faults.replace([{ method: 'objects.get.media', fault: { kind: 'drop', when } }])
    await assert.rejects(fetch(url))
  }
  faults.replace([{ method: 'objects.get.media', fault: { kind: 'error', code: 'UNAVAILABLE', when: 'after' } }])
  assert.equal((await fetch(url)).status, 503)
  await (await fetch(url)).body?.cancel()
  await eventually(async () => (await openFilesBelow(join(dataDir, 'content'))) === 0)
  assert.deepEqual(warnings, [], 'closed by the garbage collection')
})

async function openFilesBelow(path: string): Promise<number> {
  const links = await Promise.all(
    (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
  )
  return links.filter((link) => link.startsWith(path)).length
}
