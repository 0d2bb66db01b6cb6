import { invalid } from './errors.ts'

/** Alternatives may be nested in braces so deep; deeper ones are refused. */
const DEPTH_MAX = 10

/**
 * A test for whole names from a `matchGlob` pattern: `*` any text without `/`, `**` any text, `?` one character but
 * `/`, `[a-z]` and `[!a-z]` one of, or none of, a set, `{a,b}` one of several, `\` takes the next character as it is.
 * https://cloud.google.com/storage/docs/json_api/v1/objects/list#list-objects-and-prefixes-using-glob
 */
export function globToRegExp(glob: string): RegExp {
  let source = ''
  let depth = 0
  for (let i = 0; i < glob.length; i++) {
    const at = glob[i] as string
    if (at === '*' && glob[i + 1] === '*') {
      source += '.*'
      i++
    } else if (at === '*') source += '[^/]*'
    else if (at === '?') source += '[^/]'
    else if (at === '\\' && i + 1 < glob.length) source += escape(glob[++i] as string)
    else if (at === '[') {
      const end = endOfSet(glob, i)
      source += setOf(glob.slice(i + 1, end))
      i = end
    } else if (at === '{') {
      if (++depth > DEPTH_MAX) throw invalid(`Invalid matchGlob: braces deeper than ${DEPTH_MAX}`)
      source += '(?:'
    } else if (at === '}' && depth > 0) {
      depth--
      source += ')'
    } else source += at === ',' && depth > 0 ? '|' : escape(at)
  }
  if (depth > 0) throw invalid('Invalid matchGlob: a brace is not closed')
  return compile(source)
}

function compile(source: string): RegExp {
  try {
    return new RegExp(`^(?:${source})$`, 's')
  } catch {
    throw invalid('Invalid matchGlob: a set is not valid')
  }
}

const escape = (character: string) => character.replace(/[\\^$.|?*+()[\]{}/-]/, '\\$&')

/** Index of the bracket that closes the set opened at `start`; the first character may be a bracket itself. */
function endOfSet(glob: string, start: number): number {
  const first = glob[start + 1] === '!' || glob[start + 1] === '^' ? start + 3 : start + 2
  const end = glob.indexOf(']', first)
  if (end < 0) throw invalid('Invalid matchGlob: a bracket is not closed')
  return end
}

function setOf(text: string): string {
  const negated = text.startsWith('!') || text.startsWith('^')
  const members = (negated ? text.slice(1) : text).replace(/[\\\]^[]/g, '\\$&')
  return negated ? `[^/${members}]` : `[${members}]`
}
