import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, afterEach, before, test } from 'node:test'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { gunzipSync, gzipSync } from 'node:zlib'
import {
  ApiError,
  type Bucket,
  CRC32C,
  type CreateResumableUploadOptions,
  type File,
  type FileMetadata,
  type GetFilesOptions,
} from '@google-cloud/storage'
import { StorageProcess } from './storage-process.ts'

/**
 * The local Cloud Storage through the official client: one case for each behaviour that a faithful stand-in must have.
 * Between any two of them the server is killed with kill -9, and every object must be as it was.
 */

const KIB = 1024
const PART = 256 * KIB

let server: StorageProcess
let bucket: Bucket

before(async () => {
  server = await StorageProcess.start()
  ;[bucket] = await server.client().createBucket('conformance-bucket')
})

afterEach(async () => {
  await server.faults.clear()
  const acknowledged = await inventory()
  await server.killAndRestart()
  assert.deepEqual(await inventory(), acknowledged)
})

after(() => server.dispose())

/** Everything that can be seen of every object. */
async function inventory() {
  bucket = server.client().bucket('conformance-bucket')
  const [files] = await bucket.getFiles()
  return files.map(({ metadata }) => metadata)
}

const bytesOf = (length: number, seed = 1) =>
  Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 31 + seed * 17 + (i >> 8)) & 0xff))
const md5Of = (bytes: Buffer) => createHash('md5').update(bytes).digest('base64')

function crcOf(bytes: Buffer): string {
  const crc = new CRC32C()
  crc.update(bytes)
  return crc.toString()
}

/** The status of the error that a call is refused with. */
async function statusOf(call: Promise<unknown>): Promise<number | string | undefined> {
  try {
    await call
    return 200
  } catch (error) {
    return (error as ApiError).code
  }
}

async function save(name: string, bytes: Buffer, options: Parameters<File['save']>[1] = {}): Promise<File> {
  const file = bucket.file(name)
  await file.save(bytes, { resumable: false, ...options })
  return file
}

async function content(name: string): Promise<Buffer> {
  const [bytes] = await bucket.file(name).download()
  return bytes
}

/** A request of the resumable protocol itself, to the session that the client opened. */
function put(uri: string, range: string, body?: Buffer, headers: Record<string, string> = {}) {
  return fetch(uri, {
    method: 'PUT',
    headers: { 'content-range': range, ...headers },
    ...(body ? { body: new Uint8Array(body) } : {}),
  })
}

async function openSession(name: string, options: CreateResumableUploadOptions = {}): Promise<string> {
  const [uri] = await bucket.file(name).createResumableUpload(options)
  return uri
}

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

test('generations: a new generation is larger, and starts its metageneration again', async () => {
  const file = await save('generations/object', bytesOf(1))
  const first = Number(file.metadata.generation)
  await file.setMetadata({ metadata: { a: '1' } })
  assert.equal(Number(file.metadata.metageneration), 2)
  await save('generations/object', bytesOf(2))
  const [second] = await bucket.file('generations/object').getMetadata()
  assert.ok(Number(second.generation) > first)
  assert.equal(Number(second.metageneration), 1)
  assert.equal(await statusOf(bucket.file('generations/object', { generation: first }).getMetadata()), 404)
})

test('metadata: a patch changes what it names, and null takes a key away', async () => {
  const file = await save('metadata/object', bytesOf(1), {
    metadata: { contentType: 'text/plain', metadata: { a: '1', b: '2' } },
  })
  await file.setMetadata({ metadata: { a: null, c: '3' } })
  const [after] = await bucket.file('metadata/object').getMetadata()
  assert.deepEqual(after.metadata, { b: '2', c: '3' })
  assert.equal(after.contentType, 'text/plain')
  assert.equal(await statusOf(file.setMetadata({ metadata: { big: 'x'.repeat(8 * KIB) } })), 400)
})

