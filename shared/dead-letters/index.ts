import type { Origin } from '../codec/index.ts'
import { DEAD_LETTERS, encodeFixedRow } from '../warehouse/fixed-tables.ts'

export { type LetterWriter, openLetterWriter } from './letter-writer.ts'

/** An event that could not become a row. Its coordinates are those of its carrier; what it does not have is null. */
export interface DeadLetter {
  readonly route: string
  /** A code of the codec's closed list, `too-long`, or `refused` (by BigQuery). */
  readonly reason: string
  readonly field?: string | undefined
  readonly message: string
  readonly bytes: Uint8Array
  readonly source: string | null
  readonly position: number | null
  readonly size: number | null
  readonly kafka_topic: string | null
  readonly kafka_partition: number | null
  readonly kafka_offset: number | null
  readonly object: string | null
  /** Microseconds since 1970. */
  readonly failed_at: number
}

/** Beyond this many bytes an event is cut: a request of AppendRows may have 20 MB at most, and its coordinates say where the rest is. */
const BYTES_MAX = 8 * 1024 * 1024

/** The letter as one ProtoRows entry of the table `millrace_dead_letters`. */
export function encodeDeadLetter(letter: DeadLetter): Buffer {
  return encodeFixedRow(DEAD_LETTERS, { ...letter, bytes: letter.bytes.subarray(0, BYTES_MAX) })
}

/** Why an event has no row: the codec's word, the framing's, or BigQuery's (`refused`). */
export interface Reason {
  readonly reason: string
  readonly field?: string
  readonly message: string
}

/** The letter of an event with the origin that its row would have had. */
export function letterOf(route: string, why: Reason, bytes: Uint8Array, origin: Origin, object: string | null): Buffer {
  const { source, position, size, kafkaTopic, kafkaPartition, kafkaOffset } = origin
  return encodeDeadLetter({
    route,
    ...why,
    bytes,
    source,
    position: source === null ? null : position,
    size: source === null ? null : size,
    kafka_topic: kafkaTopic,
    kafka_partition: kafkaTopic === null ? null : kafkaPartition,
    kafka_offset: kafkaTopic === null ? null : kafkaOffset,
    object,
    failed_at: origin.ingestedAtMicros,
  })
}
