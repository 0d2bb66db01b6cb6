import { promisify } from 'node:util'
import * as zlib from 'node:zlib'
import { decompressFrame } from 'lz4-napi'
import * as snappy from 'snappy'
import { KafkaError } from './errors.ts'
import type { Codec, Compression } from './types.ts'

/** The codecs in the order of their number in a RecordBatch's attributes. */
export const CODECS: readonly Codec[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

/** The largest batch that is decompressed, in bytes: a fetch of a few megabytes must not become gigabytes. */
const DECOMPRESSED_BYTES_MAX = 512 * 1024 * 1024
const LEVEL = 1

/**
 * node:zlib works in pieces of `chunkSize` (16 KiB by default), each a way to the thread pool and back: one piece of the right
 * size is four times as fast. The sizes that a body claims are believed within these bounds.
 */
const CHUNK_BYTES_MIN = 64 * 1024
const CHUNK_BYTES_MAX = 64 * 1024 * 1024
const CHUNK_BYTES_UNKNOWN = 1024 * 1024
const PACKED_CHUNK_BYTES = 256 * 1024
/** Each has its window and tables, about a megabyte; as many batches are compressed side by side. */
const ZSTD_CONTEXTS = 2

const gzip = promisify<Buffer, zlib.ZlibOptions, Buffer>(zlib.gzip)
const gunzip = promisify<Buffer, zlib.ZlibOptions, Buffer>(zlib.gunzip)
const uncompress = (block: Buffer) => snappy.uncompress(block) as Promise<Buffer>
const zstdDecompress = promisify<Buffer, zlib.ZstdOptions, Buffer>(zlib.zstdDecompress)

const UNPACK: Readonly<Record<Codec, (body: Buffer) => Buffer | Promise<Buffer>>> = {
  none: (body) => body,
  gzip: (body) => gunzip(body, pieces(gzipSize(body))),
  snappy: async (body) => Buffer.concat(await Promise.all(xerialBlocks(body).map(uncompress))),
  lz4: decompressFrame,
  zstd: (body) => zstdDecompress(body, pieces(zstdSize(body))),
}

/** What a body may become, of the codecs whose decoders have no limit of their own. */
const SIZE_MAX: Readonly<Partial<Record<Codec, (body: Buffer) => number>>> = {
  snappy: (body) => xerialBlocks(body).reduce((sum, block) => sum + snappySize(block), 0),
  lz4: lz4SizeMax,
}

/** Compresses in the thread pool; with `none` gives back the same memory. */
export async function compress(codec: Compression, raw: Buffer): Promise<Buffer> {
  if (codec === 'gzip') return gzip(raw, { level: LEVEL, ...pieces(raw.length >>> 2) })
  return codec === 'zstd' ? packZstd(raw) : raw
}

type Pack = (raw: Buffer) => Promise<Buffer>

const zstdContexts: Pack[] = []
let zstdTurn = 0

/** In a few contexts, in turn: to make one for each batch costs a fifth more, and leaves garbage of megabytes. */
function packZstd(raw: Buffer): Promise<Buffer> {
  const turn = zstdTurn++ % ZSTD_CONTEXTS
  return (zstdContexts[turn] ??= zstdContext())(raw)
}

/** A frame for each call, one call after the other. */
function zstdContext(): Pack {
  const parts: Buffer[] = []
  const stream = zlib.createZstdCompress({
    params: { [zlib.constants.ZSTD_c_compressionLevel]: LEVEL },
    flush: zlib.constants.ZSTD_e_end, // what one write brings is one frame, which tells its size
    chunkSize: PACKED_CHUNK_BYTES,
  })
  stream.on('data', (part: Buffer) => parts.push(part))
  const pack: Pack = (raw) => {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
    stream.write(raw, (error) => {
      const frame = parts.splice(0)
      if (error) reject(error)
      else resolve(frame.length === 1 ? frame[0]! : Buffer.concat(frame))
    })
    return promise
  }
  let before: Promise<unknown> = Promise.resolve()
  return (raw) => {
    const packed = before.then(() => pack(raw))
    before = packed.catch(() => undefined)
    return packed
  }
}

/** Decompresses in the thread pool. Rejects with a KafkaError of kind `corrupt`. */
export async function decompress(codec: Codec, body: Buffer): Promise<Buffer> {
  try {
    const bytes = SIZE_MAX[codec]?.(body) ?? 0
    if (bytes > DECOMPRESSED_BYTES_MAX) throw new RangeError(`${bytes} bytes, of at most ${DECOMPRESSED_BYTES_MAX}`)
    return await UNPACK[codec](body)
  } catch (cause) {
    throw new KafkaError('corrupt', codec, `a batch cannot be decompressed (${codec})`, { cause })
  }
}

function pieces(bytes: number): { chunkSize: number; maxOutputLength: number } {
  // One byte more than there is: a piece that becomes full is followed by another, an empty one of the same size.
  const chunkSize = Math.min(Math.max(bytes + 1, CHUNK_BYTES_MIN), CHUNK_BYTES_MAX)
  return { chunkSize, maxOutputLength: DECOMPRESSED_BYTES_MAX }
}

/** A gzip member ends with the size of what is in it. */
function gzipSize(body: Buffer): number {
  return body.length >= 4 ? body.readUInt32LE(body.length - 4) : 0
}

/** A zstd frame may say its size (RFC 8878, 3.1.1.1); ours do, in four bytes when it is between 64 KiB and 4 GiB. */
function zstdSize(body: Buffer): number {
  const descriptor = body[4] ?? 0
  const at = descriptor & 0x20 ? 5 : 6
  return descriptor >> 6 === 2 && body.length >= at + 4 ? body.readUInt32LE(at) : CHUNK_BYTES_UNKNOWN
}

/** Java's snappy stream: this magic, two versions of four bytes, then blocks with their length before them. */
const XERIAL_MAGIC = Buffer.from('82534e4150505900', 'hex')
const XERIAL_HEADER_BYTES = 16

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

/** A block begins with its size, as a varint. */
function snappySize(block: Buffer): number {
  const last = block.findIndex((byte) => byte < 0x80)
  return block.subarray(0, last + 1).reduceRight((size, byte) => size * 128 + (byte & 0x7f), 0)
}

const LZ4_MAGIC = 0x184d2204

/** Each block 255 times itself, and no more than the frame says of all: a frame need not say its own size (LZ4 Frame Format 1.6). */
function lz4SizeMax(frame: Buffer): number {
  if (frame.readUInt32LE(0) !== LZ4_MAGIC) throw new RangeError('no LZ4 frame') // the decoder knows another form, without limits
  const flags = frame.readUInt8(4)
  const blockMax = 2 ** (8 + 2 * ((frame.readUInt8(5) >> 4) & 7))
  let size = 0
  for (let at = 7 + (flags & 8) + (flags & 1) * 4; at + 4 <= frame.length; at += (flags & 16) / 4) {
    const bytes = frame.readUInt32LE(at) & 0x7fffffff // the highest bit: not compressed
    size += Math.min(blockMax, bytes * 255)
    at += 4 + bytes
  }
  return size
}
