interface Entry<T> {
  readonly bytes: Uint8Array
  readonly value: T
}

const NOTHING: readonly never[] = []

/** Values by names that are looked up from bytes, without making a string. */
export class ByteTable<T> {
  private readonly buckets: Entry<T>[][]
  private readonly mask: number
  private readonly fold: number

  /** @param foldCase ASCII letters match in either case */
  constructor(entries: Iterable<readonly [name: string, value: T]>, foldCase: boolean) {
    const all = [...entries]
    let size = 8
    while (size < all.length * 2) size *= 2
    this.mask = size - 1
    this.fold = foldCase ? 0x20 : 0
    this.buckets = Array.from({ length: size }, () => [])
    for (const [name, value] of all) {
      const bytes = Buffer.from(name)
      this.buckets[this.hash(bytes, 0, bytes.length)]?.push({ bytes, value })
    }
  }

  find(bytes: Uint8Array, start: number, end: number): T | undefined {
    if (end === start) return undefined
    for (const entry of this.buckets[this.hash(bytes, start, end)] ?? NOTHING) {
      if (this.equal(entry.bytes, bytes, start, end)) return entry.value
    }
    return undefined
  }

  private hash(bytes: Uint8Array, start: number, end: number): number {
    const first = (bytes[start] as number) | this.fold
    const last = (bytes[end - 1] as number) | this.fold
    return ((end - start) * 7 + first * 31 + last * 5) & this.mask
  }

  private equal(name: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
    if (name.length !== end - start) return false
    for (let i = 0; i < name.length; i++) {
      const a = name[i] as number
      const b = bytes[start + i] as number
      if (a !== b && !(this.fold !== 0 && isLetter(a) && (a | 0x20) === (b | 0x20))) return false
    }
    return true
  }
}

function isLetter(c: number): boolean {
  return (c | 0x20) >= 0x61 && (c | 0x20) <= 0x7a
}