/** The four preconditions as they hold, or fail, for an object of this generation and metageneration. */
function conditions({ metadata }: File, verdict: 'hold' | 'fail'): Record<string, string>[] {
  const { generation, metageneration } = metadata
  const [is, other, isMeta, otherMeta] = [String(generation), '1', String(metageneration), '99']
  const holds = verdict === 'hold'
  return [
    { ifGenerationMatch: holds ? is : other },
    { ifGenerationNotMatch: holds ? other : is },
    { ifMetagenerationMatch: holds ? isMeta : otherMeta },
    { ifMetagenerationNotMatch: holds ? otherMeta : isMeta },
  ]
}

const query = (condition: Record<string, string>) => new URLSearchParams(condition).toString()

test('preconditions of reads: all four, 412 for a Match that fails, 304 for a NotMatch', async () => {
  const file = await save('conditions/read', bytesOf(1))
  const url = `${server.endpoint}/storage/v1/b/conformance-bucket/o/conditions%2Fread`
  const read = async (condition: Record<string, string>, alt: string) => {
    const response = await fetch(`${url}?alt=${alt}&${query(condition)}`)
    await response.arrayBuffer()
    return response.status
  }
  for (const alt of ['json', 'media']) {
    assert.deepEqual(await Promise.all(conditions(file, 'hold').map((one) => read(one, alt))), [200, 200, 200, 200])
    assert.deepEqual(await Promise.all(conditions(file, 'fail').map((one) => read(one, alt))), [412, 304, 412, 304])
  }
})

test('preconditions of writes: all four, on every method, 412 when they fail', async () => {
  const file = await save('conditions/write', bytesOf(1))
  await save('conditions/source', bytesOf(2))
  const copyUrl = `${server.endpoint}/storage/v1/b/conformance-bucket/o/conditions%2Fsource/rewriteTo/b/conformance-bucket/o/conditions%2Fwrite`
  const copy = async (condition: Record<string, string>) =>
    (await fetch(`${copyUrl}?${query(condition)}`, { method: 'POST' })).status
  const methods: [string, (condition: Record<string, string>) => Promise<unknown>][] = [
    ['patch', (condition) => statusOf(file.setMetadata({ metadata: { x: '1' } }, condition))],
    ['multipart', (condition) => statusOf(save(file.name, bytesOf(1), { preconditionOpts: condition }))],
    [
      'resumable',
      (condition) => statusOf(save(file.name, bytesOf(1), { preconditionOpts: condition, resumable: true })),
    ],
    ['compose', (condition) => statusOf(bucket.combine(['conditions/source'], file.name, condition))],
    ['copy', copy],
    ['delete', (condition) => statusOf(file.delete(condition))],
  ]
  for (const [method, call] of methods) {
    await file.getMetadata()
    for (const condition of conditions(file, 'fail'))
      assert.equal(await call(condition), 412, `${method} ${query(condition)}`)
  }
  for (const [method, call] of methods.slice(0, -1)) {
    for (const at of [0, 1, 2, 3]) {
      await file.getMetadata()
      const condition = conditions(file, 'hold')[at] as Record<string, string>
      assert.equal(await call(condition), 200, `${method} ${query(condition)}`)
    }
  }
})

test('preconditions of a copy: all four of its source too', async () => {
  const source = await save('conditions/copied', bytesOf(1))
  const url = `${server.endpoint}/storage/v1/b/conformance-bucket/o/conditions%2Fcopied/rewriteTo/b/conformance-bucket/o/conditions%2Fcopy`
  for (const [verdict, status] of [
    ['fail', 412],
    ['hold', 200],
  ] as const) {
    for (const condition of conditions(source, verdict)) {
      const sourced = query(condition).replace('if', 'ifSource')
      assert.equal((await fetch(`${url}?${sourced}`, { method: 'POST' })).status, status, sourced)
    }
  }
})

