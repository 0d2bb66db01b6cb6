import { splitId } from '../follow/identity.ts'
import { decodeEntries, ENTRIES_BYTES_MAX, encodeEntries, type Entry, entryBytes } from './positions.ts'

/** Retired entries that are kept, for a file that comes back or another one with the same first event. */
const RETIRED_MAX = 16

interface Slot {
  entry: Entry
  group: number
  bytes: number
}

/**
 * All entries of one partition, as they stand after the last transaction and what is being added to the next. Each lives
 * in one of several groups, because a commit's metadata is bounded; it stays there while it fits. After a failed
 * transaction a ledger is thrown away and read again.
 */
export class PartitionLedger {
  readonly #slots = new Map<string, Slot>()
  readonly #used: number[] = [0]
  readonly #changed = new Set<number>()
  #forgottenMs = 0
  /** Retired entries that are kept besides those of shared first events. */
  retiredMax = RETIRED_MAX
  #isBlank = true
  #isTorn = false

  /**
   * `metadata`: the commits of group 0, 1, ...; an empty one stands for none. `wasWritten`: there were some once.
   * Throws when they are not to be read.
   */
  static read(metadata: readonly string[], wasWritten = false): PartitionLedger {
    const ledger = new PartitionLedger()
    ledger.#isBlank = !metadata[0]
    ledger.#isTorn = (wasWritten || !ledger.#isBlank) && metadata.some((text) => !text)
    metadata.forEach((text, group) => {
      ledger.#used[group] = 0
      if (!text) return
      const { entries, forgottenMs } = decodeEntries(text)
      ledger.#forgottenMs = Math.max(ledger.#forgottenMs, forgottenMs)
      for (const entry of entries) ledger.#place(entry, group, entryBytes(entry))
    })
    return ledger
  }

  /** Kafka knows nothing of this partition: no position was ever written, or all are forgotten. */
  get isBlank(): boolean {
    return this.#isBlank
  }

  /** Kafka has forgotten entries of this partition: each commit lives as long as nobody renews it, all for themselves. */
  get isTorn(): boolean {
    return this.#isTorn
  }

  get entries(): Entry[] {
    return Array.from(this.#slots.values(), ({ entry }) => entry)
  }

  /** When entries were last dropped to make room; 0: never. */
  get forgottenMs(): number {
    return this.#forgottenMs
  }

  /** Whatever was known is known no more. */
  forget(): void {
    this.#forgottenMs = Date.now()
  }

  get groups(): number {
    return this.#used.length
  }

  get(source: string): Entry | undefined {
    return this.#slots.get(source)?.entry
  }

  put(entry: Entry): void {
    const bytes = entryBytes(entry)
    const slot = this.#slots.get(entry.source)
    if (slot) this.remove(entry.source)
    const before = slot?.group ?? 0
    const group = this.#hasRoom(before, bytes) ? before : this.#groupWithRoom(bytes)
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
    if (dropped.length > 0) this.#forgottenMs = Date.now()
    for (const { source } of dropped) this.remove(source)
  }

  #isHighestOfShared(source: string): boolean {
    const { base, number } = splitId(source)
    return number > 1 && !this.entries.some((other) => isHigher(other.source, base, number))
  }

  /** The groups whose commit must be written, with its metadata; asking again gives only what changed since. */
  takeChanged(): { group: number; metadata: string }[] {
    const changed = [...this.#changed]
    this.#changed.clear()
    return changed.map((group) => ({ group, metadata: this.#encode(group) }))
  }

  /** Has every commit written anew, so that Kafka does not forget it. */
  renew(): void {
    for (let group = 0; group < this.groups; group++) this.#changed.add(group)
  }

  #place(entry: Entry, group: number, bytes: number): void {
    this.#slots.set(entry.source, { entry, group, bytes })
    this.#used[group]! += bytes
  }

  #hasRoom(group: number, bytes: number): boolean {
    return this.#used[group]! + bytes <= ENTRIES_BYTES_MAX
  }

  #groupWithRoom(bytes: number): number {
    const group = this.#used.findIndex((used) => used + bytes <= ENTRIES_BYTES_MAX)
    if (group >= 0) return group
    this.#changed.add(0) // it says how many there are
    return this.#used.push(0) - 1
  }

  #encode(group: number): string {
    const entries = Array.from(this.#slots.values())
    return encodeEntries({
      groups: this.groups,
      forgottenMs: this.#forgottenMs,
      entries: entries.filter((slot) => slot.group === group).map(({ entry }) => entry),
    })
  }
}

function isHigher(source: string, base: string, number: number): boolean {
  const other = splitId(source)
  return other.base === base && other.number > number
}
