import { compress } from './compression.ts'
import type { Compression, RecordHeader, SealedBatch } from './types.ts'

/** Below this many bytes a loop is faster than the call of a native copy. */
const SMALL_COPY_BYTES = 16

/**
 * Encodes records (the inside of a RecordBatch v2) straight from buffers into one arena of its own.
 * https://kafka.apache.org/documentation/#recordbatch
 */
export class BatchBuilder {
  #arena: Buffer
  #length = 0
  #records = 0
  #baseTimestampMs = 0
  #maxTimestampMs = 0

  /** `capacityBytes`: the most that the records of one batch may take before compression. */
  constructor(capacityBytes: number) {
    this.#arena = Buffer.allocUnsafeSlow(capacityBytes)
  }

  get records(): number {
    return this.#records
  }

  /** Bytes of the records so far, before compression. */
  get length(): number {
    return this.#length
  }

  /**
   * Appends one record whose value is `value[start, end)`. Returns false, and changes nothing, when there is no room.
   * A record that does not fit into an empty builder is larger than its capacity.
   */
  append(
    key: Uint8Array | null,
    value: Buffer,
    start: number,
    end: number,
    timestampMs: number,
    headers?: readonly RecordHeader[],
  ): boolean {
    if (this.#records === 0) {
      this.#baseTimestampMs = timestampMs
      this.#maxTimestampMs = timestampMs
    }
    const timestampDelta = timestampMs - this.#baseTimestampMs
    const tail = headers && encodeHeaders(headers)
    const size = recordSize(key, end - start, timestampDelta, this.#records, tail)
    if (this.#length + varintSize(size) + size > this.#arena.length) return false
    const arena = this.#arena
    let at = writeVarint(arena, this.#length, size)
    arena[at++] = 0
    at = writeVarint(arena, at, timestampDelta)
    at = writeVarint(arena, at, this.#records)
    at = writeVarint(arena, at, key ? key.length : -1)
    if (key) at = writeBytes(arena, at, key)
    at = writeVarint(arena, at, end - start)
    at += value.copy(arena, at, start, end)
    this.#length = tail ? writeBytes(arena, at, tail) : writeVarint(arena, at, 0)
    this.#records++
    if (timestampMs > this.#maxTimestampMs) this.#maxTimestampMs = timestampMs
    return true
  }

  /**
   * Closes the batch. With compression the builder may be reset and filled again at once; with `none` the batch is a view of its
   * memory, and the builder must not be touched until the transaction is over.
   */
  async seal(compression: Compression): Promise<SealedBatch> {
    if (this.#records === 0) throw new RangeError('a batch needs at least one record')
    const raw = this.#arena.subarray(0, this.#length)
    const sealed = {
      records: this.#records,
      compression,
      baseTimestampMs: this.#baseTimestampMs,
      maxTimestampMs: this.#maxTimestampMs,
    }
    const body = await compress(compression, raw)
    return { ...sealed, bytes: BATCH_HEADER_BYTES + body.length, body }
  }

  reset(): void {
    this.#length = 0
    this.#records = 0
  }
}

/** The format's number, and the attribute of batches in a transaction. */
export const MAGIC = 2
export const TRANSACTIONAL = 0x10
/** Size of a RecordBatch before its records. */
export const BATCH_HEADER_BYTES = 61
/** Offset and length itself, which a RecordBatch's length does not count. */
export const BATCH_LENGTH_FROM = 12

function recordSize(
  key: Uint8Array | null,
  valueBytes: number,
  timestampDelta: number,
  offsetDelta: number,
  headers: Buffer | undefined,
): number {
  const keyBytes = key ? varintSize(key.length) + key.length : 1
  const deltaBytes = varintSize(timestampDelta) + varintSize(offsetDelta)
  return 1 + deltaBytes + keyBytes + varintSize(valueBytes) + valueBytes + (headers ? headers.length : 1)
}

/** Few records have any: so they may cost more. */
function encodeHeaders(headers: readonly RecordHeader[]): Buffer {
  const parts = headers.flatMap(({ key, value }) => {
    const name = Buffer.from(key)
    return [varint(name.length), name, varint(value.length), value]
  })
  return Buffer.concat([varint(headers.length), ...parts])
}

function varint(value: number): Buffer {
  const bytes = Buffer.alloc(varintSize(value))
  writeVarint(bytes, 0, value)
  return bytes
}

function writeBytes(arena: Buffer, start: number, bytes: Uint8Array): number {
  if (bytes.length > SMALL_COPY_BYTES) arena.set(bytes, start)
  else for (let i = 0; i < bytes.length; i++) arena[start + i] = bytes[i] as number
  return start + bytes.length
}

/** Zigzag: small negative numbers stay small. Exact for safe integers; bit operations are, below 2^30. */
function zigzag(value: number): number {
  if (value >= 0) return value < 0x40000000 ? value << 1 : value * 2
  return -value * 2 - 1
}

function varintSize(value: number): number {
  let rest = zigzag(value)
  let size = 1
  while (rest >= 0x80) {
    rest = rest > 0x7fffffff ? Math.floor(rest / 128) : rest >>> 7
    size++
  }
  return size
}

function writeVarint(arena: Buffer, start: number, value: number): number {
  let rest = zigzag(value)
  let at = start
  while (rest >= 0x80) {
    arena[at++] = (rest & 0x7f) | 0x80
    rest = rest > 0x7fffffff ? Math.floor(rest / 128) : rest >>> 7
  }
  arena[at++] = rest
  return at
}