test('preconditions: ifGenerationMatch=0 makes an object once, however many try', async () => {
  const attempts = Array.from({ length: 8 }, (_, i) =>
    statusOf(
      save('conditions/once', bytesOf(PART, i), { resumable: i % 2 === 0, preconditionOpts: { ifGenerationMatch: 0 } }),
    ),
  )
  const statuses = (await Promise.all(attempts)).map(String).sort()
  assert.deepEqual(statuses, ['200', ...Array.from({ length: 7 }, () => '412')])
})

test('preconditions: of many updates on one metageneration, one is made', async () => {
  const file = await save('conditions/raced', bytesOf(1))
  const attempts = Array.from({ length: 8 }, (_, i) =>
    statusOf(bucket.file(file.name).setMetadata({ metadata: { winner: String(i) } }, { ifMetagenerationMatch: 1 })),
  )
  assert.equal((await Promise.all(attempts)).filter((status) => status === 200).length, 1)
})

test('list: prefix, delimiter, startOffset, endOffset, matchGlob, versions and paging', async () => {
  const names = ['a', 'b/1', 'b/2', 'b/c/3', 'd', 'é', '\u{1f600}', '\uffee'].map((name) => `list/${name}`)
  await Promise.all(names.map((name) => save(name, bytesOf(1))))
  const list = async (query: GetFilesOptions) => {
    const [files, , response] = await bucket.getFiles({ prefix: 'list/', ...query })
    const { prefixes = [] } = (response ?? {}) as { prefixes?: string[] }
    return [...files.map(({ name }) => name), ...prefixes].map((name) => name.slice(5))
  }
  // In the order of UTF-8, where U+FFEE comes before U+1F600.
  assert.deepEqual(await list({}), ['a', 'b/1', 'b/2', 'b/c/3', 'd', 'é', '\uffee', '\u{1f600}'])
  assert.deepEqual(await list({ versions: true, prefix: 'list/b/' }), ['b/1', 'b/2', 'b/c/3'])
  assert.deepEqual(await list({ startOffset: 'list/b/2', endOffset: 'list/d' }), ['b/2', 'b/c/3'])
  assert.deepEqual(await list({ matchGlob: 'list/b/*' }), ['b/1', 'b/2'])
  assert.deepEqual(await list({ matchGlob: 'list/{a,b/**}' }), ['a', 'b/1', 'b/2', 'b/c/3'])
  assert.deepEqual(await list({ matchGlob: 'list/[!a-c]' }), ['d', 'é', '\uffee'])
  const page = { autoPaginate: false, prefix: 'list/', delimiter: '/' }
  assert.deepEqual(await list(page), ['a', 'd', 'é', '\uffee', '\u{1f600}', 'b/'])
  assert.deepEqual(await list({ ...page, prefix: 'list/b/' }), ['b/1', 'b/2', 'b/c/'])
})

test('list: pages go on where the last one ended, also inside of folders', async () => {
  const names = Array.from({ length: 7 }, (_, i) => `pages/${i}/x`).concat(
    Array.from({ length: 3 }, (_, i) => `pages/${i}z`),
  )
  await Promise.all(names.map((name) => save(name, bytesOf(1))))
  for (const delimiter of ['', '/']) {
    const seen: string[] = []
    let pageToken: string | undefined
    do {
      const [files, next, response] = await bucket.getFiles({
        prefix: 'pages/',
        delimiter,
        maxResults: 2,
        autoPaginate: false,
        ...(pageToken ? { pageToken } : {}),
      })
      const { prefixes = [] } = (response ?? {}) as { prefixes?: string[] }
      assert.ok(files.length + prefixes.length <= 2)
      seen.push(...files.map(({ name }) => name), ...prefixes)
      pageToken = (next as { pageToken?: string } | null)?.pageToken
    } while (pageToken)
    const folders = names.map((name) => (delimiter && name.endsWith('/x') ? name.slice(0, -1) : name))
    assert.deepEqual(seen.sort(), folders.sort())
  }
})

