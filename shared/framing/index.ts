import { type Cutter, type FramingOptions } from './cutter.ts'
import { DelimitedCutter } from './delimited.ts'
import { LineCutter } from './lines.ts'
import { MultilineCutter } from './multiline.ts'

export { type Cutter, type FramingOptions, OVERHEAD_BYTES } from './cutter.ts'
export { type Encoding, encodingOf, isDamage, MAGIC_BYTES, openDecompressed, plainBytes } from './decompressed.ts'
export { cutEvents, cutPieces, type EventBatch } from './cut-events.ts'
export { MULTILINE_PRESETS } from './multiline-presets.ts'
export { framingName, framingNamed, framingOf } from './options.ts'
export { DEAD_REASONS, Events, uncutReason } from './events.ts'

/** A cutter for a source, or for the rest of one from `position` on, which must be the start of an extent. */
export function createCutter(framing: FramingOptions, position: number): Cutter {
  if (framing.kind === 'delimited') return new DelimitedCutter(framing, position)
  return framing.start === undefined ? new LineCutter(framing, position) : new MultilineCutter(framing, position)
}
