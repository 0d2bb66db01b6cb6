import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { zstdDecompressSync } from 'node:zlib'
import { startStorage } from '../../local/storage/index.ts'
import {
  type ChunkMetadata,
  type ChunkName,
  decodeMetadata,
  openBucket,
  parseChunkName,
} from '../../shared/chunks/index.ts'
import { parseConfig } from '../../shared/config/index.ts'
import { type AgentBench, agentBench, type BenchOptions } from './agent.ts'

const BUCKET = 'agent-chunks'

/** An uploaded chunk, decompressed. */
export interface SeenChunk {
  readonly name: ChunkName
  readonly metadata: ChunkMetadata
  readonly text: string
}

export interface BucketBench {
  readonly bench: AgentBench
  readonly storage: Awaited<ReturnType<typeof startStorage>>
  chunks(): Promise<SeenChunk[]>
}

/** A bench with a bucket of its own. */
export async function bucketBench(t: TestContext, options: BenchOptions): Promise<BucketBench> {
  const dataDir = mkdtempSync(join(tmpdir(), 'millrace-storage-'))
  const storage = await startStorage({ dataDir, buckets: [BUCKET] })
  t.after(async () => {
    await storage.stop()
    rmSync(dataDir, { recursive: true, force: true })
  })
  const top = { bucket: BUCKET, endpoints: { storage: storage.endpoint } }
  const bench = await agentBench(t, { ...options, top })
  const text = JSON.stringify({ project: 'test-project', dataset: 'logs', routes: {}, ...top })
  const bucket = openBucket(parseConfig(text, '/test.yaml'), 'test')
  const chunks = async () => {
    const found: SeenChunk[] = []
    for await (const object of bucket.list('lines/')) {
      const pieces: Buffer[] = []
      for await (const piece of bucket.read(object)) pieces.push(piece as Buffer)
      const [name, metadata] = [parseChunkName(object.name), decodeMetadata(object.metadata)]
      if (name && metadata) found.push({ name, metadata, text: zstdDecompressSync(Buffer.concat(pieces)).toString() })
    }
    return found
  }
  return { bench, storage, chunks }
}