test('notificationConfigs: kept and listed', async () => {
  const [made] = await bucket.createNotification('projects/p/topics/finalized', { eventTypes: ['OBJECT_FINALIZE'] })
  await server.killAndRestart()
  const [listed] = await server.client().bucket('conformance-bucket').getNotifications()
  assert.deepEqual(
    listed.map(({ metadata }) => [metadata.id, metadata.payload_format]),
    [[made.id, 'JSON_API_V1']],
  )
  const [metadata] = await listed[0]!.getMetadata()
  assert.match(String(metadata.topic), /topics\/finalized$/)
  await listed[0]!.delete()
  assert.deepEqual((await bucket.getNotifications())[0], [])
})

test('fault injection: 503 after 256 KiB, and the client goes on from there', async () => {
  const bytes = bytesOf(4 * PART)
  await server.faults.set([
    {
      service: 'storage',
      method: 'objects.insert.part',
      nth: 2,
      fault: { kind: 'cut', afterBytes: PART, then: 'error' },
    },
  ])
  const file = server.client({ retries: 3 }).bucket('conformance-bucket').file('faults/cut')
  await file.save(bytes, { resumable: true, chunkSize: 2 * PART, preconditionOpts: { ifGenerationMatch: 0 } })
  assert.deepEqual(await content('faults/cut'), bytes)
  const { tallies } = await server.faults.calls()
  const parts = tallies
    .filter(({ method }) => method === 'objects.insert.part')
    .reduce((sum, { count }) => sum + count, 0)
  assert.equal(parts, 4, 'part, cut part, status query, rest')
})

test('fault injection: a stall keeps what came before it', async () => {
  await server.faults.set([
    { method: 'objects.insert.part', fault: { kind: 'cut', afterBytes: PART + 10, then: 'stall' } },
  ])
  const uri = await openSession('faults/stalled')
  const body = new Uint8Array(bytesOf(2 * PART))
  const stalled = fetch(uri, {
    method: 'PUT',
    headers: { 'content-range': `bytes 0-${2 * PART - 1}/*` },
    body,
    signal: AbortSignal.timeout(500),
  })
  await assert.rejects(stalled)
  const status = await put(uri, 'bytes */*')
  assert.equal(status.headers.get('range'), `bytes=0-${PART - 1}`)
})

test('fault injection: a lost answer leaves the object, and its repetition is told by 412', async () => {
  await server.faults.set([{ method: 'objects.insert', fault: { kind: 'drop', when: 'after' } }])
  assert.notEqual(await statusOf(save('faults/lost', bytesOf(9), { preconditionOpts: { ifGenerationMatch: 0 } })), 200)
  assert.equal(await statusOf(save('faults/lost', bytesOf(9), { preconditionOpts: { ifGenerationMatch: 0 } })), 412)
  assert.deepEqual(await content('faults/lost'), bytesOf(9))
})

test('fault injection: a connection lost before the effect leaves nothing', async () => {
  await server.faults.set([{ method: 'objects.patch', fault: { kind: 'drop', when: 'before' } }])
  const file = await save('faults/before', bytesOf(1))
  assert.notEqual(await statusOf(file.setMetadata({ metadata: { a: '1' } })), 200)
  assert.equal(Number((await file.getMetadata())[0].metageneration), 1)
})

test('fault injection: an update that hangs lands later', async () => {
  const file = await save('faults/hung', bytesOf(1))
  await server.faults.set([
    { method: 'objects.patch', resource: '*/faults/hung', fault: { kind: 'hang', landAfterMs: 60_000 } },
  ])
  const url = `${server.endpoint}/storage/v1/b/conformance-bucket/o/faults%2Fhung`
  const body = JSON.stringify({ metadata: { late: 'yes' } })
  await assert.rejects(fetch(url, { method: 'PATCH', body, signal: AbortSignal.timeout(300) }))
  assert.equal((await file.getMetadata())[0].metadata, undefined)
  await server.faults.advance(60_000)
  assert.deepEqual((await file.getMetadata())[0].metadata, { late: 'yes' })
})

