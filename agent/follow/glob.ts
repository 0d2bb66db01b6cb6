/** Any number of folder levels. */
export const ANY_DEPTH = '**'

/** One folder level of a pattern: a name, an expression for names, or ANY_DEPTH. */
export type Segment = string | RegExp

const SPECIAL = /[*?[{]/
/** What has a meaning in a pattern, a set such as `[!0-9]` as a whole, or would have one in an expression. */
const TOKEN = /\[(!?)([^/][^\]]*)\]|[\\^$.*+?()[\]{}|,]/g

/** What stands for them in an expression, outside of braces and inside; any other is taken as it is. */
const OUTSIDE: Readonly<Record<string, string>> = { '*': '[^/]*', '?': '[^/]' }
const INSIDE: Readonly<Record<string, string>> = { ...OUTSIDE, '{': '(?:', ',': '|', '}': ')' }

/** Splits an absolute pattern with `*`, `?`, `[...]`, `{a,b}` and `**` into its folder levels. @throws SyntaxError */
export function parseGlob(pattern: string): Segment[] {
  const parts = pattern.split('/').filter((part) => part !== '')
  return parts.map((part) => (part !== ANY_DEPTH && SPECIAL.test(part) ? expressionOf(part) : part))
}

/** Names that begin with a dot are matched only by a pattern that begins with one. */
function expressionOf(part: string): RegExp {
  let depth = 0
  const expression = part.replace(TOKEN, (token: string, not: string, set?: string) => {
    if (set) return `[${not && '^'}${set.replaceAll('\\', '\\\\')}]`
    if (token === '{') depth++
    const meaning = (depth > 0 ? INSIDE : OUTSIDE)[token]
    if (token === '}' && depth > 0) depth--
    return meaning ?? `\\${token}`
  })
  if (depth > 0)
    throw new SyntaxError(`${part} has a { without its }: alternatives cannot hold a /, write a path for each`)
  return new RegExp(`^${part.startsWith('.') ? '' : '(?!\\.)'}${expression}$`, 's')
}
