import type { ProtoSource } from '../schema/index.ts'
import { ByteKeys } from './byte-keys.ts'
import type { RowBuffer } from './row-buffer.ts'

type EnumNames = NonNullable<ProtoSource['enum']>

/** Writes the values of an enum: as their names, or as numbers when the column is an integer. */
export class EnumTable {
  readonly nullValue: boolean
  private readonly keys = new ByteKeys()
  private readonly numbers: number[]
  private readonly names = new Map<number, Buffer>()
  private readonly asName: boolean

  constructor(names: EnumNames, asName: boolean) {
    this.nullValue = names.nullValue
    this.asName = asName
    this.numbers = [...names.numbers.values()]
    for (const name of names.numbers.keys()) this.keys.add(Buffer.from(name), 0, Buffer.byteLength(name))
    for (const [number, name] of names.names) this.names.set(number, Buffer.from(name))
  }

  /** The number of a name, or undefined. */
  numberOf(bytes: Uint8Array, start: number, end: number): number | undefined {
    return this.numbers[this.keys.find(bytes, start, end)]
  }

  /** A number without a name (a newer schema's) becomes its digits. */
  write(number: number, out: RowBuffer): void {
    if (!this.asName) {
      out.reserve(10)
      out.int32(number)
      return
    }
    const name = this.names.get(number) ?? Buffer.from(String(number))
    out.lengthAndCopy(name, 0, name.length)
  }
}
