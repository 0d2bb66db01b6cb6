import { splitId } from '../follow/identity.ts'
import { decodeEntries, ENTRIES_BYTES_MAX, encodeEntries, type Entry, entryBytes } from './positions.ts'

/**
 * Retired entries that are kept, for a file that comes back, another one with the same first event, and a life out of touch that still
 * has one open. They take one group, about.
 */
const RETIRED_MAX = 64

/**
 * All entries of one partition, as they stand after the last transaction and what is being added to the next. Each lives
 * in one of several groups, because a commit's metadata is bounded; it stays there while it fits. After a failed
 * transaction a ledger is thrown away and read again.
 */
export class PartitionLedger {
  /** Kafka knows nothing of this partition: no position was ever written, or all are forgotten. */
  readonly isBlank: boolean
  /** Kafka has forgotten entries of this partition: each commit lives as long as nobody renews it, all for themselves. */
  readonly isTorn: boolean
  /** Retired entries that are kept besides those of shared first events. */
  retiredMax = RETIRED_MAX
  /** When entries were last dropped, to make room or because Kafka had forgotten them; 0: never. */
  forgottenMs = 0
  readonly #slots = new Map<string, { readonly entry: Entry; readonly group: number; readonly bytes: number }>()
  readonly #used: number[]
  readonly #changed = new Set<number>()

  /**
   * `metadata`: the commits of group 0, 1, ...; an empty one stands for none. `wasWritten`: there were some once.
   * Throws when they are not to be read.
   */
  constructor(metadata: readonly string[] = [''], wasWritten = false) {
    this.isBlank = !metadata[0]
    this.isTorn = (wasWritten || !this.isBlank) && metadata.some((text) => !text)
    this.#used = metadata.map(() => 0)
    metadata.forEach((text, group) => {
      if (!text) return
      const { entries, forgottenMs } = decodeEntries(text)
      this.forgottenMs = Math.max(this.forgottenMs, forgottenMs)
      for (const entry of entries) this.#place(entry, group, entryBytes(entry))
    })
  }

  get entries(): Entry[] {
    return Array.from(this.#slots.values(), ({ entry }) => entry)
  }

  get groups(): number {
    return this.#used.length
  }

  get(source: string): Entry | undefined {
    return this.#slots.get(source)?.entry
  }

  put(entry: Entry): void {
    const bytes = entryBytes(entry)
    const before = this.#slots.get(entry.source)?.group ?? 0
    this.remove(entry.source)
    const group = this.#groupFor(bytes, before)
    this.#place(entry, group, bytes)
    this.#changed.add(group)
  }

  remove(source: string): void {
    const slot = this.#slots.get(source)
    if (!slot) return
    this.#slots.delete(source)
    this.#used[slot.group]! -= slot.bytes
    this.#changed.add(slot.group)
  }

  /** Keeps only the last retired entries, and of sources with a shared first event the highest: its number is taken. */
  retire(entry: Entry): void {
    this.put({ ...entry, retired: true })
    const retired = this.entries.filter((other) => other.retired && !this.#isHighestOfShared(other.source))
    const dropped = retired.slice(0, Math.max(0, retired.length - this.retiredMax))
    if (dropped.length > 0) this.forgottenMs = Date.now()
    for (const { source } of dropped) this.remove(source)
  }

  #isHighestOfShared(source: string): boolean {
    const { base, number } = splitId(source)
    if (number <= 1) return false
    return !this.entries
      .map((entry) => splitId(entry.source))
      .some((other) => other.base === base && other.number > number)
  }

  /** The groups whose commit must be written, with its metadata; asking again gives only what changed since. */
  takeChanged(): { group: number; metadata: string }[] {
    const changed = [...this.#changed]
    this.#changed.clear()
    return changed.map((group) => {
      const slots = [...this.#slots.values()].filter((slot) => slot.group === group)
      const entries = slots.map(({ entry }) => entry)
      return { group, metadata: encodeEntries({ groups: this.groups, forgottenMs: this.forgottenMs, entries }) }
    })
  }

  /** Has every commit written anew, so that Kafka does not forget it. */
  renew(): void {
    for (let group = 0; group < this.groups; group++) this.#changed.add(group)
  }

  #place(entry: Entry, group: number, bytes: number): void {
    this.#slots.set(entry.source, { entry, group, bytes })
    this.#used[group]! += bytes
  }

  /** The group where it was before, or the first one with room. */
  #groupFor(bytes: number, before: number): number {
    const hasRoom = (used: number) => used + bytes <= ENTRIES_BYTES_MAX
    const group = hasRoom(this.#used[before]!) ? before : this.#used.findIndex(hasRoom)
    if (group >= 0) return group
    this.#changed.add(0) // it says how many there are
    return this.#used.push(0) - 1
  }
}
