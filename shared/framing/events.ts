/** Why an extent holds no usable event; 0 means that it does. The names travel in the record header `millrace-dead`. */
export const DEAD_REASONS = ['', 'too_long', 'bad_length', 'truncated'] as const
const DEAD_MESSAGES = [
  '',
  'longer than an event may be (agent.max_event_bytes; kafka-push: 9 MiB)',
  'no length of a message stands here',
  'the source ends amid a message',
] as const

/** Why no event could be cut, as its dead letter says it; undefined: one was. */
export function uncutReason(dead = 0) {
  const reason = DEAD_REASONS[dead]
  return reason ? { reason, message: DEAD_MESSAGES[dead]! } : undefined
}

/** Indexes of DEAD_REASONS. */
export const TOO_LONG = 1
export const BAD_LENGTH = 2
export const TRUNCATED = 3

/**
 * What a cutter found, in reused columns, so that a million events cost no object. Event i's value is
 * `buffer[valueStart[i], valueEnd[i])` of the buffer given to `cut`; its extent is `[position[i], position[i] + size[i])`
 * of the source. A dead event (`dead[i] > 0`, an index of DEAD_REASONS) has an empty value.
 */
export class Events {
  readonly capacity: number
  count = 0
  readonly valueStart: Int32Array
  readonly valueEnd: Int32Array
  readonly position: Float64Array
  readonly size: Float64Array
  readonly dead: Uint8Array

  constructor(capacity = 8192) {
    this.capacity = capacity
    this.valueStart = new Int32Array(capacity)
    this.valueEnd = new Int32Array(capacity)
    this.position = new Float64Array(capacity)
    this.size = new Float64Array(capacity)
    this.dead = new Uint8Array(capacity)
  }

  clear(): void {
    this.count = 0
  }

  add(valueStart: number, valueEnd: number, position: number, size: number, dead: number): void {
    const i = this.count++
    this.valueStart[i] = dead ? 0 : valueStart
    this.valueEnd[i] = dead ? 0 : valueEnd
    this.position[i] = position
    this.size[i] = size
    this.dead[i] = dead
  }
}
