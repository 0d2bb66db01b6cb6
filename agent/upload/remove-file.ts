import { linkSync, renameSync, statSync, unlinkSync } from 'node:fs'
import { messageOf } from '../../shared/errors.ts'
import type { Followed } from '../follow/index.ts'

/**
 * A rotation may give the name to another file at any moment, and a line may still come late: so the name is taken away
 * first, then looked at.
 */
export function removeFile({ file }: Followed, report: (about: string, message: string) => void): void {
  const { path } = file.seen
  const aside = `${path}.millrace-deleting`
  try {
    renameSync(path, aside)
    const { ino, size } = statSync(aside)
    if (ino !== file.seen.ino || size !== file.seen.size) linkSync(aside, path)
    unlinkSync(aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    report(file.key, `${path} is uploaded, but cannot be deleted: ${messageOf(error)}`)
  }
}
