import { compressFrame } from 'lz4-napi'
import * as snappy from 'snappy'
import type { BatchBuilder, Codec, SealedBatch } from '../../shared/kafka/index.ts'

/** The head of Java's snappy stream: its magic and two versions. */
const XERIAL_HEADER = Buffer.from('82534e41505059000000000100000001', 'hex')

/** A batch in any of Kafka's codecs, also in those that only others write. */
export async function sealAs(builder: BatchBuilder, codec: Codec): Promise<SealedBatch> {
  if (codec !== 'snappy' && codec !== 'lz4') return builder.seal(codec)
  const plain = await builder.seal('none')
  const body = codec === 'lz4' ? await compressFrame(plain.body) : await xerial(plain.body)
  return { ...plain, compression: codec, body, bytes: plain.bytes - plain.body.length + body.length }
}

async function xerial(raw: Buffer): Promise<Buffer> {
  const block = await snappy.compress(raw)
  const length = Buffer.alloc(4)
  length.writeInt32BE(block.length)
  return Buffer.concat([XERIAL_HEADER, length, block])
}
