import { pipeline, Readable } from 'node:stream'
import { createGunzip, createZstdDecompress, type ZstdDecompress } from 'node:zlib'

/** How the bytes of a copy are stored. */
export type Encoding = 'plain' | 'gzip' | 'zstd'

/** How many bytes of a file's head `encodingOf` needs. */
export const MAGIC_BYTES = 4

/** Tells a compressed copy by its first bytes (RFC 1952 section 2.3.1, RFC 8878 section 3.1), not by its name. */
export function encodingOf(head: Uint8Array): Encoding {
  if (head[0] === 0x1f && head[1] === 0x8b) return 'gzip'
  if (head[0] === 0x28 && head[1] === 0xb5 && head[2] === 0x2f && head[3] === 0xfd) return 'zstd'
  const isSkipped = head[1] === 0x2a && head[2] === 0x4d && head[3] === 0x18 && head[0]! >> 4 === 5 // so begins what pzstd makes
  return isSkipped ? 'zstd' : 'plain'
}

/**
 * The plain bytes of a stream; concatenated members and frames are read through. What it gives fails when the copy is cut off or
 * corrupt, after the bytes before the damage. Destroy it to close the source.
 */
export function openDecompressed(input: Readable, encoding: Encoding): Readable {
  if (encoding === 'plain') return input
  // pipeline() hands an error of either side to the other; whoever reads the output sees it there.
  if (encoding === 'gzip') return pipeline(input, createGunzip({ chunkSize: CHUNK_BYTES }), () => {})
  return Readable.from(decodeFrames(input), { objectMode: false, highWaterMark: CHUNK_BYTES })
}

const CHUNK_BYTES = 256 * 1024

/** Node's zstd decoder ends where a frame ends inside a write, and drops what follows: each such rest needs a new one. */
async function* decodeFrames(input: Readable): AsyncGenerator<Buffer> {
  const pieces = input[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>
  try {
    for (let piece = (await pieces.next()).value; piece; ) {
      const decoder = createZstdDecompress({ chunkSize: CHUNK_BYTES })
      const rest = feed(decoder, piece, pieces)
      rest.catch((error: Error) => decoder.destroy(error))
      yield* decoder as AsyncIterable<Buffer>
      piece = await rest
    }
  } finally {
    input.destroy()
  }
}

/** Writes until the decoder takes no more, and returns what it left; undefined: it took everything. */
async function feed(decoder: ZstdDecompress, first: Buffer, more: AsyncIterator<Buffer, undefined>) {
  let handedOver = 0
  for (let piece: Buffer | undefined = first; piece; piece = (await more.next()).value) {
    handedOver += piece.length
    await write(decoder, piece)
    const left = handedOver - decoder.bytesWritten
    if (left > 0) return piece.subarray(piece.length - left)
  }
  decoder.end()
  return undefined
}

/** Resolves too when the decoder was closed meanwhile: then nobody reads its output any more. */
function write(decoder: ZstdDecompress, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    decoder.once('close', resolve)
    decoder.write(bytes, (error) => {
      decoder.off('close', resolve)
      if (error) reject(error)
      else resolve()
    })
  })
}

/** The same for stored bytes of which only they themselves say how they are compressed. @throws what `isDamage` knows */
export async function* plainBytes(stored: Readable): AsyncGenerator<Buffer> {
  const pieces = stored[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  let head = Buffer.alloc(0)
  while (head.length < MAGIC_BYTES) {
    const { value, done } = await pieces.next()
    if (done) break
    head = Buffer.concat([head, value])
  }
  const whole = Readable.from(withHead(head, pieces), { objectMode: false })
  yield* openDecompressed(whole, encodingOf(head)) as AsyncIterable<Buffer>
}

async function* withHead(head: Buffer, pieces: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  if (head.length > 0) yield head
  for (let next = await pieces.next(); !next.done; next = await pieces.next()) yield next.value
}

/** Whether an error says that a compressed copy is cut off or corrupt. */
export function isDamage(error: unknown): boolean {
  return /^(Z_|ZSTD_|ERR_ZLIB|ERR_ZSTD)/.test(String((error as { code?: unknown }).code))
}
