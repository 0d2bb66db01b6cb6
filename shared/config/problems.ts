import { isMap, isNode, type LineCounter, type Document } from 'yaml'
import { UserError } from '../errors.ts'
import type { Override } from './environment.ts'

/** One thing that is wrong with a configuration. */
export interface Problem {
  /** Where it stands, as in `routes.visits.table`. */
  readonly path: readonly PropertyKey[]
  readonly message: string
  readonly fix: string
  /** What stands there may be a secret. */
  readonly hideValue?: boolean
}

/** The text a configuration came from, to say on which line a key stands. */
export interface Origin {
  readonly file: string
  readonly document: Document
  readonly lines: LineCounter
  readonly overrides: readonly Override[]
}

const SECRETS: readonly PropertyKey[] = ['password', 'secret']

/** One error that lists every problem with file, line, key, value and fix, in the order of the file. */
export function configError(problems: readonly Problem[], origin: Origin, further: readonly string[] = []): UserError {
  const placed = problems.map((problem) => ({ problem, line: lineOf(problem.path, origin) }))
  const texts = placed.toSorted((a, b) => a.line - b.line).map(({ problem, line }) => describe(problem, line, origin))
  return new UserError([...texts, ...further].join('\n'))
}

function describe({ path, message, fix, hideValue }: Problem, line: number, origin: Origin): string {
  const override = origin.overrides.find((one) => one.path.every((key, index) => key === path[index]))
  const place = override ? `environment variable ${override.variable}` : `${origin.file}:${line}`
  const value = override ? override.value : origin.document.getIn(path)
  const isShown =
    !hideValue && value !== undefined && value !== null && !isNode(value) && !SECRETS.includes(path.at(-1) ?? '')
  const shown = isShown ? ` (${JSON.stringify(value)})` : ''
  return `${place}: ${path.map(String).join('.') || 'the file'}${shown}: ${message}; fix: ${fix}`
}

/** The line of the deepest part of the path that is in the file. */
function lineOf(path: readonly PropertyKey[], { document, lines }: Origin): number {
  for (let depth = path.length; depth > 0; depth--) {
    const offset = offsetOf(document, path.slice(0, depth))
    if (offset !== undefined) return lines.linePos(offset).line
  }
  return 1
}

function offsetOf(document: Document, path: readonly PropertyKey[]): number | undefined {
  const parent = document.getIn(path.slice(0, -1), true)
  const pair = isMap(parent) ? parent.items.find(({ key }) => String(key) === String(path.at(-1))) : undefined
  const node = pair?.key ?? document.getIn(path, true)
  return isNode(node) ? node.range?.[0] : undefined
}
