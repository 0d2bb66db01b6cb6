import { ByteKeys } from './byte-keys.ts'
import type { RowBuffer } from './row-buffer.ts'

/** Writes the values of an enum: as their names, or as numbers when the column is an integer. */
export class EnumTable {
  private readonly keys = new ByteKeys()
  private readonly numbers: readonly number[]
  private readonly names = new Map<number, Buffer>()
  private readonly asName: boolean

  /** @param numbers by name; an alias is written as the first name of its number */
  constructor(numbers: Readonly<Record<string, number>>, asName: boolean) {
    this.asName = asName
    this.numbers = Object.values(numbers)
    for (const [text, number] of Object.entries(numbers)) {
      const name = Buffer.from(text)
      this.keys.add(name, 0, name.length)
      if (!this.names.has(number)) this.names.set(number, name)
    }
  }

  /** The number of a name, or undefined. */
  numberOf(bytes: Uint8Array, start: number, end: number): number | undefined {
    return this.numbers[this.keys.find(bytes, start, end)]
  }

  /** A number without a name (a newer schema's) becomes its digits. */
  write(number: number, out: RowBuffer): 0 {
    if (!this.asName) return out.int32(number)
    const name = this.names.get(number) ?? Buffer.from(String(number))
    return out.lengthAndCopy(name, 0, name.length)
  }
}
