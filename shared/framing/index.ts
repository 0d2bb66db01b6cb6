import { type Cutter, type FramingOptions } from './cutter.ts'
import { DelimitedCutter } from './delimited.ts'
import { LineCutter } from './lines.ts'

export { type Cutter, type FramingOptions, OVERHEAD_BYTES } from './cutter.ts'
export { type Encoding, encodingOf, isDamage, MAGIC_BYTES, openDecompressed, plainBytes } from './decompressed.ts'
export { cutEvents, type EventBatch } from './cut-events.ts'
export { DEAD_REASONS, type DeadReason, Events } from './events.ts'

/** A cutter for a source, or for the rest of one from `position` on, which must be the start of an extent. */
export function createCutter(framing: FramingOptions, position: number): Cutter {
  return framing.kind === 'lines' ? new LineCutter(framing, position) : new DelimitedCutter(framing, position)
}
