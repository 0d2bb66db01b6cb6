import assert from 'node:assert/strict'
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import test, { type TestContext } from 'node:test'
import { crc32, gzipSync } from 'node:zlib'
import type { Bucket, ObjectView } from '../../shared/chunks/index.ts'
import { parseConfig } from '../../shared/config/index.ts'
import { baseId } from '../follow/identity.ts'
import { type Followed, Follower, LogPattern } from '../follow/index.ts'
import { LogFile } from '../follow/log-file.ts'
import type { Decision } from '../publish/index.ts'
import { removeFile } from './remove-file.ts'
import { Uploader, type UploaderParts } from './uploader.ts'

const CONFIG = parseConfig(
  '{ project: p, dataset: d, bucket: bkt, kafka: { brokers: ["k:1"] }, routes: { r: { topic: t, format: raw, table: x } } }',
  '/millrace.yaml',
)

const AGENT = { id: 'a', finish_after: 0, handover_after: 60_000, after_upload: 'keep' } as const

/** One without a bucket and without Kafka, but for what is said otherwise. */
function uploaderOf(follower: Follower, parts: Partial<UploaderParts>): Uploader {
  const routes = new Map(Object.entries(CONFIG.routes))
  const told = { bucket: undefined, publisher: undefined, agent: AGENT, routes, report: () => undefined }
  return new Uploader({ ...told, follower, ...parts })
}

/** A log with one rotated file, and what a life knows of it that is out of touch since it read the positions. */
function scene(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-uploader-'))
  t.after(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'app.log'), 'newer\n')
  const path = join(folder, 'app.log.1')
  writeFileSync(path, 'first\n')
  const framing = { kind: 'lines', start: '^[a-z]', maxEventBytes: 1000 } as const
  const log = { pattern: new LogPattern(join(folder, 'app.log*')), route: 'r', framing, complete: false }
  const again = () => {
    const follower = new Follower({ agent: { id: 'a', finish_after: 0 }, logs: [log], report: () => undefined })
    t.after(() => follower.close())
    return follower
  }
  const follower = again()
  const crc = crc32('first\n')
  const source = baseId('a', 'r', Buffer.from('first'))
  follower.adopt([{ source, position: 6, start: 0, size: 6, head: crc, tail: crc, file: 0, retired: false }], true)
  return { path, source, follower, again }
}

function bucketOf(objects: ObjectView[]): Bucket {
  const fixed = { generation: '1', metageneration: '1', createdMs: 0, size: 1 }
  return {
    name: 'b',
    stat: () => Promise.resolve(undefined),
    upload: async (name: string, content: Readable, metadata: Record<string, string>) => {
      await content.toArray()
      const object = { name, ...fixed, metadata }
      objects.push(object)
      return { kind: 'uploaded', object }
    },
    async *list() {
      yield* await Promise.resolve(objects)
    },
  } as unknown as Bucket
}

void test('a finished file with a line that came late is not deleted before that line has a carrier', async (t) => {
  const { path, source, follower } = scene(t)
  appendFileSync(path, 'late\n') // while no agent ran
  await follower.look()
  const objects: ObjectView[] = []
  const awayKafka = {
    session: undefined,
    decide: () => Promise.resolve(false),
  }
  const agent = { ...AGENT, after_upload: 'delete' } as const
  const uploader = uploaderOf(follower, { bucket: bucketOf(objects), publisher: awayKafka, agent })
  await uploader.round(new AbortController().signal)
  const [object] = objects.filter(({ metadata }) => metadata['millrace-source'] === source)
  assert.equal(object?.metadata['millrace-ranges'], 'undecided')
  assert.equal(object?.metadata['millrace-size'], '11')
  assert.equal(object?.metadata['millrace-framing'], 'multiline ^[a-z]')
  assert.equal(readFileSync(path, 'utf8'), 'first\nlate\n')
})

