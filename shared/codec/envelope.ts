import type { RecordType } from '../schema/index.ts'
import { ENVELOPE, OTHER_MESSAGE, TRUNCATED } from './reasons.ts'
import { readVarint, wire } from './wire.ts'

/** A zero byte, with which neither JSON nor a message begins, and the id of a schema. */
const HEAD_BYTES = 5

/** What Confluent's serializers put around an event whose first byte is zero. */
export class Envelope {
  private readonly allowed: boolean
  /** Where the message is in its `.proto` file: Confluent's list of indexes follows the id. Undefined: no message. */
  private readonly indexes: readonly number[] | undefined

  constructor(allowed: boolean, format: string, { indexes }: RecordType) {
    this.allowed = allowed
    this.indexes = format === 'protobuf' ? indexes : undefined
  }

  /** Where the event begins that is in bytes[start, end), of which the first is zero; or a reason. */
  open(bytes: Buffer, start: number, end: number): number {
    if (!this.allowed) return ENVELOPE
    const p = start + HEAD_BYTES
    if (p > end) return TRUNCATED
    return this.indexes ? skipIndexes(this.indexes, bytes, p, end) : p
  }
}

/** A count and as many indexes, all zigzag; a single zero byte stands for the list [0]. */
function skipIndexes(own: readonly number[], bytes: Buffer, start: number, end: number): number {
  let p = readVarint(bytes, start, end)
  if (p < 0) return p
  const count = wire.low >>> 1
  if (count === 0) return own.length === 1 && own[0] === 0 ? p : OTHER_MESSAGE
  if (wire.high !== 0 || count !== own.length) return OTHER_MESSAGE
  for (const index of own) {
    p = readVarint(bytes, p, end)
    if (p < 0) return p
    if (wire.high !== 0 || wire.low !== index * 2) return OTHER_MESSAGE
  }
  return p
}
