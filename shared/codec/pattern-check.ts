import { isSafePattern } from 'redos-detector'

/** In how many ways a line may be matched: each of them may cost a walk over it. */
const WAYS_MAX = 64
/** Of the search for them; a pattern that needs more is refused. About a second. */
const STEPS_MAX = 3000

/** An escape, or what makes a group another one than (...) and (?:...). */
const TOKEN = /\\(x[0-9a-fA-F]{2}|[^])|\(\?(?=[<=!a-z-])(<[A-Za-z_]\w*>)?/g
const MEANT = /^(?:[dDwWsSbBtnvfr0]|x..|[^A-Za-z0-9])$/
/** What takes all that is left, and so never makes what is before it try again. */
const REST = /(?<!\\)(?:\((?:\.|\[\^\])[*+]\)|(?:\.|\[\^\])[*+])\$?$/

/**
 * Finds regular expressions that could take for ever on a hostile line, because JavaScript's engine backtracks: those
 * that could match one text in too many ways. Stricter than it must be.
 * @param source a regular expression that compiles, for bytes as characters and whole lines
 * @returns what is wrong with it
 */
export function checkPattern(source: string): string | undefined {
  for (const [, escape, name] of source.matchAll(TOKEN)) {
    if (escape === undefined && name === undefined) return 'looking ahead or behind is not possible here'
    if (escape === undefined || MEANT.test(escape)) continue
    if (/[1-9k]/.test(escape)) return 'back references are not possible here'
    return `\\${escape} means nothing here: write the character itself, or a byte as \\xhh`
  }
  return backtracking(source.replace(TOKEN, (token, escape?: string) => (escape === undefined ? '(' : token)))
}

function backtracking(pattern: string): string | undefined {
  const head = hasChoices(pattern) ? pattern : pattern.replace(REST, '')
  const whole = head === pattern ? `^(?:${pattern})$` : `^(?:${head})`
  const { safe, trails } = isSafePattern(whole, { maxScore: WAYS_MAX, maxSteps: STEPS_MAX, dotAll: true })
  if (safe) return undefined
  const rivals = trails[0]?.trail.find(({ a, b }) => a.node.start.offset !== b.node.start.offset)
  const who = rivals ? `${rivals.a.node.source} and ${rivals.b.node.source}` : 'repetitions'
  return `${who} can match the same text in too many ways, which takes too long to try`
}

/** Whether it is a choice as a whole: what is behind the last of its forms is not behind the others. */
function hasChoices(pattern: string): boolean {
  const plain = pattern.replace(/\\.|\[(?:\\.|[^\]\\])*\]/gs, '')
  const outer = plain.replace(/\([^()]*\)/g, '')
  return outer === plain ? plain.includes('|') : hasChoices(outer)
}
