import { randomBytes } from 'node:crypto'
import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf, UserError } from '../../shared/errors.ts'
import type { Clock } from '../clock/index.ts'
import { lockFolder } from '../folder-lock.ts'
import { ContentFolder } from './content.ts'
import { Journal } from './journal.ts'
import type { Change, StoredObject } from './model.ts'
import { State } from './state.ts'

/**
 * The state, its journal and the content files, kept in step. Which crash at which instant it survives:
 * docs/protocols/local-storage.md.
 */
export class Store {
  readonly state: State
  readonly content: ContentFolder
  readonly clock: Clock
  readonly #journal: Journal<readonly Change[]>
  readonly #unlock: () => Promise<void>

  constructor(
    state: State,
    content: ContentFolder,
    clock: Clock,
    journal: Journal<readonly Change[]>,
    unlock: () => Promise<void>,
  ) {
    this.state = state
    this.content = content
    this.clock = clock
    this.#journal = journal
    this.#unlock = unlock
  }

  /**
   * Makes the changes, all or none: in memory at once, so that the caller's checks still hold, and resolves when they
   * are on the disk. Content files that nobody uses afterwards are removed.
   */
  async commit(...changes: Change[]): Promise<void> {
    const replaced = changes.flatMap((change) => this.#contentBefore(change))
    for (const change of changes) this.state.apply(change)
    await this.#journal.append(changes)
    for (const id of replaced) if (!this.state.contentUses.has(id)) await this.content.remove(id)
  }

  /** Resolves when everything that can be seen in `state` is on the disk: to be awaited before any answer. */
  settled(): Promise<void> {
    return this.#journal.settled()
  }

  /** A generation that was never given out: microseconds of the clock, or one more than the last. */
  nextGeneration(): number {
    this.state.generation = Math.max(this.clock.now() * 1_000, this.state.generation + 1)
    return this.state.generation
  }

  newId(): string {
    return randomBytes(16).toString('hex')
  }

  async close(): Promise<void> {
    await this.#journal.close()
    await this.#unlock()
  }

  #contentBefore(change: Change): string[] {
    const before = this.#before(change)
    return before ? [before.content] : []
  }

  #before(change: Change): Pick<StoredObject, 'content'> | undefined {
    if (change.op === 'object') return this.state.object(change.object.bucket, change.object.name)
    if (change.op === 'object-gone') return this.state.object(change.bucket, change.name)
    if (change.op === 'session') return this.state.sessions.get(change.session.id)
    if (change.op === 'session-gone') return this.state.sessions.get(change.id)
    return undefined
  }
}

/** Opens the data folder, made if it is not there. Throws UserError when it is in use, damaged or not to be written. */
export async function openStore(dataDir: string, clock: Clock): Promise<Store> {
  try {
    await mkdir(join(dataDir, 'content'), { recursive: true })
    return await openLocked(dataDir, clock, await lockFolder(dataDir))
  } catch (error) {
    if (error instanceof UserError || !(error as NodeJS.ErrnoException).code) throw error
    throw new UserError(
      `${dataDir}: ${messageOf(error)}`,
      'Choose a folder that can be written, on a disk with free space.',
    )
  }
}

async function openLocked(dataDir: string, clock: Clock, unlock: () => Promise<void>): Promise<Store> {
  try {
    const state = new State()
    const journal = await Journal.open<readonly Change[]>({
      file: join(dataDir, 'journal'),
      reset: () => state.reset(),
      replay: (changes) => {
        for (const change of changes) state.apply(change)
      },
      snapshot: () => [...state.snapshot()].map((change) => [change]),
    })
    const content = new ContentFolder(join(dataDir, 'content'))
    try {
      await content.sweep((id) => state.contentUses.has(id))
      await requireContent(state, content)
      if (state.generation === 0) await journal.append([...state.snapshot()])
    } catch (error) {
      await journal.close()
      throw error
    }
    return new Store(state, content, clock, journal, unlock)
  } catch (error) {
    await unlock()
    throw error
  }
}

/** Every object's bytes must be there and whole in length. */
async function requireContent(state: State, content: ContentFolder): Promise<void> {
  for (const { objects } of state.buckets.values()) {
    for (const object of objects.values()) {
      const size = await stat(content.path(object.content)).then(
        (found) => found.size,
        () => -1,
      )
      if (size === object.size) continue
      throw new UserError(
        `${content.path(object.content)}: the bytes of gs://${object.bucket}/${object.name} are ${size < 0 ? 'missing' : `${size} long, not ${object.size}`}.`,
        'Restore this file from a copy, or delete the data folder to start empty.',
      )
    }
  }
}
