/**
 * Names and keys, found by their bytes without making a string: numbered in the order in which they came, kept back to
 * back, cleared and used again. Open addressing by FNV-1a.
 */
export class ByteKeys {
  count = 0
  private bytes = new Uint8Array(64)
  private readonly ends: number[] = []
  /** 1 + number of the key. */
  private table = new Int32Array(32)
  /** Of letters, when they match in either case. */
  private readonly fold: number

  constructor(foldCase = false) {
    this.fold = foldCase ? 0x20 : 0
  }

  clear(): void {
    if (this.count === 0) return
    this.count = 0
    this.table.fill(0)
  }

  /** The number of a key, or -1. */
  find(source: Uint8Array, start: number, end: number): number {
    return (this.table[this.place(source, start, end)] as number) - 1
  }

  /** Adds a key; false when it is there already. */
  add(source: Uint8Array, start: number, end: number): boolean {
    const place = this.place(source, start, end)
    if (this.table[place] !== 0) return false
    const from = this.startOf(this.count)
    const to = from + end - start
    if (to > this.bytes.length) this.bytes = new Uint8Array(this.bytes.buffer.transfer(to * 2))
    for (let i = start; i < end; i++) this.bytes[from + i - start] = source[i] as number
    this.ends[this.count++] = to
    this.table[place] = this.count
    if (this.count * 2 > this.table.length) this.rehash()
    return true
  }

  private rehash(): void {
    this.table = new Int32Array(this.table.length * 2)
    for (let key = 0; key < this.count; key++) {
      this.table[this.place(this.bytes, this.startOf(key), this.ends[key] as number)] = key + 1
    }
  }

  private startOf(key: number): number {
    return key === 0 ? 0 : (this.ends[key - 1] as number)
  }

  /** Where a key is in the table, or would be. */
  private place(source: Uint8Array, start: number, end: number): number {
    const { table, fold } = this
    let hash = 0x811c9dc5
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ ((source[i] as number) | fold), 0x01000193)
    let at = (hash ^ (hash >>> 15)) & (table.length - 1)
    while (table[at] !== 0 && !this.equal((table[at] as number) - 1, source, start, end))
      at = (at + 1) & (table.length - 1)
    return at
  }

  private equal(key: number, source: Uint8Array, start: number, end: number): boolean {
    const from = this.startOf(key)
    if ((this.ends[key] as number) - from !== end - start) return false
    for (let i = 0; i < end - start; i++) {
      const a = this.bytes[from + i] as number
      const b = source[start + i] as number
      if (a !== b && !(this.fold !== 0 && isLetter(a) && (a | 0x20) === (b | 0x20))) return false
    }
    return true
  }
}

function isLetter(c: number): boolean {
  return (c | 0x20) >= 0x61 && (c | 0x20) <= 0x7a
}
