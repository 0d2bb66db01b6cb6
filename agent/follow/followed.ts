import type { AgentConfig } from '../../shared/config/index.ts'
import type { FramingOptions } from '../../shared/framing/index.ts'
import type { Entry } from '../publish/positions.ts'
import type { Fingerprint } from './identity.ts'
import type { LogFile } from './log-file.ts'
import type { RateLimit } from './rate-limit.ts'
import type { LogPattern } from './scan.ts'
import type { Source } from './source.ts'

/** A log to follow: a pattern, and what its bytes are. */
export interface FollowedLog {
  readonly pattern: LogPattern
  readonly route: string
  readonly framing: FramingOptions
  /** The newest file will not grow for ever: it is finished like the others. */
  readonly complete: boolean
  /** Absent: as fast as Kafka takes it. */
  readonly rate?: RateLimit
}

export interface FollowerOptions {
  readonly agent: Pick<AgentConfig, 'id' | 'finish_after'>
  readonly logs: readonly FollowedLog[]
  /** Told what is wrong with a file or a folder, as often as that is seen; an empty message: nothing any more. */
  readonly report: (about: string, message: string) => void
}

/** A source with the file that it is read from. */
export interface Followed {
  readonly source: Source
  readonly file: LogFile
  readonly log: FollowedLog
}

/** What is known of the sources: by Kafka, and by this life. */
export interface Holdings {
  readonly sources: Map<string, Followed>
  /** Sources whose file was truncated or replaced; their rest may turn up in a copy. `unread`: what of. */
  readonly lost: Map<string, { readonly source: Source; readonly unread: string | undefined }>
  readonly entries: Map<string, Entry>
}

export const NOTHING_READ: Fingerprint = { position: 0, head: 0, tail: 0 }

/** All that Kafka knows of the source has been carried, and it ends there. */
export function isFinished(entry: Entry | undefined): boolean {
  return entry?.size !== undefined && entry.size === entry.position
}
