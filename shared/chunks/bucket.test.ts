import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { suite, type TestContext, test } from 'node:test'
import { createFaults } from '../../local/faults/index.ts'
import { startStorage } from '../../local/storage/index.ts'
import { parseConfig } from '../config/index.ts'
import { type Bucket, openBucket } from './index.ts'

/** A way to open the bucket, with a limit for the answer to a request or with the usual one. */
async function startTestStorage(t: TestContext, faults = createFaults()): Promise<(requestMsMax?: number) => Bucket> {
  const dataDir = await mkdtemp(join(tmpdir(), 'millrace-bucket-'))
  const storage = await startStorage({ dataDir, buckets: ['logs'], limitUpdates: false, faults })
  t.after(async () => {
    await storage.stop()
    await rm(dataDir, { recursive: true })
  })
  const text = `{ project: p, dataset: d, bucket: logs, routes: {}, endpoints: { storage: '${storage.endpoint}' } }`
  return (requestMsMax) => openBucket(parseConfig(text, '/millrace.yaml'), 'test', requestMsMax)
}

const openTestBucket = async (t: TestContext) => (await startTestStorage(t))()

/** Longer than a busy machine stops a process: the request before the one that is to fail needs its answer. */
const REQUEST_MS_MAX = 3000

void suite('the bucket', () => {
  void test('an object is written once: whoever comes later sees the first', async (t) => {
    const bucket = await openTestBucket(t)
    const first = await bucket.upload('a/b', Readable.from([Buffer.from('first')]), { 'millrace-v': '1' })
    const second = await bucket.upload('a/b', Readable.from([Buffer.from('second')]), { 'millrace-v': '2' })
    assert.equal(first.kind, 'uploaded')
    assert.equal(second.kind, 'exists')
    assert.deepEqual(second.object, first.object)
    assert.deepEqual(second.object.metadata, { 'millrace-v': '1' })
    assert.equal((await buffer(bucket.read(second.object))).toString(), 'first')
  })

  void test('a content of several pieces arrives whole', async (t) => {
    const bucket = await openTestBucket(t)
    const content = Buffer.alloc(17 * 1024 * 1024 + 5, 'millrace ')
    const pieces = function* () {
      for (let at = 0; at < content.length; at += 100_000) yield content.subarray(at, at + 100_000)
    }
    const { object } = await bucket.upload('large', Readable.from(pieces()), {})
    assert.equal(object.size, content.length)
    assert((await buffer(bucket.read(object))).equals(content))
  })

  for (const nth of [1, 2]) {
    void test(`request ${nth} of an upload that is never answered fails, and the upload can be tried again`, async (t) => {
      const faults = createFaults()
      const open = await startTestStorage(t, faults)
      faults.add({ method: 'objects.insert*', nth, fault: { kind: 'hang' } })
      const upload = (bucket: Bucket) => bucket.upload('x', Readable.from([Buffer.from('x')]), {})
      await assert.rejects(upload(open(REQUEST_MS_MAX)))
      assert.equal(faults.plan()[0]?.struck, 1)
      assert.equal((await upload(open())).kind, 'uploaded')
    })
  }

  void test('metadata change only from the reading that the change was decided on', async (t) => {
    const bucket = await openTestBucket(t)
    const { object } = await bucket.upload('x', Readable.from([Buffer.from('x')]), { keep: 'k', remove: 'r' })
    const patched = await bucket.patch(object, { remove: null, added: 'a' })
    assert.equal(patched.kind, 'patched')
    assert.deepEqual((await bucket.stat('x'))?.metadata, { keep: 'k', added: 'a' })
    assert.deepEqual(await bucket.patch(object, { added: 'late' }), { kind: 'changed' })
  })

  void test('lists in the order of names, from a name on', async (t) => {
    const bucket = await openTestBucket(t)
    for (const name of ['c/1', 'a/2', 'a/1', 'b/1']) await bucket.upload(name, Readable.from([Buffer.from(name)]), {})
    const names = (prefix: string, from?: string) => Array.fromAsync(bucket.list(prefix, from), ({ name }) => name)
    assert.deepEqual(await names(''), ['a/1', 'a/2', 'b/1', 'c/1'])
    assert.deepEqual(await names('a/'), ['a/1', 'a/2'])
    assert.deepEqual(await names('', 'a/2'), ['a/2', 'b/1', 'c/1'])
  })

  void test('what is not there is undefined', async (t) => {
    assert.equal(await (await openTestBucket(t)).stat('nothing'), undefined)
  })
})
