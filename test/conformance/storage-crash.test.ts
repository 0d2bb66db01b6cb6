import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { test, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { eventually } from '../support/eventually.ts'
import { StorageProcess } from './storage-process.ts'

/**
 * kill -9 at random instants under load. What a worker was told has happened must be so afterwards; what it was not told
 * about may have happened, as a whole. docs/protocols/local-storage.md says why this holds.
 */

const KILLS = 6
const WORKERS = 8
const PART = 256 * 1024

interface Resource {
  generation: string
  metageneration: string
  size: string
  metadata?: { n?: string }
}

/** What an object may be: as it was last acknowledged, or as the update that was under way makes it. */
interface Expected {
  acknowledged: string
  underWay: string | undefined
}

const shapeOf = (object: Resource | undefined) => (object ? `${object.size} ${object.metadata?.n ?? '-'}` : 'absent')

async function start(
  t: TestContext,
  targets: Parameters<typeof StorageProcess.start>[0] = [],
): Promise<StorageProcess> {
  const server = await StorageProcess.start(targets)
  t.after(() => server.dispose())
  await server.client().createBucket('crash-bucket')
  return server
}

function urls({ endpoint }: StorageProcess, name: string) {
  const object = `${endpoint}/storage/v1/b/crash-bucket/o/${encodeURIComponent(name)}`
  return {
    object,
    upload: `${endpoint}/upload/storage/v1/b/crash-bucket/o?name=${encodeURIComponent(name)}&uploadType=`,
  }
}

async function ask(url: string, init: RequestInit = {}): Promise<Resource | undefined> {
  const response = await fetch(url, init)
  if (response.status === 404) return undefined
  const text = await response.text()
  assert.ok(response.ok, `${response.status} ${text}`)
  return text ? (JSON.parse(text) as Resource) : undefined
}

/** Writes, updates and deletes one object again and again, until the server is gone. */
async function work(server: StorageProcess, name: string, expected: Expected, turn: { at: number }): Promise<void> {
  const { object, upload } = urls(server, name)
  const update = async (shape: string, call: () => Promise<unknown>) => {
    expected.underWay = shape
    await call()
    Object.assign(expected, { acknowledged: shape, underWay: undefined })
  }
  for (;;) {
    const n = String(++turn.at)
    const bytes = new Uint8Array(turn.at % 5_000)
    await update(`${bytes.length} -`, () => ask(`${upload}media`, { method: 'POST', body: bytes }))
    await update(`${bytes.length} ${n}`, () =>
      ask(object, { method: 'PATCH', body: JSON.stringify({ metadata: { n } }) }),
    )
    if (turn.at % 3 === 0) await update('absent', () => ask(object, { method: 'DELETE' }))
  }
}

test('kill -9 under load loses nothing acknowledged, and leaves nothing half done', async (t) => {
  const server = await start(t)
  const objects = Array.from({ length: WORKERS }, (_, i) => ({
    name: `object-${i}`,
    expected: { acknowledged: 'absent', underWay: undefined } as Expected,
    turn: { at: 0 },
  }))
  for (let kill = 0; kill < KILLS; kill++) {
    const before = objects.map(({ turn }) => turn.at)
    const working = objects.map(({ name, expected, turn }) => work(server, name, expected, turn).catch(() => undefined))
    // However slow the machine is, all are amid their work; then it is any instant.
    await eventually(() => objects.every(({ turn }, i) => turn.at > before[i]! + 1), {
      what: 'two turns of each worker',
    })
    await delay(Math.random() * 100)
    await server.kill()
    await Promise.all(working)
    await server.launch()
    for (const { name, expected } of objects) {
      const found = await ask(urls(server, name).object)
      assert.ok(
        [expected.acknowledged, expected.underWay].includes(shapeOf(found)),
        `${name}: ${shapeOf(found)} ${JSON.stringify(expected)}`,
      )
      if (found)
        assert.equal(
          (await (await fetch(`${urls(server, name).object}?alt=media`)).arrayBuffer()).byteLength,
          Number(found.size),
        )
      Object.assign(expected, { acknowledged: shapeOf(found), underWay: undefined })
    }
  }
})

test('kill -9 in the middle of resumable uploads: the session goes on behind what was acknowledged', async (t) => {
  const server = await start(t)
  const bytes = Buffer.from(Uint8Array.from({ length: 24 * PART + 123 }, (_, i) => (i * 7 + (i >> 9)) & 0xff))
  const opened = await fetch(`${urls(server, 'large').upload}resumable`, { method: 'POST' })
  const uri = opened.headers.get('location') ?? assert.fail('no session')
  let acknowledged = 0
  let done = false
  let taken = Promise.withResolvers<void>()

  const reached = (response: Response) =>
    Number(/bytes=0-(\d+)/.exec(response.headers.get('range') ?? '')?.[1] ?? -1) + 1
  const put = (range: string, body?: Buffer) =>
    fetch(uri, { method: 'PUT', headers: { 'content-range': range }, ...(body ? { body: new Uint8Array(body) } : {}) })

  async function send(): Promise<void> {
    while (!done) {
      const end = Math.min(acknowledged + 4 * PART, bytes.length)
      const response = await put(`bytes ${acknowledged}-${end - 1}/${bytes.length}`, bytes.subarray(acknowledged, end))
      await response.arrayBuffer()
      if (response.status === 308) acknowledged = reached(response)
      else done = assert.equal(response.status, 200) === undefined
      taken.resolve()
    }
  }

  for (let kill = 0; !done; kill++) {
    taken = Promise.withResolvers()
    const sending = send().catch(() => undefined)
    if (kill % 2 === 1) await taken.promise // so that it ends, however slow the machine is
    await Promise.race([sending, delay(5 + Math.random() * 30)])
    await server.killAndRestart()
    await sending
    const status = await put('bytes */*')
    await status.arrayBuffer()
    if (status.status === 200) done = true
    else assert.ok(reached(status) >= acknowledged, `${reached(status)} of ${acknowledged}`)
    acknowledged = Math.max(acknowledged, reached(status))
  }
  const stored = Buffer.from(await (await fetch(`${urls(server, 'large').object}?alt=media`)).arrayBuffer())
  assert.ok(stored.equals(bytes))
})

test('kill -9 between an object and its delivery: every acknowledged object is announced', async (t) => {
  const announced = new Set<string>()
  const target = createServer((request, response) => {
    let body = ''
    request.on('data', (part) => (body += String(part)))
    request.on('end', () => {
      announced.add((JSON.parse(body) as { name: string }).name)
      response.writeHead(204).end()
    })
  })
  await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve))
  t.after(() => void target.close())
  const address = target.address()
  assert.ok(address && typeof address === 'object')
  const server = await start(t, [
    { bucket: 'crash-bucket', url: `http://127.0.0.1:${address.port}/`, form: 'eventarc' },
  ])

  const acknowledged: string[] = []
  for (let kill = 0; kill < KILLS; kill++) {
    const upload = async (worker: number) => {
      for (let i = 0; ; i++) {
        const name = `${kill}/${worker}/${i}`
        await ask(`${urls(server, name).upload}media`, { method: 'POST', body: 'x' })
        acknowledged.push(name)
      }
    }
    const before = acknowledged.length
    const uploading = Array.from({ length: WORKERS }, (_, worker) => upload(worker).catch(() => undefined))
    await eventually(() => acknowledged.length > before, { what: 'an upload' })
    await delay(Math.random() * 50)
    await server.killAndRestart()
    await Promise.all(uploading)
  }
  await eventually(() => acknowledged.every((name) => announced.has(name)), { what: 'every object announced' })
})
