/** One folder level of a pattern: a name, or an expression for names; `**` stands for any number of folders. */
export type Segment = { readonly name: string } | { readonly matches: RegExp } | { readonly anyDepth: true }

const SPECIAL = /[*?[{]/

/** Splits an absolute pattern with `*`, `?`, `[...]`, `{a,b}` and `**` into its folder levels. */
export function parseGlob(pattern: string): Segment[] {
  return pattern
    .split('/')
    .filter((part) => part !== '')
    .map((part) => {
      if (part === '**') return { anyDepth: true }
      return SPECIAL.test(part) ? { matches: new RegExp(`^${expressionOf(part)}$`, 's') } : { name: part }
    })
}

/** Names that begin with a dot are matched only by a pattern that begins with one. */
function expressionOf(part: string): string {
  let expression = part.startsWith('.') ? '' : '(?!\\.)'
  let depth = 0
  for (let i = 0; i < part.length; i++) {
    const character = part[i]!
    const classEnd = character === '[' ? part.indexOf(']', i + 2) : -1
    if (character === '*') expression += '[^/]*'
    else if (character === '?') expression += '[^/]'
    else if (classEnd > 0) {
      const inside = part.slice(i + 1, classEnd).replaceAll('\\', '\\\\')
      expression += `[${inside.startsWith('!') ? `^${inside.slice(1)}` : inside}]`
      i = classEnd
    } else if (character === '{') {
      expression += '(?:'
      depth++
    } else if (character === '}' && depth > 0) {
      expression += ')'
      depth--
    } else if (character === ',' && depth > 0) expression += '|'
    else expression += character.replace(/[\\^$.*+?()[\]{}|/]/, '\\$&')
  }
  return expression + ')'.repeat(depth)
}
