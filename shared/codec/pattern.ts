import { orUserError, UserError } from '../errors.ts'
import type { CodecRoute } from './route.ts'
import { checkPattern } from './pattern-check.ts'
import type { Plan } from './plan.ts'
import { NO_MATCH } from './reasons.ts'
import { strptime } from './strptime.ts'
import { TextColumns } from './text-columns.ts'
import type { UnknownFields } from './unknown.ts'

type Piece = ReturnType<typeof pieceOf>

const COLUMN_TYPES = {
  string: undefined,
  int: 'INT64',
  float: 'FLOAT64',
  bool: 'BOOL',
  timestamp: 'TIMESTAMP',
} as const

/** Lines by a regular expression of the user's own. It sees bytes, one character each, and has to match the whole line. */
export class PatternWalker extends TextColumns {
  private readonly regex: RegExp
  private readonly pieces: readonly Piece[]

  /** @throws UserError when the pattern is none, could take for ever, or names a column that is not there */
  constructor(plan: Plan, unknown: UnknownFields, route: CodecRoute) {
    super(plan, unknown)
    const source = Buffer.from(route.pattern ?? '').toString('latin1')
    const where = `route ${route.name}`
    this.regex = compile(source, `${where}: pattern`)
    const groups = [...source.matchAll(/\(\?<([A-Za-z_][A-Za-z0-9_]*)>/g)].map((match) => match[1] ?? '')
    const none = `${where}: the pattern has no named group`
    if (groups.length === 0) throw new UserError(none, 'write (?<column>...) around what becomes a column')
    this.pieces = groups.map((group) => pieceOf(group, plan, route))
    const loose = Object.keys(route.convert).find((name) => !groups.includes(name))
    const fix = `use one of: ${groups.join(', ')}`
    if (loose) throw new UserError(`${where}: convert.${loose} names no group of the pattern`, fix)
  }

  protected line(start: number, end: number): number {
    const { bytes } = this
    const ranges = this.regex.exec(bytes.toString('latin1', start, end))?.indices?.groups
    if (!ranges) return NO_MATCH
    for (const { group, slot, write, nothing } of this.pieces) {
      const range = ranges[group]
      if (range === undefined) continue
      const from = start + range[0]
      const to = start + range[1]
      if (nothing?.length === to - from && bytes.toString('latin1', from, to) === nothing) continue
      const failed = this.column(slot, bytes, from, to, write)
      if (failed < 0) return failed
    }
    return 0
  }
}

function compile(source: string, where: string): RegExp {
  const make = () => new RegExp(`^(?:${source})$`, 'ds')
  const regex = orUserError(make, where, 'write it as JavaScript regular expressions are')
  const problem = checkPattern(source)
  const fix = 'make each repetition end at something that it cannot match itself, such as [^"]* before "'
  if (problem) throw new UserError(`${where}: ${problem}`, fix)
  return regex
}

/** A named group: its column, how it is written, and the text that means NULL. */
function pieceOf(group: string, plan: Plan, route: CodecRoute) {
  const slot = plan.find(Buffer.from(group), 0, group.length)
  const unknown = `route ${route.name}: the schema has no column for the group ${group}`
  if (!slot) throw new UserError(unknown, 'add it, or leave the group unnamed with (?:...)')
  const { type, format, zone, null_marker: marker } = route.convert[group] ?? {}
  const where = `route ${route.name}: convert.${group}`
  const fix = 'change one of the two'
  const column = slot.field.type
  const wanted = COLUMN_TYPES[type ?? 'string']
  if (wanted !== undefined && wanted !== column)
    throw new UserError(`${where}: type ${type} gives ${wanted}, but the column is ${column}`, fix)
  if (format !== undefined && column !== 'TIMESTAMP')
    throw new UserError(`${where}: a format makes a TIMESTAMP, but the column is ${column}`, fix)
  if (zone !== undefined && format === undefined)
    throw new UserError(`${where}: a zone needs a format`, 'add one, such as format: "%Y-%m-%d %H:%M:%S"')
  const write = format === undefined ? slot.text : strptime(format, zone ?? 'Z', where)
  const nothing = marker === undefined ? undefined : Buffer.from(marker).toString('latin1')
  return { group, slot, write, nothing }
}
