import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { type ApiError, type File, type GetFilesOptions } from '@google-cloud/storage'
import { bucket, bytesOf, content, crcOf, KIB, PART, save, server, serveStorage, statusOf } from './storage-fixture.ts'

/** The local Cloud Storage through the official client: objects and buckets. */

serveStorage()

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
    () => bucket.file('x').acl.get(),
    () => bucket.iam.getPolicy(),
    () => bucket.setMetadata({ versioning: { enabled: true } }),
    () => bucket.addLifecycleRule({ action: { type: 'Delete' }, condition: { age: 1 } }),
  ]
  for (const call of notBuilt) {
    await assert.rejects(call(), (error: ApiError) => error.code === 501 && /not built/.test(error.message))
  }
})
