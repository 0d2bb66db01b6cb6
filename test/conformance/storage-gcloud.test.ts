import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { StorageProcess } from './storage-process.ts'

/** The local Cloud Storage through Google's own command line, where it is installed. */

const run = promisify(execFile)
const installed = spawnSync('gcloud', ['--version']).status === 0
const skip = installed ? false : 'gcloud is not installed: its commands are not tried'

/** Larger than gcloud's threshold for resumable uploads (8 MiB) and for sliced downloads. */
const LARGE_BYTES = 200 * 1024 * 1024

let server: StorageProcess
let folder: string

before(async () => {
  if (!installed) return
  server = await StorageProcess.start()
  folder = await mkdtemp(join(tmpdir(), 'millrace-gcloud-'))
  await server.client().createBucket('gcloud-bucket')
})

after(async () => {
  if (!installed) return
  await server.dispose()
  await rm(folder, { recursive: true, force: true })
})

async function gcloud(...args: string[]): Promise<string> {
  const env = {
    ...process.env,
    CLOUDSDK_CONFIG: join(folder, 'config'),
    CLOUDSDK_AUTH_DISABLE_CREDENTIALS: 'True',
    CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE: `${server.endpoint}/storage/v1/`,
    CLOUDSDK_CORE_PROJECT: 'conformance',
    CLOUDSDK_CORE_DISABLE_PROMPTS: '1',
  }
  const { stdout } = await run('gcloud', ['storage', ...args], { env, maxBuffer: 1 << 30 })
  return stdout
}

test('gcloud storage: cp, ls -l, cat and rm of a small file', { skip }, async () => {
  const file = join(folder, 'small.txt')
  await writeFile(file, 'one line\n')
  await gcloud('cp', file, 'gs://gcloud-bucket/small/name with space.txt')
  assert.match(
    await gcloud('ls', '-l', 'gs://gcloud-bucket/small/'),
    /^\s+9\s.*gs:\/\/gcloud-bucket\/small\/name with space\.txt/m,
  )
  assert.equal(await gcloud('cat', 'gs://gcloud-bucket/small/name with space.txt'), 'one line\n')
  await gcloud('rm', 'gs://gcloud-bucket/small/name with space.txt')
  await assert.rejects(gcloud('cat', 'gs://gcloud-bucket/small/name with space.txt'), /matched no objects|not found/i)
})

test('gcloud storage: a file of 200 MiB there and back', { skip }, async () => {
  const up = join(folder, 'large.bin')
  const down = join(folder, 'large.back')
  const block = Buffer.from(Uint8Array.from({ length: 1024 * 1024 }, (_, i) => (i * 2_654_435_761) >>> 24))
  const bytes = Buffer.concat(
    Array.from({ length: LARGE_BYTES / block.length }, (_, i) =>
      Buffer.concat([block.subarray(i), block.subarray(0, i)]),
    ),
  )
  await writeFile(up, bytes)
  await gcloud('cp', up, 'gs://gcloud-bucket/large.bin')
  assert.match(await gcloud('ls', '-l', 'gs://gcloud-bucket/large.bin'), new RegExp(`^\\s+${LARGE_BYTES}\\s`, 'm'))
  await gcloud('cp', 'gs://gcloud-bucket/large.bin', down)
  const md5 = (data: Buffer) => createHash('md5').update(data).digest('hex')
  assert.equal(md5(await readFile(down)), md5(bytes))
  await gcloud('rm', 'gs://gcloud-bucket/large.bin')
})

test('gcloud storage: ls of buckets and folders, cp between objects', { skip }, async () => {
  const file = join(folder, 'tree.txt')
  await writeFile(file, 'x')
  await gcloud('cp', file, 'gs://gcloud-bucket/tree/a/1')
  await gcloud('cp', 'gs://gcloud-bucket/tree/a/1', 'gs://gcloud-bucket/tree/b')
  assert.match(await gcloud('ls'), /gs:\/\/gcloud-bucket\//)
  assert.equal(
    await gcloud('ls', 'gs://gcloud-bucket/tree/'),
    'gs://gcloud-bucket/tree/b\ngs://gcloud-bucket/tree/a/\n',
  )
  await gcloud('rm', '--recursive', 'gs://gcloud-bucket/tree')
  await assert.rejects(gcloud('ls', 'gs://gcloud-bucket/tree/'), /matched no objects/)
})

test('gcloud storage: a bucket made, filled, its objects moved and described, and removed with all in it', {
  skip,
}, async () => {
  const file = join(folder, 'moved.txt')
  await writeFile(file, 'moved')
  await gcloud('buckets', 'create', 'gs://gcloud-made', '--location=europe-west1')
  await gcloud('cp', file, 'gs://gcloud-made/from')
  await gcloud('objects', 'update', 'gs://gcloud-made/from', '--custom-metadata=millrace-state=writing')
  await gcloud('mv', 'gs://gcloud-made/from', 'gs://gcloud-made/to')
  const described = JSON.parse(await gcloud('objects', 'describe', 'gs://gcloud-made/to', '--format=json')) as Record<
    string,
    unknown
  >
  assert.deepEqual([described['size'], described['custom_fields']], [5, { 'millrace-state': 'writing' }])
  await gcloud('rm', '--recursive', 'gs://gcloud-made')
  assert.doesNotMatch(await gcloud('ls'), /gcloud-made/)
})
