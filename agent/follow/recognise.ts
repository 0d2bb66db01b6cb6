import { type Likeness, sourceId, splitId } from './identity.ts'

/** A file whose first event is known, which belongs to no source yet and is no copy of another file that is there. */
export interface Unclaimed {
  readonly key: string
  readonly base: string
  readonly hint: number
  readonly compressed: boolean
}

/** A source that is known, by its entry or because this life follows it. */
export interface Known {
  readonly source: string
  readonly hint: number
  /** The file that it is read from is there. */
  readonly held: boolean
}

export interface Claim {
  /** `copy`: an old one, with nothing new in it. */
  readonly kind: 'continues' | 'copy' | 'new'
  readonly source: string
}

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
  const free = known.filter(({ held }) => !held)
  free.sort((a, b) => splitId(a.source).number - splitId(b.source).number)
  const sameName = ({ base }: Unclaimed, source: string) => splitId(source).base === base
  const continuing = (source: string) =>
    files.filter((f) => !claims.has(f.key) && sameName(f, source) && like(f.key, source) === 'continues')

  const found = new Set<string>()
  const claim = (file: Unclaimed | undefined, source: string) => {
    if (!file) return
    claims.set(file.key, { kind: 'continues', source })
    found.add(source)
  }
  for (const { source, hint } of free)
    claim(
      continuing(source).find((file) => file.hint === hint),
      source,
    )
  for (const { source } of free) {
    if (found.has(source)) continue
    const candidates = continuing(source)
    claim(candidates.find((file) => !file.compressed) ?? candidates[0], source)
  }
  const numbers = highestNumbers(known)
  for (const file of files) {
    if (claims.has(file.key)) continue
    const old = known.find(({ source }) => sameName(file, source) && like(file.key, source) === 'copy')
    if (old) claims.set(file.key, { kind: 'copy', source: old.source })
    else {
      const number = (numbers.get(file.base) ?? 0) + 1
      numbers.set(file.base, number)
      claims.set(file.key, { kind: 'new', source: sourceId(file.base, number) })
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
