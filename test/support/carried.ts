import { zstdDecompressSync } from 'node:zlib'
import { type Bucket, decodeMetadata } from '../../shared/chunks/index.ts'
import type { KafkaClient } from '../../shared/kafka/index.ts'
import { consumeTopic } from './consume.ts'
import { lineNumbers } from './log-writer.ts'

/** The lines that reach the table: those in the topic, and those in the ranges that chunks carry. */
export async function carriedLines(client: KafkaClient, topic: string, bucket: Bucket, prefix: string) {
  const values = (await consumeTopic(client, topic, 60_000)).map(({ value }) => value)
  const ofTopic = values.length
  let undecided = 0
  for await (const object of bucket.list(prefix)) {
    const metadata = decodeMetadata(object.metadata)
    if (!metadata || metadata.ranges.length === 0) continue
    if (metadata.ranges === 'undecided') {
      undecided++
      continue
    }
    const pieces: Buffer[] = []
    for await (const piece of bucket.read(object)) pieces.push(piece as Buffer)
    const text = zstdDecompressSync(Buffer.concat(pieces)).toString()
    for (const [from, to] of metadata.ranges) {
      const lines = text.slice(from - metadata.start, to - metadata.start).split('\n')
      for (const line of lines.slice(0, -1)) values.push(line)
    }
  }
  return { values, numbers: lineNumbers(values), undecided, byChunks: values.length - ofTopic }
}