test('fault injection: the nth call of a method fails with a given error', async () => {
  const error = { kind: 'error', code: 'RESOURCE_EXHAUSTED', message: 'slow down' } as const
  await server.faults.set([{ method: 'objects.get', entry: 'conformance', nth: 2, fault: error }])
  const file = await save('faults/nth', bytesOf(1))
  await file.getMetadata()
  await assert.rejects(
    file.getMetadata(),
    (thrown: ApiError) => thrown.code === 429 && /slow down/.test(thrown.message),
  )
  await file.getMetadata()
})

test('reads: ranges from the start, in the middle, to the end, of the last bytes, and 416', async () => {
  const bytes = bytesOf(1_000)
  const file = await save('reads/object', bytes)
  const range = async (start: number | undefined, end: number | undefined) => {
    const [part] = await file.download({
      ...(start === undefined ? {} : { start }),
      ...(end === undefined ? {} : { end }),
      validation: false,
    })
    return part
  }
  assert.deepEqual(await range(0, 9), bytes.subarray(0, 10))
  assert.deepEqual(await range(990, 5_000), bytes.subarray(990))
  assert.deepEqual(await range(500, undefined), bytes.subarray(500))
  assert.deepEqual(await range(undefined, -10), bytes.subarray(-10))
  assert.equal(await statusOf(range(1_000, undefined)), 416)
})

test('reads: a generation keeps being read though the object is replaced meanwhile', async () => {
  const bytes = bytesOf(8 * 1024 * KIB)
  const file = await save('reads/replaced', bytes)
  const stream = file.createReadStream({ validation: false })
  const parts: Buffer[] = []
  let replaced = false
  for await (const part of stream as AsyncIterable<Buffer>) {
    parts.push(part)
    if (!replaced) await save('reads/replaced', bytesOf(10))
    replaced = true
  }
  assert.deepEqual(Buffer.concat(parts), bytes)
})

test('gzip: sent as it is stored to whom accepts gzip, decompressed to whom does not', async () => {
  const plain = Buffer.from('a line of a log\n'.repeat(1_000))
  const file = bucket.file('gzip/object')
  await file.save(plain, { gzip: true, resumable: false, metadata: { contentType: 'text/plain' } })
  assert.equal(file.metadata.contentEncoding, 'gzip')
  assert.deepEqual((await file.download())[0], plain)
  const [stored] = await file.download({ decompress: false })
  assert.deepEqual(gunzipSync(stored), plain)
  const url = `${server.endpoint}/storage/v1/b/conformance-bucket/o/gzip%2Fobject?alt=media`
  const response = await fetch(url, { headers: { 'accept-encoding': 'identity' } })
  assert.equal(response.headers.get('content-encoding'), null)
  assert.equal(response.headers.get('x-goog-stored-content-encoding'), 'gzip')
  assert.deepEqual(Buffer.from(await response.arrayBuffer()), plain)
  const kept = await save('gzip/raw', gzipSync(plain), { metadata: { contentEncoding: 'gzip' } })
  assert.equal(Number(kept.metadata.size), gzipSync(plain).length)
})

test('copy: a new object with the bytes and metadata of the source, or with metadata of its own', async () => {
  const source = await save('copy/source', bytesOf(300), { metadata: { contentType: 'text/x', metadata: { a: '1' } } })
  await source.copy(bucket.file('copy/same'))
  await source.copy(bucket.file('copy/other'), { metadata: { b: '2' }, contentType: 'text/y' })
  const [same] = await bucket.file('copy/same').getMetadata()
  const [other] = await bucket.file('copy/other').getMetadata()
  assert.deepEqual([same.metadata, same.contentType, same.crc32c], [{ a: '1' }, 'text/x', source.metadata.crc32c])
  assert.deepEqual([other.metadata, other.contentType, Number(other.metageneration)], [{ b: '2' }, 'text/y', 1])
  await source.delete()
  assert.deepEqual(await content('copy/same'), bytesOf(300))
})

