import { promisify } from 'node:util'
import * as zlib from 'node:zlib'
import { compressFrame, decompressFrame, decompressFrameSync } from 'lz4-napi'
import { compress as compressSnappy, uncompress, uncompressSync } from 'snappy'
import { KafkaError } from './errors.ts'
import type { Compression } from './types.ts'

/** The codecs in the order of their number in a RecordBatch's attributes. */
export const CODECS: readonly Compression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

/** The largest batch that is decompressed, in bytes: a fetch of a few megabytes must not become gigabytes. */
const DECOMPRESSED_BYTES_MAX = 512 * 1024 * 1024
const ZSTD_LEVEL = 1
const GZIP_LEVEL = 1

const gzip = promisify<Buffer, zlib.ZlibOptions, Buffer>(zlib.gzip)
const gunzip = promisify<Buffer, zlib.ZlibOptions, Buffer>(zlib.gunzip)
const zstdCompress = promisify<Buffer, zlib.ZstdOptions, Buffer>(zlib.zstdCompress)
const zstdDecompress = promisify<Buffer, zlib.ZstdOptions, Buffer>(zlib.zstdDecompress)

/**
 * node:zlib works in pieces of `chunkSize` (16 KiB by default), each a way to the thread pool and back: one piece of the right
 * size is four times as fast.
 */
const CHUNK_BYTES_MIN = 64 * 1024
const CHUNK_BYTES_MAX = 64 * 1024 * 1024
/** When a frame does not say how large it is inside: batches are mostly smaller than this. */
const CHUNK_BYTES_UNKNOWN = 1024 * 1024

function pieces(bytes: number): { chunkSize: number; maxOutputLength: number } {
  const chunkSize = Math.min(Math.max(bytes, CHUNK_BYTES_MIN), CHUNK_BYTES_MAX)
  return { chunkSize, maxOutputLength: DECOMPRESSED_BYTES_MAX }
}

/** A gzip member ends with its size inside. */
function gzipPieces(body: Buffer): ReturnType<typeof pieces> {
  return pieces(body.length >= 4 ? body.readUInt32LE(body.length - 4) : 0)
}

/** Ours and librdkafka's frames say their size (RFC 8878, 3.1.1.1), in four bytes when it is between 64 KiB and 4 GiB. */
function zstdPieces(body: Buffer): ReturnType<typeof pieces> {
  const [descriptor = 0, first = 0] = [body[4], body[5]]
  if (body.length < 12 || descriptor >> 6 === 0) return pieces(descriptor & 0x20 ? first : CHUNK_BYTES_UNKNOWN)
  const at = descriptor & 0x20 ? 5 : 6
  return pieces(descriptor >> 6 === 2 ? body.readUInt32LE(at) : CHUNK_BYTES_UNKNOWN)
}

function zstdOptions(raw: Buffer): zlib.ZstdOptions {
  const params = { [zlib.constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL }
  return { params, pledgedSrcSize: raw.length, ...pieces(raw.length >>> 2) }
}

/** Compresses in the thread pool; with `none` gives back the same memory. Snappy in the framing that Java expects. */
export async function compress(codec: Compression, raw: Buffer): Promise<Buffer> {
  switch (codec) {
    case 'none':
      return raw
    case 'gzip':
      return gzip(raw, { level: GZIP_LEVEL, ...pieces(raw.length >>> 2) })
    case 'snappy':
      return frameXerial(await compressSnappy(raw))
    case 'lz4':
      return compressFrame(raw)
    case 'zstd':
      return zstdCompress(raw, zstdOptions(raw))
  }
}

/** Decompresses in the thread pool. Rejects with a KafkaError of kind `corrupt`. */
export async function decompress(codec: Compression, body: Buffer): Promise<Buffer> {
  try {
    switch (codec) {
      case 'none':
        return body
      case 'gzip':
        return await gunzip(body, gzipPieces(body))
      case 'snappy':
        return joinBlocks(await Promise.all(xerialBlocks(body).map((block) => uncompress(block))))
      case 'lz4':
        return await decompressFrame(body)
      case 'zstd':
        return await zstdDecompress(body, zstdPieces(body))
    }
  } catch (cause) {
    throw new KafkaError('corrupt', codec, `a batch cannot be decompressed (${codec})`, { cause })
  }
}

/** The same, here and now. */
export function decompressSync(codec: Compression, body: Buffer): Buffer {
  try {
    switch (codec) {
      case 'none':
        return body
      case 'gzip':
        return zlib.gunzipSync(body, gzipPieces(body))
      case 'snappy':
        return joinBlocks(xerialBlocks(body).map((block) => uncompressSync(block)))
      case 'lz4':
        return decompressFrameSync(body)
      case 'zstd':
        return zlib.zstdDecompressSync(body, zstdPieces(body))
    }
  } catch (cause) {
    throw new KafkaError('corrupt', codec, `a batch cannot be decompressed (${codec})`, { cause })
  }
}

/** Java's snappy stream: this magic, two versions, then blocks with their length before them. */
const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0])
const XERIAL_HEADER_BYTES = 16

function frameXerial(block: Buffer): Buffer {
  const header = Buffer.alloc(XERIAL_HEADER_BYTES + 4)
  XERIAL_MAGIC.copy(header)
  header.writeInt32BE(1, 8)
  header.writeInt32BE(1, 12)
  header.writeInt32BE(block.length, XERIAL_HEADER_BYTES)
  return Buffer.concat([header, block])
}

function xerialBlocks(body: Buffer): Buffer[] {
  if (!body.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)) return [body] // librdkafka and others: one bare block
  const blocks: Buffer[] = []
  for (let at = XERIAL_HEADER_BYTES; at < body.length; ) {
    const length = body.readInt32BE(at)
    if (length < 0 || at + 4 + length > body.length) throw new RangeError(`a snappy block of ${length} bytes at ${at}`)
    blocks.push(body.subarray(at + 4, at + 4 + length))
    at += 4 + length
  }
  return blocks
}

function joinBlocks(blocks: (string | Buffer)[]): Buffer {
  const buffers = blocks.map((block) => (typeof block === 'string' ? Buffer.from(block) : block))
  return buffers.length === 1 && buffers[0] ? buffers[0] : Buffer.concat(buffers)
}
