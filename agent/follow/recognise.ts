import { type Inode, type Likeness, sourceId, splitId } from './identity.ts'
import type { LogFile } from './log-file.ts'

/** A file whose first event is known, which belongs to no source yet and is no copy of another file that is there. */
type Unclaimed = Pick<LogFile, 'key' | 'base' | 'hint'>

/** A source that is known, by its entry or because this life follows it. */
export interface Known extends Inode {
  readonly source: string
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
 * Says which source each file is (docs/protocols/agent-positions.md, "Which file is which source"). `files`, in the order of their
 * age, oldest first, and `known` have one first event. `like` compares one file with one source.
 */
export function recognise(
  files: readonly Unclaimed[],
  known: readonly Known[],
  like: (key: string, source: string) => Likeness,
): Map<string, Claim> {
  const claims = new Map<string, Claim>()
  const heirsOf = ({ source }: Known) => files.filter(({ key }) => !claims.has(key) && HEIRS.has(like(key, source)))
  const isThere = (at: Known) => Number(heirsOf(at).some(({ hint }) => hint === at.file))
  // What was read furthest is recognised by the most: a file of the same beginning may continue several.
  const free = known.filter(({ held }) => !held).sort((a, b) => b.position - a.position || isThere(b) - isThere(a))
  for (const at of free) {
    const candidates = heirsOf(at)
    const file = candidates.find(({ hint }) => hint === at.file) ?? candidates[0]
    if (file) claims.set(file.key, { kind: 'continues', source: at.source })
  }
  let number = known.reduce((highest, { source }) => Math.max(highest, splitId(source).number), 0)
  for (const file of files) {
    if (claims.has(file.key)) continue
    const old = known.find(({ source }) => like(file.key, source) === 'copy')
    if (old) claims.set(file.key, { kind: 'copy', source: old.source })
    else claims.set(file.key, { kind: 'new', source: sourceId(file.base!, ++number) })
  }
  return claims
}
