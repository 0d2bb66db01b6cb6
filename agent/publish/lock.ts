import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { messageOf, UserError } from '../../shared/errors.ts'

/**
 * What the host remembers of an agent's positions in a topic (docs/protocols/agent-positions.md): `starting` is written
 * before the first commit, `started` after it. No position is ever written here.
 */
export interface TopicMark {
  readonly state: 'starting' | 'started'
  readonly sinceMs: number
}

const SQLITE_BUSY = 5

/** What must be noted on the host before Kafka is written to cannot be. */
export class LockError extends Error {}

/**
 * Keeps a second agent with the same lock file out for as long as this process lives. Node has no flock; its SQLite
 * holds a POSIX record lock on the file, on Linux and macOS alike, which the kernel takes back when the process dies,
 * however it dies: there is no stale lock, and no moment in which two can have it. Such a lock ends when any descriptor
 * of the file is closed by its process, so nothing else here may open the file.
 */
export class HostLock {
  readonly #database: DatabaseSync
  readonly #named: string

  /**
   * @param named the key of the configuration that says so
   * @throws UserError when another process has it, or the file cannot be written
   */
  constructor(file: string, named = 'lock_file') {
    this.#named = `${named} ${file}`
    try {
      mkdirSync(dirname(file), { recursive: true })
      this.#database = new DatabaseSync(file, { timeout: 0 })
      this.#database.exec(`PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;
        CREATE TABLE IF NOT EXISTS topics (topic TEXT PRIMARY KEY, state TEXT, since_ms INTEGER); COMMIT`)
    } catch (error) {
      const isHeld = (error as { errcode?: number }).errcode === SQLITE_BUSY
      const why = isHeld ? 'another agent holds the lock' : (whyNotOpened(file) ?? messageOf(error))
      const fix = isHeld
        ? 'stop it, or give this one an id and a lock_file of its own'
        : 'choose a file in a folder that the agent may write to'
      throw new UserError(`${this.#named}: ${why}`, fix)
    }
  }

  mark(topic: string): TopicMark | undefined {
    const row = this.#database.prepare('SELECT state, since_ms FROM topics WHERE topic = ?').get(topic)
    return row && { state: row['state'] as TopicMark['state'], sinceMs: Number(row['since_ms']) }
  }

  /** Writes nothing for a topic that has `started` before. @throws LockError when the disk is full: later it may not be */
  setMark(topic: string, state: TopicMark['state'], nowMs: number): void {
    if (state === 'started' && this.mark(topic)?.state === state) return
    try {
      this.#database.prepare('INSERT OR REPLACE INTO topics VALUES (?, ?, ?)').run(topic, state, nowMs)
    } catch (error) {
      throw new LockError(`${this.#named} cannot be written, trying again: ${messageOf(error)}`)
    }
  }

  release(): void {
    this.#database.close()
  }
}

/** In the system's words: SQLite has one sentence for all. It may be opened and closed here, because nobody has the lock by it. */
function whyNotOpened(file: string): string | undefined {
  try {
    closeSync(openSync(file, 'a'))
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

/** A first commit that did not happen within this time after its mark was not merely late. */
const STARTING_MAX_MS = 24 * 3_600_000

/** Whether a topic of which Kafka has no positions is new; else it has forgotten them. */
export function isNew(mark: TopicMark | undefined, nowMs: number): boolean {
  return !mark || (mark.state === 'starting' && nowMs - mark.sinceMs < STARTING_MAX_MS)
}
