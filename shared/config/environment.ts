import { parse } from 'yaml'
import { distance } from '../distance.ts'
import { type Form, shapeOf } from './json-schema.ts'

const PREFIX = 'MILLRACE_'

/** A value of the file that an environment variable replaces. */
export interface Override {
  readonly variable: string
  readonly path: readonly string[]
  readonly value: unknown
}

/**
 * `overrides` that the environment holds: `MILLRACE_` and the path in upper snake case, for scalars and for lists of
 * scalars (comma separated). Routes and logs have names of the user's own and are not among them. A variable that begins like
 * a section (`MILLRACE_KAFKA_`), or is almost an override, is a typing error, told in `strange`, unless the file names it (as that of a secret).
 */
export function readEnvironment(form: Form, environment: NodeJS.ProcessEnv, file: string) {
  const known = new Map(leavesOf(form, []).map((leaf) => [variableOf(leaf.path), leaf]))
  const sections = Object.keys(shapeOf(form)).map((key) => `${variableOf([key])}_`)
  const given = Object.entries(environment).filter(([variable, text]) => variable.startsWith(PREFIX) && text)
  const overrides = given.flatMap(([variable, text = '']): Override[] => {
    const leaf = known.get(variable)
    return leaf ? [{ variable, path: leaf.path, value: valueOf(leaf.form, text) }] : []
  })
  const others = given.flatMap(([variable]) => (known.has(variable) || file.includes(variable) ? [] : [variable]))
  return { overrides, strange: others.flatMap((variable) => problemOf(variable, [...known.keys()], sections)) }
}

function problemOf(variable: string, known: readonly string[], sections: readonly string[]): string[] {
  const section = sections.find((start) => variable.startsWith(start))
  const near = known.find((candidate) => distance(candidate, variable) <= (section ? 2 : 1))
  if (!near && !section) return []
  const there = known.filter((candidate) => section && candidate.startsWith(section)).join(', ')
  const fix = near
    ? `did you mean ${near}?`
    : `unset it, or ${there ? `use one of ${there}` : 'write it into the file'}`
  return [`environment variable ${variable}: names no key of the configuration; fix: ${fix}`]
}

function variableOf(path: readonly string[]): string {
  return PREFIX + path.join('_').toUpperCase()
}

interface Leaf {
  readonly path: readonly string[]
  readonly form: Form
}

function leavesOf(form: Form, path: readonly string[]): Leaf[] {
  const below = Object.entries(shapeOf(form)).flatMap(([key, child]) => leavesOf(child, [...path, key]))
  const scalar = form.anyOf?.find(({ type }) => type !== 'object') // kafka.tls: true or false, or a section
  if (scalar) return [{ path, form: scalar }, ...below]
  if (below.length > 0) return below
  return form.type === 'object' || form.items?.type === 'object' ? [] : [{ path, form }]
}

function valueOf({ type = '' }: Form, text: string): unknown {
  if (type === 'array') return text.split(',').map((part) => part.trim())
  return ['integer', 'number', 'boolean'].includes(type) ? (parse(text) as unknown) : text
}
