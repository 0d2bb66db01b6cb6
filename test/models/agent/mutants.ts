import { decodeEntries, encodeEntries } from '../../../agent/publish/positions.ts'
import type { Commit } from '../../../shared/kafka/index.ts'

/** Effects that a test leaves out or reorders, to see that the model notices. */
export type Mutant =
  | 'none'
  | 'no fence'
  | 'positions read before the fence'
  | 'positions stored apart from the events'
  | 'retired entries are dropped at once'
  | 'nothing tells what was forgotten'
  | 'a chunk keeps the name of another source'
  | 'no file tells its birth'

/** What a mutant writes instead of an agent's positions. */
export function mutated(commit: Commit, mutant: Mutant): Commit {
  const { entries, ...others } = decodeEntries(commit.metadata)
  if (mutant === 'nothing tells what was forgotten')
    return { ...commit, metadata: encodeEntries({ ...others, entries, forgottenMs: 0 }) }
  if (mutant !== 'retired entries are dropped at once') return commit
  return { ...commit, metadata: encodeEntries({ ...others, entries: entries.filter(({ retired }) => !retired) }) }
}
