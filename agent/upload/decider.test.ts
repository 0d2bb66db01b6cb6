import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { zstdCompressSync } from 'node:zlib'
import { type Bucket, chunkName, encodeMetadata, type ObjectView } from '../../shared/chunks/index.ts'
import { baseId } from '../follow/identity.ts'
import type { Decision } from '../publish/index.ts'
import { chunkOf, OwnChunks } from './chunks.ts'
import { Decider } from './decider.ts'
import { NO_FILES } from './source-files.ts'

const TEXT = Buffer.from('first\n')
const ROUTE = {
  route: 'r',
  agent: 'a',
  source: baseId('a', 'r', Buffer.from('first')),
  format: 'raw',
  framing: 'lines',
} as const

/** An undecided chunk whose file was last seen then, and which Kafka does not know. */
function chunkSeenAt(seen: number) {
  const name = chunkName({ ...ROUTE, firstReadMs: 0, part: 0 })
  const size = TEXT.length
  const metadata = encodeMetadata({
    ...ROUTE,
    path: '/app.log',
    start: 0,
    size,
    events: 1,
    ranges: 'undecided',
    crc32c: '00000000',
    seen,
  })
  const object: ObjectView = {
    name,
    generation: '1',
    metageneration: '1',
    createdMs: 0,
    size,
    metadata,
  }
  return chunkOf(object)!
}

test('a chunk that Kafka may have known, and forgotten since, is not decided, but named; one that was seen later is handed over', async () => {
  const decided: string[] = []
  for (const seen of [999, 1000]) {
    const chunks = new OwnChunks()
    const chunk = chunkSeenAt(seen)
    chunks.put(chunk)
    const authority = {
      topicOf: () => 't',
      forgottenMs: () => 1000,
      decide: ({ source }: Decision) => Promise.resolve(decided.push(source) > 0),
    }
    const bucket = { read: () => Readable.from([zstdCompressSync(TEXT)]) } as unknown as Bucket
    const positions = { entries: [], entry: () => undefined }
    const decider = new Decider({ bucket, chunks, authority, positions, files: NO_FILES })
    await decider.decide(chunk)
    assert.deepEqual([...decider.untold], seen < 1000 ? [chunk.object.name] : [])
  }
  assert.deepEqual(decided, [ROUTE.source])
})
