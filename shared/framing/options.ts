import type { Route } from '../config/index.ts'
import type { FramingOptions } from './cutter.ts'
import { MULTILINE_PRESETS } from './multiline-presets.ts'

/** How a route's bytes are cut. */
export function framingOf({ framing, multiline }: Route, maxEventBytes: number): FramingOptions {
  if (!multiline) return { kind: framing, maxEventBytes }
  const start = multiline.preset ? MULTILINE_PRESETS[multiline.preset] : (multiline.start ?? '')
  return { kind: framing, start, pauseMs: multiline.timeout, maxEventBytes }
}

const MULTILINE = 'multiline '

/** What a chunk's metadata say of its framing: with it, a chunk is cut as the agent did, whatever the route says by now. */
export function framingName({ kind, start }: FramingOptions): string {
  return start === undefined ? kind : MULTILINE + start
}

/** Undefined: it is none that this release knows. */
export function framingNamed(name: string, maxEventBytes: number): FramingOptions | undefined {
  if (name === 'lines' || name === 'delimited') return { kind: name, maxEventBytes }
  if (!name.startsWith(MULTILINE)) return undefined
  return { kind: 'lines', start: name.slice(MULTILINE.length), maxEventBytes }
}
