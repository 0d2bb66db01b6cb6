import { type FSWatcher, realpathSync, watch } from 'node:fs'
import { basename } from 'node:path'

/**
 * Calls back with the name of what changes in one of the folders (null: that is not known). It may miss changes: somebody
 * must look from time to time.
 */
export class FolderWatch {
  /** By where links lead to: to another folder some day. */
  readonly #watchers = new Map<string, FSWatcher>()
  readonly #onChange: (name: string | null) => void

  constructor(onChange: (name: string | null) => void) {
    this.#onChange = onChange
  }

  /** Watches these folders from now on, and no others; with none of them it holds nothing open. */
  follow(folders: readonly string[]): void {
    const wanted = new Set<string>()
    for (const folder of folders) this.#add(folder, wanted)
    for (const [folder, watcher] of this.#watchers) if (!wanted.has(folder)) this.#drop(folder, watcher)
  }

  #add(path: string, wanted: Set<string>): void {
    try {
      const folder = realpathSync(path)
      wanted.add(folder)
      if (this.#watchers.has(folder)) return
      const watcher = watch(folder, { persistent: false }, (_event, name) => this.#onChange(name))
      // It was deleted or moved: another one may have its name by now.
      watcher.on('change', (event, name) => {
        if (event === 'rename' && name === basename(folder)) this.#drop(folder, watcher)
      })
      watcher.on('error', () => this.#drop(folder, watcher))
      this.#watchers.set(folder, watcher)
    } catch {
      // Not there, or too many watches: polling finds it.
    }
  }

  #drop(folder: string, watcher: FSWatcher): void {
    watcher.close()
    this.#watchers.delete(folder)
  }
}
