import type { Reader } from '../rows/reader.ts'
import { GrowingBuffer } from './bytes.ts'

/** How the values of a column lie in a Parquet page. `int64` also carries doubles: both are eight bytes as they came. */
export type Physical = 'bool' | 'int32' | 'int64' | 'double' | 'bytes' | 'fixed16'

/** Levels of Dremel's record shredding, run-length encoded as they come: https://parquet.apache.org/docs/file-format/data-pages/encodings/#RLE */
class Levels {
  readonly out = new GrowingBuffer(64)
  #value = -1
  #run = 0

  push(value: number): void {
    if (value === this.#value) {
      this.#run++
      return
    }
    this.#endRun()
    this.#value = value
    this.#run = 1
  }

  /** The encoded levels. Nothing may be pushed after it but a `clear`. */
  finish(): Buffer {
    this.#endRun()
    this.#run = 0
    return this.out.content()
  }

  clear(): void {
    this.out.clear()
    this.#value = -1
    this.#run = 0
  }

  #endRun(): void {
    if (this.#run === 0) return
    this.out.varint(this.#run * 2)
    this.out.byte(this.#value)
  }
}

/** One leaf column of a row group under construction. */
export class Column {
  readonly physical: Physical
  readonly maxDefinition: number
  readonly maxRepetition: number
  /** Levels so far: values, NULLs and empty arrays. */
  count = 0
  readonly #definitions = new Levels()
  readonly #repetitions = new Levels()
  readonly #values = new GrowingBuffer(1024)
  readonly #bits: number[] = []

  constructor(physical: Physical, maxDefinition: number, maxRepetition: number) {
    this.physical = physical
    this.maxDefinition = maxDefinition
    this.maxRepetition = maxRepetition
  }

  /** Adds the value that `reader` holds. */
  add(reader: Reader, repetition: number): void {
    this.#level(this.maxDefinition, repetition)
    if (this.physical === 'bytes') this.#addBytes(reader)
    else if (this.physical === 'int64' || this.physical === 'double') this.#addInt64(reader)
    else if (this.physical === 'int32') this.#values.uint32(reader.lo)
    else if (this.physical === 'bool') this.#bits.push(reader.lo === 0 && reader.hi === 0 ? 0 : 1)
    else this.#values.copy(reader.source, reader.from, reader.to)
  }

  /** Adds a NULL, or an empty array: something that is defined down to `definition` only. */
  addNull(definition: number, repetition: number): void {
    this.#level(definition, repetition)
  }

  #level(definition: number, repetition: number): void {
    this.count++
    if (this.maxDefinition > 0) this.#definitions.push(definition)
    if (this.maxRepetition > 0) this.#repetitions.push(repetition)
  }

  #addBytes(reader: Reader): void {
    const values = this.#values
    const size = reader.to - reader.from
    values.reserve(size + 4)
    values.buffer.writeUInt32LE(size, values.length)
    reader.source.copy(values.buffer, values.length + 4, reader.from, reader.to)
    values.length += size + 4
  }

  #addInt64(reader: Reader): void {
    const values = this.#values
    values.reserve(8)
    values.buffer.writeUInt32LE(reader.lo, values.length)
    values.buffer.writeUInt32LE(reader.hi, values.length + 4)
    values.length += 8
  }

  /** The body of a data page with everything added so far, in pieces that stay valid until `clear`. */
  page(): Buffer[] {
    const parts: Buffer[] = []
    if (this.maxRepetition > 0) parts.push(...withLength(this.#repetitions.finish()))
    if (this.maxDefinition > 0) parts.push(...withLength(this.#definitions.finish()))
    parts.push(this.physical === 'bool' ? packBits(this.#bits) : this.#values.content())
    return parts
  }

  clear(): void {
    this.count = 0
    this.#definitions.clear()
    this.#repetitions.clear()
    this.#values.clear()
    this.#bits.length = 0
  }
}

function withLength(levels: Buffer): [Buffer, Buffer] {
  const length = Buffer.alloc(4)
  length.writeUInt32LE(levels.length)
  return [length, levels]
}

function packBits(bits: readonly number[]): Buffer {
  const packed = Buffer.alloc(Math.ceil(bits.length / 8))
  for (let at = 0; at < bits.length; at++) {
    if (bits[at] === 1) packed[at >>> 3] = (packed[at >>> 3] as number) | (1 << (at & 7))
  }
  return packed
}
