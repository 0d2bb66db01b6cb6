import { type Likeness, sourceId, splitId } from './identity.ts'
import type { LogFile } from './log-file.ts'

/** A file whose first event is known, which belongs to no source yet and is no copy of another file that is there. */
type Unclaimed = Pick<LogFile, 'key' | 'base' | 'hint'>

/** A source that is known, by its entry or because this life follows it. */
export interface Known {
  readonly source: string
  readonly hint: number
  readonly position: number
  /** The file that it is read from is there. */
  readonly held: boolean
}

export interface Claim {
  /** `copy`: an old one, with nothing new in it. */
  readonly kind: 'continues' | 'copy' | 'new'
  readonly source: string
}

/** What goes on with a source. */
export const HEIRS: ReadonlySet<Likeness> = new Set(['continues', 'ends'])

/**
 * Says which source each file is (docs/protocols/agent-positions.md, "Which file is which source"). `files` are in the
 * order of their age, oldest first. `like` compares one file with one source.
 */
export function recognise(
  files: readonly Unclaimed[],
  known: readonly Known[],
  like: (key: string, source: string) => Likeness,
): Map<string, Claim> {
  const claims = new Map<string, Claim>()
  // What was read furthest is recognised by the most: a file of the same beginning may continue several.
  const free = known.filter(({ held }) => !held).sort((a, b) => b.position - a.position)
  const sameName = ({ base }: Unclaimed, source: string) => splitId(source).base === base
  for (const { source, hint } of free) {
    const candidates = files.filter(
      (file) => !claims.has(file.key) && sameName(file, source) && HEIRS.has(like(file.key, source)),
    )
    const file = candidates.find((candidate) => candidate.hint === hint) ?? candidates[0]
    if (file) claims.set(file.key, { kind: 'continues', source })
  }
  const numbers = highestNumbers(known)
  for (const file of files) {
    if (claims.has(file.key)) continue
    const old = known.find(({ source }) => sameName(file, source) && like(file.key, source) === 'copy')
    if (old) claims.set(file.key, { kind: 'copy', source: old.source })
    else {
      const base = file.base!
      const number = (numbers.get(base) ?? 0) + 1
      numbers.set(base, number)
      claims.set(file.key, { kind: 'new', source: sourceId(base, number) })
    }
  }
  return claims
}

function highestNumbers(known: readonly Known[]): Map<string, number> {
  const numbers = new Map<string, number>()
  for (const { source } of known) {
    const { base, number } = splitId(source)
    numbers.set(base, Math.max(number, numbers.get(base) ?? 0))
  }
  return numbers
}
