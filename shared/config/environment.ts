import { parse } from 'yaml'
import { UserError } from '../errors.ts'
import type { Form } from './json-schema.ts'
import { shapeOf } from './problems.ts'

const PREFIX = 'MILLRACE_'

/** A value of the file that an environment variable replaces. */
export interface Override {
  readonly variable: string
  readonly path: readonly string[]
  readonly value: unknown
}

/**
 * The overrides that the environment holds: `MILLRACE_` and the path in upper snake case, for scalars and for lists of
 * scalars (comma separated). Routes and logs have names of the user's own and are not among them. A variable that
 * begins like a section (`MILLRACE_KAFKA_`) but names nothing in it is a typing error.
 */
export function overridesOf(form: Form, environment: NodeJS.ProcessEnv): Override[] {
  const known = new Map(leavesOf(form, []).map((leaf) => [variableOf(leaf.path), leaf]))
  const sections = Object.keys(shapeOf(form)).map((key) => `${variableOf([key])}_`)
  return Object.entries(environment).flatMap(([variable, text]) => {
    if (!variable.startsWith(PREFIX) || text === undefined || text === '') return []
    const leaf = known.get(variable)
    if (leaf) return [{ variable, path: leaf.path, value: valueOf(leaf.form, text) }]
    if (sections.some((section) => variable.startsWith(section))) throw unknownVariable(variable, [...known.keys()])
    return []
  })
}

function variableOf(path: readonly string[]): string {
  return PREFIX + path.join('_').toUpperCase()
}

interface Leaf {
  readonly path: readonly string[]
  readonly form: Form
}

function leavesOf(form: Form, path: readonly string[]): Leaf[] {
  const shape = Object.entries(shapeOf(form))
  if (shape.length > 0) return shape.flatMap(([key, child]) => leavesOf(child, [...path, key]))
  return form.type === 'object' || form.items?.type === 'object' ? [] : [{ path, form }]
}

function valueOf({ type = '' }: Form, text: string): unknown {
  if (type === 'array') return text.split(',').map((part) => part.trim())
  return ['integer', 'number', 'boolean'].includes(type) ? (parse(text) as unknown) : text
}

function unknownVariable(variable: string, known: readonly string[]): UserError {
  const section = variable.split('_').slice(0, 2).join('_')
  const near = known.filter((candidate) => candidate.startsWith(section))
  return new UserError(
    `environment variable ${variable}: names no key of the configuration`,
    `unset it, or use one of ${near.join(', ')}`,
  )
}
