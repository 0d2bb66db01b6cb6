/** The keys of one map of one event, to find the same key twice; cleared and used again. */
export class KeySet {
  private bytes = new Uint8Array(256)
  private ends = new Int32Array(16)
  /** Open addressing: 1 + number of the key. */
  private table = new Int32Array(32)
  private count = 0

  clear(): void {
    if (this.count === 0) return
    this.count = 0
    this.table.fill(0)
  }

  /** Adds a key; false when it is there already. */
  add(source: Buffer, start: number, end: number): boolean {
    const mask = this.table.length - 1
    let at = hash(source, start, end) & mask
    for (; this.table[at] !== 0; at = (at + 1) & mask) {
      if (this.equal((this.table[at] as number) - 1, source, start, end)) return false
    }
    this.table[at] = this.count + 1
    this.append(source, start, end)
    if (this.count * 2 > this.table.length) this.rehash()
    return true
  }

  private startOf(key: number): number {
    return key === 0 ? 0 : (this.ends[key - 1] as number)
  }

  private equal(key: number, source: Buffer, start: number, end: number): boolean {
    const from = this.startOf(key)
    if ((this.ends[key] as number) - from !== end - start) return false
    for (let i = 0; i < end - start; i++) if (this.bytes[from + i] !== source[start + i]) return false
    return true
  }

  private append(source: Buffer, start: number, end: number): void {
    const from = this.startOf(this.count)
    const to = from + end - start
    if (to > this.bytes.length) this.bytes = grown(this.bytes, new Uint8Array(to * 2))
    if (this.count === this.ends.length) this.ends = grown(this.ends, new Int32Array(this.count * 2))
    for (let i = start; i < end; i++) this.bytes[from + i - start] = source[i] as number
    this.ends[this.count++] = to
  }

  private rehash(): void {
    this.table = new Int32Array(this.table.length * 2)
    const mask = this.table.length - 1
    for (let key = 0; key < this.count; key++) {
      let at = hash(this.bytes, this.startOf(key), this.ends[key] as number) & mask
      while (this.table[at] !== 0) at = (at + 1) & mask
      this.table[at] = key + 1
    }
  }
}

function grown<T extends Uint8Array | Int32Array>(old: T, fresh: T): T {
  fresh.set(old)
  return fresh
}

/** FNV-1a. */
function hash(bytes: Uint8Array, start: number, end: number): number {
  let value = 0x811c9dc5
  for (let i = start; i < end; i++) value = Math.imul(value ^ (bytes[i] as number), 0x01000193)
  return value ^ (value >>> 15)
}