void test('a compressed file that was cut off does not keep the others from the bucket, and is kept', async (t) => {
  const { path, follower } = scene(t)
  const cut = path.replace(/1$/, '2.gz')
  const noise = Array.from({ length: 20_000 }, () => `${Math.random()}\n`).join('')
  writeFileSync(cut, gzipSync(`earlier\n${noise}`).subarray(0, 90_000))
  await follower.look()
  const objects: ObjectView[] = []
  const reports: string[] = []
  const uploader = uploaderOf(follower, {
    bucket: bucketOf(objects),
    agent: { ...AGENT, after_upload: 'delete' },
    report: (_about, message) => message && reports.push(message),
  })
  await uploader.round(new AbortController().signal)
  assert.deepEqual(
    objects.map(({ metadata }) => metadata['millrace-path']),
    [path],
  )
  assert.deepEqual(reports, [`${cut} is not uploaded: unexpected end of file`])
  assert.equal(existsSync(cut), true)
})

void test('a life that ends while it measures a file uploads nothing of it: its descriptor may be that of another file by then', async (t) => {
  const { follower } = scene(t)
  await follower.look()
  const objects: ObjectView[] = []
  const life = new AbortController()
  const uploader = uploaderOf(follower, {
    bucket: bucketOf(objects),
    report: (about) => about.includes(':') && life.abort(), // the file could be read
  })
  await uploader.round(life.signal)
  assert.deepEqual(objects, [])
})

void test('a file that grew since it was looked at keeps its name', async (t) => {
  const { path, source, follower } = scene(t)
  await follower.look()
  const followed: Followed = follower.sources.get(source)!
  appendFileSync(path, 'late\n')
  removeFile(followed, () => undefined)
  assert.equal(readFileSync(path, 'utf8'), 'first\nlate\n')
  await follower.look()
  removeFile(followed, () => undefined)
  assert.equal(existsSync(path), false)
})

void test('a file of the same size in the inode of one that was deleted keeps its name, by the time of its writing', async (t) => {
  const { path, source, follower } = scene(t)
  await follower.look()
  const followed: Followed = follower.sources.get(source)!
  writeFileSync(path, 'other\n')
  utimesSync(path, new Date(), new Date(Date.now() + 1000))
  removeFile(followed, () => undefined)
  assert.equal(readFileSync(path, 'utf8'), 'other\n')
})

void test('as long as a file cannot be opened, nothing says which entries are those of files that are gone', async (t) => {
  const { path, source, follower } = scene(t)
  rmSync(path)
  const closed = t.mock.method(LogFile.prototype, 'descriptor', () => {
    throw Object.assign(new Error('too many open files'), { code: 'EMFILE', syscall: 'open' })
  })
  const retired: string[] = []
  const publisher = {
    session: {
      topics: ['t'],
      forgottenMs: () => 0,
      get entriesByTopic() {
        return Array.from(follower.entries, (entry) => ({ topic: 't', entry }))
      },
    },
    decide: (decision: Decision) => Promise.resolve(retired.push(decision.source) > 0),
  }
  const uploader = uploaderOf(follower, { publisher })
  const rounds = async () => {
    for (let round = 0; round < 3; round++) {
      await follower.look()
      await uploader.round(new AbortController().signal)
    }
  }
  await rounds()
  assert.deepEqual(retired, [])
  closed.mock.restore()
  await rounds()
  assert.deepEqual(retired, [source])
})

void test('what a former life uploaded is not uploaded again if its file is found only after the list of chunks is read', async (t) => {
  const { path, follower, again } = scene(t)
  const objects: ObjectView[] = []
  const bucket = bucketOf(objects)
  const round = async (follower: Follower, uploader: Uploader) => {
    for (let looks = 0; looks < 3; looks++) await follower.look()
    await uploader.round(new AbortController().signal)
  }
  await round(follower, uploaderOf(follower, { bucket }))
  assert.equal(objects.length, 1)
  const away = join(path, '../away')
  renameSync(path, away) // as on a volume that is not mounted yet when the next life begins
  const next = again()
  const uploader = uploaderOf(next, { bucket })
  await round(next, uploader)
  renameSync(away, path)
  await round(next, uploader)
  assert.equal(objects.length, 1)
})
