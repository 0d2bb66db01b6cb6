import type { RecordType } from '../schema/index.ts'
import { ENVELOPE, OTHER_MESSAGE, TRUNCATED } from './reasons.ts'
import type { CodecRoute } from './route.ts'
import { readVarint, wire } from './wire.ts'

/** A zero byte, with which neither JSON nor a message begins, and the id of a schema. */
const HEAD_BYTES = 5

/** Where the event begins that is in bytes[start, end), of which the first is zero; or a reason. */
export type OpenEnvelope = (bytes: Buffer, start: number, end: number) => number

/** Opens what Confluent's serializers put around an event whose first byte is zero; undefined: the format has no such. */
export function envelopeOf({ format, envelope }: CodecRoute, record: RecordType): OpenEnvelope | undefined {
  if (format !== 'json' && format !== 'protobuf') return undefined
  if (envelope !== 'confluent') return () => ENVELOPE
  // Where the message is in its `.proto` file: Confluent's list of indexes follows the id.
  const indexes = format === 'protobuf' ? record.indexes : undefined
  return (bytes, start, end) => {
    const p = start + HEAD_BYTES
    if (p > end) return TRUNCATED
    return indexes ? skipIndexes(indexes, bytes, p, end) : p
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
