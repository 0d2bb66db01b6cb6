import { compileRoute } from '../codec/index.ts'
import { UserError } from '../errors.ts'
import { METADATA, proposeTable, type TableProposal } from './propose-schema.ts'
import { countRows, type LogKind, readJson, readLogfmt } from './read-values.ts'
import { Shape } from './shape.ts'

/** A log is of a kind when at least this share of its lines is. */
const SHARE_MIN = 0.5
/** Lines that are enough to tell the kind. */
const LINES_MAX = 1000

/** What a log looks like, and the route it could have; without fields where a preset brings its schema. */
export interface Recognised extends TableProposal {
  readonly kind: LogKind
}

const KINDS: Readonly<Record<LogKind, (lines: readonly Buffer[]) => number>> = {
  json: (lines) => lines.filter((line) => readJson(line) !== undefined).length,
  combined: (lines) => countRows(lines, compileRoute(presetRoute('combined'))),
  common: (lines) => countRows(lines, compileRoute(presetRoute('common'))),
  logfmt: (lines) => lines.filter((line) => readLogfmt(line) !== undefined).length,
}

/**
 * Recognises a log by its lines and proposes a table for it.
 * @param where names the log in errors
 * @throws UserError when it is of no known kind
 */
export function recognise(
  lines: readonly Buffer[],
  { where, required }: { where: string; required: boolean },
): Recognised {
  const kind = kindOf(lines, where)
  if (kind === 'combined' || kind === 'common') {
    return { kind, fields: [], partition: { field: 'time', by: 'day' }, cluster: ['status'] }
  }
  const events = new Shape()
  const read = kind === 'json' ? readJson : readLogfmt
  for (const line of lines) {
    const event = read(line)
    if (event) events.add(event)
  }
  const table = proposeTable(events, { required, mixed: kind === 'json' ? 'JSON' : 'STRING' })
  if (table.fields.length > 0) return { kind, ...table }
  throw new UserError(`${where}: no key of its events can be a column`, 'write a schema, or a route of format: raw')
}

function kindOf(lines: readonly Buffer[], where: string): LogKind {
  if (lines.length === 0) throw new UserError(`${where}: has no lines`, 'give a log with some events in it')
  const head = lines.slice(0, LINES_MAX)
  const counted = (Object.keys(KINDS) as LogKind[]).map((kind) => ({ kind, count: KINDS[kind](head) }))
  const [best] = counted.sort((a, b) => b.count - a.count)
  if (best && best.count >= head.length * SHARE_MIN) return best.kind
  const isJson = /^\s*[[{]/.test(String(lines[0]))
  throw new UserError(
    `${where}: neither JSON lines nor an access log (combined, common) nor logfmt`,
    isJson
      ? 'write one JSON object a line (jq -c . FILE, or jq -c .[] FILE for a list)'
      : 'write the route yourself: format: text with a pattern, format: protobuf with a .proto, or format: raw',
  )
}

function presetRoute(preset: 'combined' | 'common') {
  return { name: preset, format: 'text', preset, unknown: 'drop', metadata: METADATA, convert: {} } as const
}
