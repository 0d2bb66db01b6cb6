import { type FSWatcher, watch } from 'node:fs'

/**
 * Calls back with the name of what changes in one of the folders (null: that is not known). It may miss changes: somebody
 * must look from time to time.
 */
export class FolderWatch {
  readonly #watchers = new Map<string, FSWatcher>()
  readonly #onChange: (name: string | null) => void

  constructor(onChange: (name: string | null) => void) {
    this.#onChange = onChange
  }

  /** Watches these folders from now on, and no others. */
  follow(folders: readonly string[]): void {
    for (const [folder, watcher] of this.#watchers) if (!folders.includes(folder)) this.#drop(folder, watcher)
    for (const folder of folders) if (!this.#watchers.has(folder)) this.#add(folder)
  }

  close(): void {
    this.follow([])
  }

  #add(folder: string): void {
    try {
      const watcher = watch(folder, { persistent: false }, (_event, name) => this.#onChange(name))
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
