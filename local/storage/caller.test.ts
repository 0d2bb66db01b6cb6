import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { openBucket } from '../../shared/chunks/index.ts'
import type { Config } from '../../shared/config/index.ts'
import { createRecorder } from '../faults/index.ts'
import { startStorage } from './index.ts'

test('every call of the bucket that ships is recorded under its entry, resumable uploads too', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'millrace-caller-'))
  const recorder = createRecorder()
  const storage = await startStorage({ dataDir, recorder, buckets: ['test-bucket'] })
  t.after(async () => {
    await storage.stop()
    await rm(dataDir, { recursive: true })
  })
  const config = {
    file: '',
    project: 'p',
    bucket: 'test-bucket',
    endpoints: { storage: storage.endpoint },
  } as unknown as Config
  const bucket = openBucket(config, 'chunk-load')
  const { object } = await bucket.upload('a', Readable.from([Buffer.from('bytes')]), { x: '1' })
  await bucket.patch(object, { x: '2' })
  await bucket.stat('a')
  assert.equal(Buffer.concat(await Array.fromAsync(bucket.read(object))).toString(), 'bytes')
  for await (const one of bucket.list('')) assert.equal(one.name, 'a')
  assert.deepEqual(
    recorder
      .tallies()
      .map(({ entry, method }) => `${entry} ${method}`)
      .sort(),
    [
      'objects.get',
      'objects.get.media',
      'objects.insert.part',
      'objects.insert.resumable',
      'objects.list',
      'objects.patch',
    ].map((m) => `chunk-load ${m}`),
  )
})
