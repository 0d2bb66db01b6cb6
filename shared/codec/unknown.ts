import { EXTRA, type RecordType } from '../schema/index.ts'
import type { RowBuffer } from './row-buffer.ts'

/** What a route does with fields that its schema does not have. */
export type UnknownPolicy = 'keep' | 'drop' | 'reject'

const OPEN = 0x7b
const CLOSE = 0x7d
const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a

/** Collects the unknown fields of one event as the members of one JSON object, and writes the column `extra`. */
export class UnknownFields {
  readonly policy: UnknownPolicy
  private readonly tag: number
  private bytes = Buffer.allocUnsafeSlow(1024)
  private length = 0

  /** @param record with the column `extra` when the policy is `keep` */
  constructor(record: RecordType, policy: UnknownPolicy) {
    this.policy = policy
    this.tag = (record.fields.find((field) => field.name === EXTRA)?.number ?? 0) * 8 + 2
  }

  clear(): void {
    this.length = 0
  }

  /** Adds a member: key[start, end) as it stands in JSON, below `prefix`; value[from, to) is JSON, too. */
  add(prefix: string, key: Uint8Array, start: number, end: number, value: Uint8Array, from: number, to: number): void {
    this.reserve(prefix.length * 3 + end - start + to - from + 8)
    this.bytes[this.length] = this.length === 0 ? OPEN : COMMA
    this.bytes[this.length + 1] = QUOTE
    this.length += 2
    if (prefix !== '') this.length += this.bytes.write(`${prefix}.`, this.length)
    this.append(key, start, end)
    this.bytes[this.length] = QUOTE
    this.bytes[this.length + 1] = COLON
    this.length += 2
    this.append(value, from, to)
  }

  write(out: RowBuffer): void {
    if (this.length === 0) return
    this.bytes[this.length++] = CLOSE
    out.reserve(this.length + 16)
    out.varint(this.tag)
    out.lengthAndCopy(this.bytes, 0, this.length)
    this.length = 0
  }

  private append(source: Uint8Array, start: number, end: number): void {
    const { bytes } = this
    let at = this.length
    for (let i = start; i < end; i++) bytes[at++] = source[i] as number
    this.length = at
  }

  private reserve(count: number): void {
    if (this.length + count <= this.bytes.length) return
    const bytes = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, this.length + count))
    this.bytes.copy(bytes, 0, 0, this.length)
    this.bytes = bytes
  }
}
