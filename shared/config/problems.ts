import { isMap, isNode, type LineCounter, type Document } from 'yaml'
import type * as z from 'zod'
import { distance } from '../distance.ts'
import { UserError } from '../errors.ts'
import type { Form } from './json-schema.ts'

/** One thing that is wrong with a configuration. */
export interface Problem {
  /** Where it stands, as in `routes.visits.table`. */
  readonly path: readonly PropertyKey[]
  readonly message: string
  readonly fix: string
}

/** The text a configuration came from, to say on which line a key stands. */
export interface Origin {
  readonly file: string
  readonly document: Document
  readonly lines: LineCounter
  /** Environment variables that replaced a value, by path. */
  readonly overridden: ReadonlyMap<string, string>
}

/** zod's issues as problems, unknown keys one by one. */
export function problemsOf(error: z.ZodError, form: Form): Problem[] {
  return error.issues.flatMap((issue): Problem[] => {
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey([...issue.path, key], form))
    if (issue.message.endsWith('received undefined'))
      return [{ path: issue.path, message: 'is missing', fix: 'add it' }]
    const fix = issue.message.startsWith('expected')
      ? `write ${issue.message.slice('expected '.length)}`
      : 'correct the value'
    return [{ path: issue.path, message: issue.message, fix }]
  })
}

function unknownKey(path: PropertyKey[], form: Form): Problem {
  const known = keysAt(form, path.slice(0, -1))
  const near = known.find((key) => distance(key, String(path.at(-1))) <= 2)
  return {
    path,
    message: 'unknown key',
    fix: near ? `did you mean ${near}?` : known.length > 0 ? `remove it; known here: ${known.join(', ')}` : 'remove it',
  }
}

/** One error that lists every problem with file, line, key, value and fix. */
export function configError(problems: readonly Problem[], origin: Origin): UserError {
  return new UserError(problems.map((problem) => describe(problem, origin)).join('\n'))
}

function describe({ path, message, fix }: Problem, origin: Origin): string {
  const key = path.map(String).join('.')
  const variable = origin.overridden.get(key)
  const place = variable ? `environment variable ${variable}` : `${origin.file}:${lineOf(path, origin)}`
  const value = origin.document.getIn(path)
  const shown = variable || value === undefined || isNode(value) ? '' : ` (${JSON.stringify(value)})`
  return `${place}: ${key || 'the file'}${shown}: ${message}; fix: ${fix}`
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

/** The keys that an object at this place of the form may have. */
function keysAt(form: Form, path: readonly PropertyKey[]): string[] {
  const place = path.reduce<Form | undefined>((at, key) => at && childOf(at, String(key)), form)
  return place ? Object.keys(shapeOf(place)) : []
}

function childOf(form: Form, key: string): Form | undefined {
  return shapeOf(form)[key] ?? form.items ?? (form.additionalProperties || undefined)
}

/** The named keys of an object, or of every object that may stand here. */
export function shapeOf({ properties, anyOf = [] }: Form): Readonly<Record<string, Form>> {
  return properties ?? (Object.assign({}, ...anyOf.map(shapeOf)) as Record<string, Form>)
}