test('compose: one object of the bytes of several, with crc32c and without md5', async () => {
  await save('compose/1', bytesOf(100, 1))
  await save('compose/2', bytesOf(200, 2))
  const [made] = await bucket.combine(['compose/1', 'compose/2'], 'compose/both')
  const [metadata] = await made.getMetadata()
  const whole = Buffer.concat([bytesOf(100, 1), bytesOf(200, 2)])
  assert.equal(metadata.componentCount, 2)
  assert.equal(metadata.crc32c, crcOf(whole))
  assert.equal(metadata.md5Hash, undefined)
  assert.deepEqual(await content('compose/both'), whole)
  assert.equal(await statusOf(bucket.combine(['compose/1', 'compose/none'], 'compose/both')), 404)
})

test('delete: the object is gone, a second delete is 404', async () => {
  const file = await save('delete/object', bytesOf(1))
  await file.delete()
  assert.deepEqual(await file.exists(), [false])
  assert.equal(await statusOf(file.delete()), 404)
  await assert.rejects(file.getMetadata(), /No such object: conformance-bucket\/delete\/object/)
})

test('names: any text, slashes, spaces, percent signs and emoji; not too long ones', async () => {
  for (const name of [
    'names/a b+c&d=e?f#g%h',
    'names/%2F',
    'names//',
    'names/\u{1f600}é',
    `names/${'x'.repeat(1000)}`,
  ]) {
    await save(name, Buffer.from(name))
    assert.equal((await content(name)).toString(), name)
    assert.equal((await bucket.file(name).getMetadata())[0].name, name)
    await bucket.file(name).delete()
  }
  assert.equal(await statusOf(save('x'.repeat(1_025), bytesOf(1))), 400)
})

test('buckets: made once, found, listed, labelled, and deleted when empty', async () => {
  const storage = server.client()
  assert.equal(await statusOf(storage.createBucket('conformance-bucket')), 409)
  assert.equal(await statusOf(storage.createBucket('NO')), 400)
  const [other] = await storage.createBucket('conformance-other', { location: 'europe-west1' })
  await other.setLabels({ team: 'logs' })
  await server.killAndRestart()
  const [metadata] = await server.client().bucket('conformance-other').getMetadata()
  assert.deepEqual([metadata.labels, metadata.location], [{ team: 'logs' }, 'europe-west1'])
  const [buckets] = await server.client().getBuckets()
  assert.deepEqual(
    buckets.map(({ name }) => name),
    ['conformance-bucket', 'conformance-other'],
  )
  assert.equal(await statusOf(bucket.delete()), 409)
  await other.delete()
  assert.deepEqual(await other.exists(), [false])
  assert.equal(await statusOf(other.file('x').getMetadata()), 404)
})

test('what is not built is answered 501, in the service error form', async () => {
  const notBuilt = [
    bucket.file('x').acl.get(),
    bucket.iam.getPolicy(),
    bucket.setMetadata({ versioning: { enabled: true } }),
    bucket.addLifecycleRule({ action: { type: 'Delete' }, condition: { age: 1 } }),
  ]
  for (const call of notBuilt) {
    await assert.rejects(call, (error: ApiError) => error.code === 501 && /not built/.test(error.message))
  }
})

test('the calls are recorded by who made them', async () => {
  await server.faults.clearCalls()
  const file = await save('recorded', bytesOf(1))
  await file.setMetadata({ metadata: { a: '1' } })
  const { tallies } = await server.faults.calls()
  const mine = tallies.filter(({ entry }) => entry === 'conformance')
  assert.deepEqual(
    mine.map(({ method, count }) => [method, count]),
    [
      ['objects.insert', 1],
      ['objects.patch', 1],
    ],
  )
})
