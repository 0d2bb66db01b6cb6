import { linkSync, renameSync, statSync, unlinkSync } from 'node:fs'
import { messageOf } from '../../shared/errors.ts'
import type { Followed } from '../follow/index.ts'

/**
 * A rotation may give the name to another file at any moment, and a line may still come late: so the name is taken away
 * first, then looked at. By the name that it has meanwhile it is a rotated file of its log all the same: for the next life, if this one
 * is killed amid it, or where the system does not let it be given back (fs.protected_hardlinks, and a user who is not the owner).
 */
export function removeFile({ file }: Followed, report: (about: string, message: string) => void): void {
  const { path, folder, plain, mark } = file.seen
  const at = mark ? path.lastIndexOf(mark) + mark.length : folder.length + 1 + plain.length
  const aside = `${path.slice(0, at)}.${Date.now()}${path.slice(at)}`
  try {
    renameSync(path, aside)
    const { ino, size, mtimeMs } = statSync(aside)
    const isSame = ino === file.seen.ino && size === file.seen.size && mtimeMs === file.seen.mtimeMs
    if (!isSame) linkSync(aside, path)
    unlinkSync(aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    report(file.key, `${path} is uploaded, but cannot be deleted: ${messageOf(error)}`)
  }
}
