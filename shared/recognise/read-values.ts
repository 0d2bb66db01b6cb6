import { originOutsideKafka, RowBuffer, type RowCodec } from '../codec/index.ts'

/** The kinds of log that are recognised. */
export type LogKind = 'json' | 'combined' | 'common' | 'logfmt'

/** A number as it is written: what JSON.parse makes of it may be another one. */
export class NumberText {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

const PAIR = /([^\s="]+)(?:=("(?:\\.|[^"\\])*"|[^\s"]*))?(?:\s+|$)/gy
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/

/** The members of a JSON object, numbers as NumberText; undefined: the line is none. */
export function readJson(line: Buffer): object | undefined {
  try {
    const value: unknown = JSON.parse(line.toString(), exactNumber)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** A reviver: TypeScript's own type of JSON.parse does not know its third argument yet. */
function exactNumber(_key: string, value: unknown, context?: { source?: string }): unknown {
  return typeof value === 'number' ? new NumberText(context?.source ?? String(value)) : value
}

/** The pairs of a logfmt line by what they look like; undefined: the line is none, or has fewer pairs than lone words. */
export function readLogfmt(line: Buffer): object | undefined {
  const text = line.toString().trim()
  const pairs = [...text.matchAll(PAIR)]
  const length = pairs.reduce((sum, [pair]) => sum + pair.length, 0)
  const words = pairs.filter(([, , value]) => value === undefined).length
  if (length !== text.length || words * 2 >= pairs.length) return undefined
  return Object.fromEntries(pairs.map(([, key = '', value]) => [key, logfmtValue(value)]))
}

function logfmtValue(text: string | undefined): unknown {
  if (text === undefined || text === 'true' || text === 'false') return text !== 'false'
  if (text.startsWith('"')) return text.slice(1, -1)
  return NUMBER.test(text) ? new NumberText(text) : text === '' ? null : text
}

/** How many of the lines become rows. */
export function countRows(lines: readonly Buffer[], codec: RowCodec): number {
  const out = new RowBuffer(64 * 1024)
  const origin = originOutsideKafka(null)
  return lines.filter((line) => {
    out.clear()
    return codec.encode(line, 0, line.length, origin, out) === undefined
  }).length
}
