/** Any number of folder levels. */
export const ANY_DEPTH = '**'

/** One folder level of a pattern: a name, an expression for names, or ANY_DEPTH. */
export type Segment = string | RegExp

const SPECIAL = /[*?[{]/
/** What has a meaning in a pattern, a set such as `[!0-9]` as a whole, or would have one in an expression. */
const TOKEN = /\[(!?)([^/][^\]]*)\]|[\\^$.*+?()[\]{}|,]/g

/** Splits an absolute pattern with `*`, `?`, `[...]`, `{a,b}` and `**` into its folder levels. */
export function parseGlob(pattern: string): Segment[] {
  const parts = pattern.split('/').filter((part) => part !== '')
  return parts.map((part) => (part !== ANY_DEPTH && SPECIAL.test(part) ? expressionOf(part) : part))
}

/** Names that begin with a dot are matched only by a pattern that begins with one. */
function expressionOf(part: string): RegExp {
  let depth = 0
  const expression = part.replace(TOKEN, (token: string, not: string, set?: string) => {
    if (set) return `[${not && '^'}${set.replaceAll('\\', '\\\\')}]`
    if (token === '*') return '[^/]*'
    if (token === '?') return '[^/]'
    if (token === '{') {
      depth++
      return '(?:'
    }
    if (token === '}' && depth > 0) {
      depth--
      return ')'
    }
    if (token === ',') return depth > 0 ? '|' : token
    return `\\${token}`
  })
  return new RegExp(`^${part.startsWith('.') ? '' : '(?!\\.)'}${expression}${')'.repeat(depth)}$`, 's')
}
