import { splitId } from '../follow/index.ts'
import type { PlainReader } from '../follow/index.ts'
import type { Chunk, OwnChunks } from './chunks.ts'
import { crcsOf } from './measure.ts'

/**
 * The name under which this very file is in the bucket, known by its bytes: of several the one that has most of it.
 * `taken`: names of other files that are there.
 */
export async function nameInBucket(
  chunks: OwnChunks,
  source: string,
  reader: PlainReader,
  taken: ReadonlySet<string>,
): Promise<string | undefined> {
  const { base } = splitId(source)
  const names = [...chunks.sources].filter((name) => splitId(name).base === base && !taken.has(name))
  const ranges = names.flatMap((name) => chunks.of(name)).map(({ metadata }) => metadata)
  const crcs = await crcsOf(reader, ranges)
  const holds = ({ metadata }: Chunk) => crcs.get(metadata) === metadata.crc32c
  const held = names.filter((name) => chunks.of(name).every(holds))
  return held.sort((a, b) => (chunks.endOf(b) ?? 0) - (chunks.endOf(a) ?? 0))[0]
}
