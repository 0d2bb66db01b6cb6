import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import { type File, type FileMetadata } from '@google-cloud/storage'
import {
  bucket,
  bytesOf,
  content,
  crcOf,
  md5Of,
  openSession,
  PART,
  put,
  save,
  server,
  serveStorage,
  statusOf,
} from './storage-fixture.ts'

/** The local Cloud Storage through the official client: uploads of every form. */

serveStorage()

test('resumable upload: a status query `bytes */*` is answered 308 with the range, also after kill -9', async () => {
  const bytes = bytesOf(2 * PART + 100)
  const uri = await openSession('resume/status')
  const fresh = await put(uri, 'bytes */*')
  assert.equal(fresh.status, 308)
  assert.equal(fresh.headers.get('range'), null)
  const first = await put(uri, `bytes 0-${2 * PART - 1}/*`, bytes.subarray(0, 2 * PART))
  assert.equal(first.status, 308)
  await server.killAndRestart()
  const status = await put(uri, 'bytes */*')
  assert.equal(status.status, 308)
  assert.equal(status.headers.get('range'), `bytes=0-${2 * PART - 1}`)
  const stream = server
    .client()
    .bucket('conformance-bucket')
    .file('resume/status')
    .createWriteStream({ uri, offset: 2 * PART, resumeCRC32C: crcOf(bytes.subarray(0, 2 * PART)) })
  await pipeline(Readable.from([bytes.subarray(2 * PART)]), stream)
  assert.deepEqual(await content('resume/status'), bytes)
})

test('resumable upload: after its end a status query gives the object, also after kill -9', async () => {
  const uri = await openSession('resume/late')
  assert.equal((await put(uri, 'bytes 0-4/5', Buffer.from('hello'))).status, 200)
  await server.killAndRestart()
  const late = await put(uri, 'bytes */*')
  assert.equal(late.status, 200)
  const object = (await late.json()) as { name: string; generation: string }
  assert.equal(object.name, 'resume/late')
  assert.equal(object.generation, (await bucket.file('resume/late').getMetadata())[0].generation)
})

test('resumable upload: re-sent bytes are skipped, a gap is 400', async () => {
  const bytes = bytesOf(3 * PART)
  const uri = await openSession('resume/resent')
  await put(uri, `bytes 0-${2 * PART - 1}/*`, bytes.subarray(0, 2 * PART))
  const gap = await put(uri, `bytes ${2 * PART + 1}-${3 * PART - 1}/${3 * PART}`, bytes.subarray(2 * PART + 1))
  assert.equal(gap.status, 400)
  const whole = await put(uri, `bytes ${PART}-${3 * PART - 1}/${3 * PART}`, bytes.subarray(PART))
  assert.equal(whole.status, 200)
  assert.deepEqual(await content('resume/resent'), bytes)
})

test('resumable upload: a part that is not the last has at least 256 KiB, and whole multiples of it are kept', async () => {
  const bytes = bytesOf(PART + 1_000)
  const uri = await openSession('resume/parts')
  const small = await put(uri, 'bytes 0-999/*', bytes.subarray(0, 1_000))
  assert.equal(small.status, 400)
  assert.match(await small.text(), /equal or greater than 262144/)
  const uneven = await put(uri, `bytes 0-${PART + 499}/*`, bytes.subarray(0, PART + 500))
  assert.equal(uneven.headers.get('range'), `bytes=0-${PART - 1}`)
  const rest = await put(uri, `bytes ${PART}-${PART + 999}/${PART + 1_000}`, bytes.subarray(PART))
  assert.equal(rest.status, 200)
  assert.deepEqual(await content('resume/parts'), bytes)
})

test('resumable upload: a session that has expired is 410, one that never was 404', async () => {
  const uri = await openSession('resume/expired')
  const unknown = uri.replace(/upload_id=\w+/, 'upload_id=0')
  assert.equal((await put(unknown, 'bytes */*')).status, 404)
  await server.faults.advance(7 * 86_400_000 + 1)
  assert.equal((await put(uri, 'bytes */*')).status, 410)
})

test('resumable upload: a cancelled session is over', async () => {
  const uri = await openSession('resume/cancelled')
  assert.equal((await fetch(uri, { method: 'DELETE' })).status, 499)
  assert.equal((await put(uri, 'bytes 0-0/1', Buffer.from('x'))).status, 410)
})

test('upload forms: one request `bytes 0-*/*` without chunkSize, `bytes 0-*/LEN` with a length, exact ranges with it', async () => {
  const bytes = bytesOf(5 * PART + 77)
  const forms: [string, Parameters<File['createWriteStream']>[0]][] = [
    ['forms/single', { resumable: true }],
    ['forms/length', { resumable: true, metadata: { contentLength: bytes.length } as FileMetadata }],
    ['forms/chunked', { resumable: true, chunkSize: 2 * PART }],
    ['forms/multipart', { resumable: false }],
  ]
  for (const [name, options] of forms) {
    await pipeline(
      Readable.from([bytes.subarray(0, 1000), bytes.subarray(1000)]),
      bucket.file(name).createWriteStream(options),
    )
    assert.deepEqual(await content(name), bytes, name)
  }
})

test('upload forms: an empty object, and one of exactly one part', async () => {
  for (const length of [0, PART]) {
    for (const options of [{ resumable: true }, { resumable: true, chunkSize: PART }, { resumable: false }]) {
      if (length === 0 && options.chunkSize) continue // the client sends `bytes 0--1/0`, which is no range
      await bucket.file('forms/exact').save(bytesOf(length), options)
      assert.equal((await content('forms/exact')).length, length)
    }
  }
})

test('checksums: md5 and crc32c are computed for every form, and sent as x-goog-hash on reads', async () => {
  const bytes = bytesOf(2 * PART + 5)
  for (const options of [{ resumable: false }, { resumable: true }, { resumable: true, chunkSize: PART }]) {
    const file = await save('sums/object', bytes, options)
    assert.equal(file.metadata.crc32c, crcOf(bytes))
    assert.equal(file.metadata.md5Hash, md5Of(bytes))
  }
  const read = await fetch(`${server.endpoint}/storage/v1/b/conformance-bucket/o/sums%2Fobject?alt=media`)
  assert.equal(read.headers.get('x-goog-hash'), `crc32c=${crcOf(bytes)},md5=${md5Of(bytes)}`)
  await read.arrayBuffer()
})

test('checksums: an upload whose checksum is not that of its bytes is refused with 400, and nothing is there', async () => {
  const bytes = bytesOf(2 * PART)
  const wrong = crcOf(bytesOf(2 * PART, 2))
  assert.equal(await statusOf(save('sums/wrong', bytes, { validation: false, metadata: { crc32c: wrong } })), 400)
  assert.equal(
    await statusOf(save('sums/wrong', bytes, { validation: false, metadata: { md5Hash: md5Of(Buffer.alloc(1)) } })),
    400,
  )
  const uri = await openSession('sums/wrong')
  await put(uri, `bytes 0-${PART - 1}/*`, bytes.subarray(0, PART))
  const refused = await put(uri, `bytes ${PART}-${2 * PART - 1}/${2 * PART}`, bytes.subarray(PART), {
    'x-goog-hash': `crc32c=${wrong}`,
  })
  assert.equal(refused.status, 400)
  assert.match(await refused.text(), /doesn't match calculated CRC32C/)
  assert.deepEqual(await bucket.file('sums/wrong').exists(), [false])
})
