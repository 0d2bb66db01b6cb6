import type { Origin } from '../codec/index.ts'
import { DEAD_LETTERS, encodeFixedRow } from '../warehouse/fixed-tables.ts'

export { countLetters, type LetterCount } from './count-letters.ts'
export { openSink, type RouteSink } from './route-sink.ts'

/** Beyond this many bytes an event is cut: a request of AppendRows may have 20 MB at most, and its coordinates say where the rest is. */
const BYTES_MAX = 8 * 1024 * 1024
/** Beyond this many characters a name or a message is cut: both may quote the event, whose bytes are there anyway. */
const TEXT_MAX = 2000

/** A row makes up for so many dead letters: beyond that nearly everything fails, and the schema is wrong, not the data. */
const LETTERS_FOR_A_ROW = 100

/** How far a route is on the way to its `stop_after`, after so many dead letters and rows more. */
export const failingFurther = (before: number, letters: number, rows: number): number =>
  Math.max(0, before + letters - rows * LETTERS_FOR_A_ROW)

/** Why an event has no row: a code of the codec's closed list, one of the framing (DEAD_REASONS), or `refused` by BigQuery. */
export interface Reason {
  readonly reason: string
  readonly field?: string
  readonly message: string
}

/**
 * The letter of an event, as one ProtoRows entry of the table `millrace_dead_letters`: with the coordinates that its row
 * would have had; what it does not have is NULL.
 * @param object the object that carried it; null: Kafka or a request did
 */
export function letterOf(route: string, why: Reason, bytes: Uint8Array, origin: Origin, object: string | null): Buffer {
  const { source, position, size, kafkaTopic, kafkaPartition, kafkaOffset } = origin
  return encodeFixedRow(DEAD_LETTERS, {
    route,
    reason: why.reason,
    field: why.field?.slice(0, TEXT_MAX),
    message: why.message.slice(0, TEXT_MAX),
    bytes: bytes.subarray(0, BYTES_MAX),
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
