import type * as z from 'zod'
import { distance } from '../distance.ts'
import type { Problem } from './problems.ts'

const MISSING = 'missing'
const KINDS: Readonly<Record<string, string>> = {
  array: 'a list, as in [a, b]',
  boolean: 'true or false',
  int: 'a whole number',
  number: 'a number',
  object: 'a section: keys with their values',
  record: 'a section: keys with their values',
  string: 'a text (in quotes when it looks like a number)',
}

/** What should stand there instead, as zod's message of an issue; of unknown keys the known ones. A schema's own error has precedence. */
export const wanted: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case 'unrecognized_keys':
      return Object.keys((issue.inst as z.ZodObject).shape).join(' ')
    case 'invalid_type':
      return issue.input === undefined ? MISSING : (KINDS[issue.expected] ?? issue.expected)
    case 'invalid_value':
      return issue.values.map(String).join(' or ')
    case 'too_small':
      return issue.origin === 'string' ? 'a text that is not empty' : `at least ${issue.minimum}`
    case 'too_big':
      return `at most ${issue.maximum}`
    case 'invalid_format':
      return 'a URL, as in http://127.0.0.1:9050'
    default:
      return undefined
  }
}

/** zod's issues as problems, unknown keys one by one. */
export function problemsOf(issues: readonly z.core.$ZodIssue[], at: readonly PropertyKey[] = []): Problem[] {
  return issues.flatMap((issue): Problem[] => {
    const path = [...at, ...issue.path]
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey([...path, key], issue.message))
    if (issue.code === 'invalid_key') return problemsOf(issue.issues, path)
    if (issue.code === 'invalid_union') return problemsOf(issue.errors.at(-1) ?? [], path)
    if (issue.message === MISSING) return [{ path, message: 'is missing', fix: 'add it' }]
    return [{ path, message: 'is wrong', fix: `write ${issue.message}` }]
  })
}

function unknownKey(path: PropertyKey[], known: string): Problem {
  const keys = known.split(' ')
  const near = keys.find((key) => distance(key, String(path.at(-1))) <= 2)
  const fix = near ? `did you mean ${near}?` : `remove it; known here: ${keys.join(', ')}`
  return { path, message: 'unknown key', fix, hideValue: true }
}
